"""Several controls at once: what agents choose, what follows, and what they see of it."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env.config import InterfaceConfig
from ganno_env.controls import CONTROLS
from ganno_env.inner import example_indices
from ganno_env.optimisers import Optimiser
from tests.small import small_env

BOTH = ("learning_rate", "weight_decay")
LISTS = {"learning_rate": ["noop", "*2", "+0.001"], "weight_decay": ["noop", "/2"]}
START = {"learning_rate": 0.01, "weight_decay": 0.02}


@pytest.fixture(scope="module")
def env():
    return small_env(controls=BOTH, actions=LISTS, network="mlp", **START)


@pytest.fixture(scope="module")
def compiled(env):
    return jax.jit(env.reset), jax.jit(env.step)


def test_a_choice_is_an_action_for_each_control(env):
    assert env.action_dim == 6
    assert env.actions.names == (
        "noop", "weight_decay/2", "learning_rate*2", "learning_rate*2 weight_decay/2",
        "learning_rate+0.001", "learning_rate+0.001 weight_decay/2",
    )  # fmt: skip
    effects = {"noop": lambda x: x, "*2": lambda x: 2 * x, "/2": lambda x: x / 2}
    effects["+0.001"] = lambda x: x + 0.001
    values = {name: jnp.full((env.num_layers,), x) for name, x in START.items()}
    for choice, names in enumerate(itertools.product(*LISTS.values())):
        after = env.actions.apply(values, jnp.full((env.num_layers,), choice))
        for control, action in zip(BOTH, names, strict=True):
            np.testing.assert_allclose(after[control], effects[action](START[control]), rtol=1e-6)


def test_both_controls_train(env, compiled):
    reset, step = compiled
    state, _ = reset(jax.random.PRNGKey(0))
    state, timestep = step(state, jnp.array([3, 0, 2], jnp.int32))
    np.testing.assert_allclose(state.controls["learning_rate"], [0.02, 0.01, 0.02], rtol=1e-6)
    np.testing.assert_allclose(state.controls["weight_decay"], [0.01, 0.02, 0.02], rtol=1e-6)
    assert timestep.extras.keys() >= {"learning_rate", "weight_decay"}
    np.testing.assert_allclose(timestep.extras["weight_decay"], 0.05 / 3, rtol=1e-6)


def test_an_agents_weight_decay_is_what_its_layer_is_trained_with(env, compiled):
    """Against optax's Adam with a decay for each layer, on the same batches."""
    reset, step = compiled
    before, _ = reset(jax.random.PRNGKey(1))
    after, _ = step(before, jnp.array([1, 0, 3], jnp.int32))
    names = env.inner.layer_names
    rates, decays = (
        dict(zip(names, np.asarray(after.controls[name]), strict=True)) for name in BOTH
    )
    adamw = optax.partition(
        {name: optax.adamw(rates[name], weight_decay=decays[name]) for name in names},
        {name: name for name in names},
    )
    data, count = env.task.data.train, env.updates_per_step * env.batch_size
    indices = example_indices(before.data_key, jnp.uint32(0), count, data.size)

    def loss(params, batch):
        inputs = env.task.prepare(data.inputs[batch])
        logits, _ = env.network.apply(params, {}, inputs, True)
        targets = data.targets[batch]
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()

    params = before.inner.params
    state = adamw.init(params)
    for batch in indices.reshape(env.updates_per_step, env.batch_size):
        gradient = jax.grad(loss)(params, batch)
        with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
            updates, state = adamw.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        after.inner.params,
        params,
    )


def test_doing_nothing_with_two_controls_earns_nothing(env, compiled):
    reset, step = compiled
    state, _ = reset(jax.random.PRNGKey(2))
    for _ in range(2):
        state, timestep = step(state, jnp.zeros((env.num_agents,), jnp.int32))
        np.testing.assert_array_equal(timestep.reward, 0.0)
    for name, value in START.items():
        np.testing.assert_array_equal(state.controls[name], np.float32(value))


