"""Every column of an observation, recomputed by other means."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env.observations import FEATURE_SETS, FEATURES, Feature, resolve_features
from ganno_env.optimisers import Optimiser
from ganno_env.types import LayerSpec, Network
from tests.env.oracle import Oracle
from tests.small import small_env

BUILT_IN = tuple(dict.fromkeys(FEATURE_SETS["paper"] + FEATURE_SETS["log"]))
INITIAL = {"learning_rate": 3e-3, "weight_decay": 0.05}


def batch_norm_mlp():
    """Three linear layers, the second with batch norm."""
    sizes = {"one": (64, 12), "two": (12, 12), "three": (12, 10)}

    def init(key):
        params = {
            name: {
                "kernel": jax.random.normal(key, size, jnp.float32) * size[0] ** -0.5,
                "bias": jnp.full(size[1:], 0.1, jnp.float32),
            }
            for name, size in sizes.items()
        }
        del params["two"]["bias"]
        params["two"] |= {"scale": jnp.ones(12, jnp.float32), "shift": jnp.zeros(12, jnp.float32)}
        moments = {"mean": jnp.zeros(12, jnp.float32), "variance": jnp.ones(12, jnp.float32)}
        return params, {"two": moments}

    def apply(params, state, images, train):
        one, two, three = (params[name] for name in sizes)
        x = jax.nn.relu(images.reshape(len(images), -1) @ one["kernel"] + one["bias"])
        x = x @ two["kernel"]
        running = state["two"]
        now = {"mean": x.mean(0), "variance": x.var(0)} if train else running
        x = (x - now["mean"]) / jnp.sqrt(now["variance"] + 1e-5) * two["scale"] + two["shift"]
        kept = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, running, now) if train else running
        return jax.nn.relu(x) @ three["kernel"] + three["bias"], {"two": kept}

    layers = tuple(LayerSpec(name=name, kind="linear") for name in sizes)
    return Network(name="batch_norm_mlp", layers=layers, init=init, apply=apply)


@pytest.mark.parametrize("network", [None, batch_norm_mlp()], ids=["cnn2", "batch_norm_mlp"])
def test_every_column_equals_optax_and_numpy(network):
    """All of appendix D, after a reset and two steps, from what these began with."""
    # Adam's usual epsilon would make directions of rounding errors where a gradient is 0.
    epsilon = 1e-3
    env = small_env(
        features=BUILT_IN,
        optimiser=Optimiser(lambda hyperparameters: optax.scale_by_adam(eps=epsilon)),
        reward="accuracy",
        updates_per_step=3,
        **INITIAL,
    )
    env = env if network is None else env.replace(network=network)
    state, timestep = jax.jit(env.reset)(jax.random.PRNGKey(0))
    oracle = Oracle(env, state, epsilon, **INITIAL)
    points = [(oracle.reset(), timestep)]
    step = jax.jit(env.step)
    for shift in (7, 2):
        actions = (2 * np.arange(env.num_agents) + shift) % env.action_dim
        state, timestep = step(state, jnp.asarray(actions, jnp.int32))
        points.append((oracle.step(actions), timestep))
    for expected, timestep in points:
        for layer, row in enumerate(np.asarray(timestep.observation.agents_view)):
            assert set(expected[layer]) == set(env.feature_names)
            for name, value in zip(env.feature_names, row, strict=True):
                np.testing.assert_allclose(
                    value, expected[layer][name], rtol=1e-4, atol=1e-6, err_msg=name
                )


def test_the_paper_sees_what_its_appendix_lists():
    assert set(resolve_features("paper")) == {
        "train_accuracy", "validation_accuracy", "train_loss", "validation_loss", "non_finite",
        "progress", "loss_ratio", "initial_learning_rate", "initial_weight_decay",
        "learning_rate", "previous_action", "layer_type", "layer_depth", "trust_ratio",
        "gradient_norm", "update_norm", "weight_mean", "weight_variance", "weight_norm",
    }  # fmt: skip


def test_the_ablations_are_feature_sets():
    assert small_env(features="learning_rate_only").feature_names == ("learning_rate",)
    assert small_env(features="progress_only").feature_names == ("progress",)
    assert not any(FEATURES[name].layerwise for name in resolve_features("global"))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("papper", "did you mean 'paper'"),
        (["learning_rat"], "did you mean 'learning_rate'"),
        ([], "without repetition"),
        (["progress", "progress"], "without repetition"),
    ],
)
def test_features_that_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        resolve_features(features)


def zeros(env):
    """A state of nothing but zeros, which takes no compilation."""
    shapes, _ = jax.eval_shape(env.reset, jax.random.PRNGKey(0))
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def test_a_rate_of_zero_has_a_logarithm():
    env = small_env(features=["log_learning_rate"])
    np.testing.assert_allclose(env.observe(zeros(env)).observation.agents_view, -8.0)


def test_a_feature_of_ones_own_is_a_function_and_a_line(monkeypatch):
    """And is finite and within limits whatever it gives; integers and flags serve as numbers."""
    members = {
        "broken": Feature(lambda context: context.step_count / 0, layerwise=False),
        "wild": Feature(lambda view: jnp.full((2,), -jnp.inf), layerwise=True, limits=(-3.0, 2.0)),
        "pair": Feature(
            lambda view: jnp.array([[1, 0], [0, 1]]) == 1,
            layerwise=True,
            columns=lambda actions: ("left", "right"),
            normalised=False,
        ),
    }
    for name, member in members.items():
        monkeypatch.setitem(FEATURES._members, name, member)
    env = small_env(features=list(members))
    assert env.feature_names == ("broken", "wild", "pair=left", "pair=right")
    assert env.normalised_features == (True, True, False, False)
    view = env.observe(zeros(env)).observation.agents_view
    assert view.dtype == np.float32
    np.testing.assert_array_equal(view, [[1e3, -3.0, 1.0, 0.0], [1e3, -3.0, 0.0, 1.0]])


@pytest.mark.parametrize("limits", [(1.0, 0.0), (0.0, 0.0), (0.0, np.inf), (np.nan, 1.0)])
def test_limits_that_are_none_are_refused(limits):
    with pytest.raises(ValueError, match="must be finite and increasing"):
        Feature(lambda view: jnp.float32(0), layerwise=False, limits=limits)


def test_limits_of_features_are_those_that_are_documented():
    assert FEATURES["progress"].limits == (0.0, 1.0)
    assert FEATURES["initial_weight_decay"].limits == (0.0, 1.0)
    assert FEATURES["trust_ratio"].limits == (0.0, 30.0)
    assert FEATURES["log_trust_ratio"].limits == (-8.0, 3.0)
    assert FEATURES["log_gradient_norm"].layerwise
