"""What a step is: the contract of the game itself, in environments of every kind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ganno_env.networks import NETWORKS
from ganno_env.rewards import REWARDS
from tests.env.acting import actions_of
from tests.inputs import dataset_for, slow_if_large
from tests.small import compiled, shared_env, small_env

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FORMULATIONS = sorted(file.stem for file in (CONFIGS / "formulation").glob("*.yaml"))


def assert_doing_nothing_earns_nothing(env, rates):
    """From each initial rate, in one compiled program.

    What the first state shows is not measured: the reward is of what two branches come to.
    """

    @jax.jit
    def begin(key, initial):
        return env.begin(key, initial, env.initial_network(key), measured=False)

    step = jax.jit(env.step)
    nothing = jnp.zeros((env.num_agents,), jnp.int32)
    acted = env.interface.acted[0]
    low, high = np.float32(acted.bounds if acted.name == "learning_rate" else (0.0, 1.0))
    for rate in rates:
        state = begin(jax.random.PRNGKey(0), {"learning_rate": jnp.float32(rate)})
        began = np.clip(np.float32(rate), low, high)
        np.testing.assert_array_equal(state.initial_controls["learning_rate"], began)
        for _ in range(2):
            if env.training.schedule is None:
                np.testing.assert_array_equal(state.controls["learning_rate"], began)
            state, timestep = step(state, nothing)
            np.testing.assert_array_equal(timestep.reward, 0.0)


def test_doing_nothing_earns_nothing_after_a_schedule():
    """It may have led the rates beyond the bounds that agents have."""
    env = small_env(network="mlp", updates_per_step=2, bounds=(0.01, 0.3))
    reset, step = compiled(env)
    state, _ = reset(jax.random.PRNGKey(0))
    state, _ = env.step_with_controls(state, {"learning_rate": jnp.full((2, env.num_layers), 0.5)})
    np.testing.assert_array_equal(state.controls["learning_rate"], 0.5)
    state, timestep = step(state, jnp.zeros((env.num_agents,), jnp.int32))
    np.testing.assert_array_equal(timestep.reward, 0.0)
    np.testing.assert_allclose(state.controls["learning_rate"], 0.3)


@pytest.mark.parametrize("network", slow_if_large(NETWORKS))
def test_doing_nothing_earns_exactly_nothing(network):
    env = small_env(
        dataset=dataset_for(network),
        network=network,
        network_options={"width": 0.0625},
        updates_per_step=2,
        bounds=(0.01, 0.5),
    )
    assert_doing_nothing_earns_nothing(env, [0.0, 1e-5, 0.1, 1.0])


@pytest.mark.parametrize("name", FORMULATIONS)
def test_doing_nothing_earns_exactly_nothing_by_every_formulation(name):
    """With its actions and bounds, and the reward of which this is true."""
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        train_on = compose("train", overrides=[f"formulation={name}"])["train_on"]
    arguments = OmegaConf.to_container(train_on) | {"reward": "accuracy_difference"}
    env = small_env(**({"network": "mlp"} | arguments | {"updates_per_step": 2, "epochs": 1.7}))
    assert_doing_nothing_earns_nothing(env, [0.0, 1e-5, 1.0])


def test_a_single_agent_that_does_nothing_earns_nothing():
    env = small_env(network="mlp", single_agent=True, features="global", updates_per_step=2,
                    bounds=(1e-4, 1e-2))  # fmt: skip
    assert_doing_nothing_earns_nothing(env, [1e-5])


def test_a_rate_raised_shows_in_the_reward():
    env = small_env(learning_rate=1e-5, weight_decay=1e-5, updates_per_step=12, epochs=2)
    reset, step = compiled(env)
    state, _ = reset(jax.random.PRNGKey(0))
    _, timestep = step(state, actions_of(env, 7, 7))
    assert timestep.reward[0] > 0.02


def test_a_single_agent_moves_all_layers():
    env = small_env(network="mlp", single_agent=True, features="global")
    assert env.num_agents == 1
    reset, step = compiled(env)
    state, timestep = reset(jax.random.PRNGKey(0))
    assert timestep.observation.agents_view.shape == (1, len(env.feature_names))
    after, timestep = step(state, jnp.array([7]))
    np.testing.assert_allclose(
        after.controls["learning_rate"], state.controls["learning_rate"] + 0.001, rtol=1e-6
    )
    assert timestep.reward.shape == (1,)


@pytest.mark.parametrize(
    "reward", ["accuracy", "accuracy_gain", "log_error_gain", "loss_gain", "loss_difference"]
)
def test_other_rewards(reward):
    env = small_env(network="mlp", reward=reward)
    reset, step = compiled(env)
    state, _ = reset(jax.random.PRNGKey(0))
    after, timestep = step(state, actions_of(env, 7, 7, 7))
    before, now = state.metrics, after.metrics
    expected = {
        "accuracy": now.validation_accuracy,
        "accuracy_gain": now.validation_accuracy - before.validation_accuracy,
        "log_error_gain": np.log1p(-before.validation_accuracy)
        - np.log1p(-now.validation_accuracy),
        "loss_gain": before.validation_loss - now.validation_loss,
    }
    if reward in expected:
        np.testing.assert_allclose(timestep.reward, expected[reward], rtol=1e-5, atol=1e-6)
    else:
        assert timestep.reward[0] != 0.0


def test_rates_stay_within_the_bounds_that_agents_are_given():
    env = small_env(
        network="mlp", network_options={"widths": [4]}, actions=["noop", "*1000", "/1000"],
        learning_rate=0.0, bounds=(1e-5, 0.03),
    )  # fmt: skip
    state, _ = compiled(env)[0](jax.random.PRNGKey(0))
    for actions, expected in (((0, 0), (1e-5, 1e-5)), ((0, 1), (1e-5, 1e-2)),
                              ((1, 1), (1e-2, 0.03)), ((2, 2), (1e-5, 3e-5))):  # fmt: skip
        state = state.replace(
            controls=state.controls | env.controls_after(state, actions_of(env, *actions))
        )
        np.testing.assert_allclose(state.controls["learning_rate"], expected, rtol=1e-5)


def test_no_errors_at_all_have_a_finite_logarithm():
    state, _ = compiled(shared_env())[0](jax.random.PRNGKey(0))
    perfect = dataclasses.replace(state.metrics, validation_accuracy=jnp.float32(1.0))
    poor = dataclasses.replace(perfect, validation_accuracy=jnp.float32(0.0))
    gain = REWARDS["log_error_gain"].function(poor, perfect, perfect)
    np.testing.assert_allclose(gain, np.log(1000), rtol=1e-4)


@pytest.mark.parametrize("reward", ["accuracy_difference", "loss_difference", "loss_gain"])
@pytest.mark.parametrize("poison", [jnp.inf, jnp.nan, 1e30])
def test_a_diverged_network_shows_finite_numbers(reward, poison):
    env = shared_env(reward=reward, optimiser="sgd", learning_rate=1.0)
    reset, step = compiled(env)
    state, _ = reset(jax.random.PRNGKey(0))
    params = jax.tree.map(lambda x: x * poison, state.inner.params)
    state = state.replace(inner=state.inner.replace(params=params))
    for _ in range(env.time_limit):
        state, timestep = step(state, actions_of(env, 2, 2))
        finite = jax.tree.map(lambda x: bool(jnp.all(jnp.isfinite(x))), timestep)
        assert jax.tree.all(finite)
        view = dict(zip(env.feature_names, timestep.observation.agents_view[0], strict=True))
        assert view["non_finite"] == 1.0
        assert timestep.extras["diverged"] == 1.0
        assert timestep.extras["validation_accuracy"] == 0.0
        assert jnp.abs(timestep.observation.agents_view).max() <= 1e3