def test_agents_see_each_control_that_they_set(env, compiled):
    reset, step = compiled
    state, _ = reset(jax.random.PRNGKey(0))
    state, timestep = step(state, jnp.array([3, 0, 4], jnp.int32))
    columns = dict(zip(env.feature_names, timestep.observation.agents_view.T, strict=True))
    for name in BOTH:
        np.testing.assert_allclose(columns[name], state.controls[name], rtol=1e-6)
        np.testing.assert_allclose(columns[f"initial_{name}"], START[name], rtol=1e-6)
    shown = {
        name.split("=", 1)[1]: column for name, column in columns.items() if "previous" in name
    }
    assert list(shown) == [
        "learning_rate noop", "learning_rate*2", "learning_rate+0.001",
        "weight_decay noop", "weight_decay/2",
    ]  # fmt: skip
    np.testing.assert_array_equal(
        np.stack(list(shown.values()), 1), [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0], [0, 0, 1, 1, 0]]
    )


def test_a_fixed_momentum_is_a_control_only_where_it_is_given():
    given = small_env(initial_controls={"momentum": 0.7})
    state, _ = jax.eval_shape(given.reset, jax.random.PRNGKey(0))
    assert set(state.controls) == {"learning_rate", "weight_decay", "momentum"}
    state, _ = jax.eval_shape(small_env().reset, jax.random.PRNGKey(0))
    assert set(state.controls) == {"learning_rate", "weight_decay"}


def test_a_single_agent_sets_all_layers_controls():
    env = small_env(
        controls=BOTH, actions=LISTS, features="global", single_agent=True, network="mlp", **START
    )
    state, timestep = jax.jit(env.reset)(jax.random.PRNGKey(0))
    assert timestep.observation.action_mask.shape == (1, 6)
    after = env.controls_after(state, jnp.array([3]))
    np.testing.assert_allclose(after["learning_rate"], [0.02] * 3, rtol=1e-6)
    np.testing.assert_allclose(after["weight_decay"], [0.01] * 3, rtol=1e-6)


def test_an_interface_is_made_again_of_its_options():
    for given in (
        {},
        {"controls": BOTH, "actions": LISTS, "bounds": {"weight_decay": (0.0, 0.5)}},
        {"features": "progress_only", "single_agent": True, "bounds": [1e-4, 0.1]},
    ):
        interface = InterfaceConfig.of(**given)
        assert InterfaceConfig.of(**interface.options()) == interface
        assert hash(InterfaceConfig.of(**interface.options())) == hash(interface)


def test_every_control_can_be_acted_on_by_its_own_actions():
    for name, control in CONTROLS.items():
        env = small_env(controls=[name])
        assert env.actions.names == control.actions
        assert name in env.features


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"controls": []}, r"controls=\[\]; it must be a list of"),
        (
            {"controls": ["learning_rat"]},
            r"controls=\['learning_rat'\]; it must be a list of weight_decay, learning_rate",
        ),
        ({"controls": ["learning_rate"] * 2}, "each can be listed once"),
        ({"controls": BOTH, "actions": ["noop", "*2"]}, "must be a mapping from their names"),
        ({"controls": BOTH, "bounds": [0.0, 0.1]}, "must be a mapping from their names"),
        ({"actions": {"momentum": ["noop", "*2"]}}, "'momentum', which agents do not set"),
        ({"bounds": {"weight_decay": [0.0, 0.1]}}, "'weight_decay', which agents do not set"),
        (
            {"features": ["log_momentum"]},
            "features has 'log_momentum', and this environment has no",
        ),
        ({"controls": BOTH, "bounds": {"weight_decay": [0.0, 2.0]}}, "those of weight_decay must"),
        ({"controls": BOTH, "actions": {"weight_decay": ["*2"]}}, "first action must be 'noop'"),
        ({"optimiser": {"name": "adam", "b3": 0.9}}, "unknown option 'optimiser.b3'"),
        ({"optimiser": {"name": "adam", "b1": 1.5}}, r"optimiser.b1=1.5; it must be a number"),
        ({"optimiser": {"b1": 0.5}}, "an optimiser needs a name"),
        ({"initial_controls": {"momentum": 1.0}}, "beyond its bounds"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small_env(**changes)


def test_a_control_that_an_optimiser_does_not_have_is_refused():
    plain = Optimiser(lambda hyperparameters: optax.identity())
    with pytest.raises(ValueError, match="the optimiser has no momentum that agents could set"):
        small_env(optimiser=plain, controls=["momentum"])
