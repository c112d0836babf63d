"""Every column of an observation, recomputed in NumPy from the state."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.observations import FEATURE_SETS, FEATURES, LAYER_DEPTHS, resolve_features
from ganno_env.types import LAYER_KINDS
from tests.small import small_env

ACTIONS = (7, 2, 8)


@pytest.fixture(scope="module")
def env():
    return small_env(network="cnn3", features=tuple(FEATURES), learning_rate=(1e-4, 1e-2))


@pytest.fixture(scope="module")
def stepped(env):
    state, _ = env.reset(jax.random.PRNGKey(0))
    return jax.device_get(jax.jit(env.step)(state, jnp.array(ACTIONS, jnp.int32)))


def one_hot(index, names):
    return {name: float(i == index) for i, name in enumerate(names)}


def expected_columns(env, state, layer):
    """What agent `layer` should see, by column, from the parameters and the metrics themselves."""
    weights = np.concatenate(
        [np.ravel(x) for x in jax.tree.leaves(state.inner.params[env.inner.layer_names[layer]])]
    )
    metrics, statistics = state.metrics, state.statistics
    raw = {
        "train_loss": metrics.train_loss,
        "validation_loss": metrics.validation_loss,
        "loss_ratio": metrics.train_loss / metrics.validation_loss,
        "initial_learning_rate": state.initial_controls["learning_rate"],
        "initial_weight_decay": state.initial_controls["weight_decay"],
        "learning_rate": state.controls["learning_rate"][layer],
        "trust_ratio": np.linalg.norm(weights) / statistics.update_norm[layer],
        "gradient_norm": statistics.gradient_norm[layer],
        "update_norm": statistics.update_norm[layer],
        "weight_variance": weights.var(),
        "weight_norm": np.linalg.norm(weights),
    }
    kind = env.network.layers[layer].kind
    depth = {0: "first", env.num_layers - 1: "last"}.get(layer, "intermediate")
    groups = {
        "previous_action": one_hot(ACTIONS[layer], env.actions.names),
        "layer_type": one_hot(LAYER_KINDS.index(kind), LAYER_KINDS),
        "layer_depth": one_hot(LAYER_DEPTHS.index(depth), LAYER_DEPTHS),
    }
    return (
        raw
        | {f"log_{name}": np.log10(max(value, 1e-8)) for name, value in raw.items()}
        | {f"{g}={name}": value for g, columns in groups.items() for name, value in columns.items()}
        | {
            "train_accuracy": metrics.train_accuracy,
            "validation_accuracy": metrics.validation_accuracy,
            "non_finite": 0.0,
            "progress": 1 / env.time_limit,
            "weight_mean": weights.mean(),
        }
    )


def test_every_column_equals_numpy(env, stepped):
    state, timestep = stepped
    for layer in range(env.num_layers):
        expected = expected_columns(env, state, layer)
        assert set(expected) == set(env.feature_names)
        row = timestep.observation.agents_view[layer]
        for name, value in zip(env.feature_names, row, strict=True):
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_the_measures_are_those_of_the_splits(env, stepped):
    """Validation figures from the final parameters; training accuracy is a mean over batches."""
    state, _ = stepped
    loss, accuracy = env.inner.evaluate(state.inner, env.dataset.validation)
    np.testing.assert_allclose(state.metrics.validation_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(state.metrics.validation_accuracy, accuracy, rtol=1e-5)
    hits = float(state.metrics.train_accuracy) * env.updates_per_step * env.batch_size
    np.testing.assert_allclose(hits, round(hits), atol=1e-3)


def test_the_paper_sees_what_its_appendix_lists():
    assert set(FEATURE_SETS["paper"]) == {
        "train_accuracy", "validation_accuracy", "train_loss", "validation_loss", "non_finite",
        "progress", "loss_ratio", "initial_learning_rate", "initial_weight_decay",
        "learning_rate", "previous_action", "layer_type", "layer_depth", "trust_ratio",
        "gradient_norm", "update_norm", "weight_mean", "weight_variance", "weight_norm",
    }  # fmt: skip


def test_the_ablations_are_feature_sets():
    assert small_env(features="learning_rate_only").feature_names == ("learning_rate",)
    assert small_env(features="progress_only").feature_names == ("progress",)
    assert not any(FEATURES[name].layerwise for name in FEATURE_SETS["global"])


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


def test_a_rate_of_zero_has_a_logarithm():
    env = small_env(features=["log_learning_rate"], learning_rate=0.0)
    _, timestep = env.reset(jax.random.PRNGKey(0))
    np.testing.assert_allclose(timestep.observation.agents_view, -8.0)
