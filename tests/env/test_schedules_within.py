"""A learning rate that goes by a schedule, and agents that multiply their layers' steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.evaluation import GridRunner, RunSpec, make_method, schedule_controller
from ganno_env.evaluation.controller import Controller
from ganno_env.evaluation.methods import Setting
from ganno_env.evaluation.planning import Variant
from ganno_env.optimisers import build
from tests.small import compiled, small_env

CHANGES = {
    "network": "mlp",
    "optimiser": "adam_relative",
    "schedule": "one_cycle",
    "controls": ["step_scale"],
    "learning_rate": 0.03,
    "weight_decay": 0.1,
    "reward": "accuracy_difference",
}


@pytest.fixture(scope="module")
def env():
    return small_env(**CHANGES)


def always(action):
    """Agents that all take one action."""

    def decide(env, carry, timestep, key):
        return carry, jnp.full((env.num_agents,), action, jnp.int32)

    return Controller("always", lambda env, rate: (), decide, schedules=False)


def test_agents_that_do_nothing_are_the_schedule(env):
    """In the environment, and as a row beside the hand-made one, on the same runs."""
    usual = small_env(network="mlp")
    row = make_method("relative_one_cycle@peak=0.03", Setting(usual))
    variant = Variant(build("adam_relative"), env.interface, "one_cycle")
    specs = [row.runs(None, 0.1, 0), RunSpec(always(0), 0.03, 0.1, 0, variant)]
    by_hand, nothing = GridRunner(usual).run(specs)
    for name in ("train_loss", "validation_loss", "test_accuracy"):
        np.testing.assert_allclose(getattr(nothing, name), getattr(by_hand, name), rtol=1e-5)
    np.testing.assert_allclose(
        *(r.controls["learning_rate"] for r in (nothing, by_hand)), rtol=1e-6
    )
    assert np.ptp(by_hand.controls["learning_rate"]) > 0


def test_doing_nothing_earns_nothing_and_rates_follow_the_schedule(env):
    reset, step = compiled(env)
    state, _ = reset(jax.random.PRNGKey(0))
    rates = schedule_controller("one_cycle").begin(env, 0.03)
    for number in range(2):
        state, timestep = step(state, jnp.zeros((env.num_agents,), jnp.int32))
        np.testing.assert_array_equal(timestep.reward, 0.0)
        np.testing.assert_allclose(state.controls["learning_rate"], rates[number][-1], rtol=1e-5)
        np.testing.assert_array_equal(state.controls["step_scale"], 1.0)


def test_a_scale_is_a_factor_of_the_step(env):
    """Scaled up once in all layers: as with a schedule that is a quarter higher."""
    reset, step = compiled(env)
    state, _ = reset(jax.random.PRNGKey(0))
    scaled, _ = step(state, jnp.ones((env.num_agents,), jnp.int32))
    np.testing.assert_allclose(scaled.controls["step_scale"], 1.25)
    rates = schedule_controller("one_cycle").begin(env, 0.03)[0]
    higher = jnp.broadcast_to(1.25 * rates[:, None], (env.updates_per_step, env.num_layers))
    by_hand, _ = jax.jit(env.step_with_controls)(state, {"learning_rate": higher})
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        scaled.inner.params,
        by_hand.inner.params,
    )


def test_what_a_schedule_sets_agents_cannot():
    with pytest.raises(ValueError, match="'one_cycle' sets the learning rate, so agents cannot"):
        small_env(schedule="one_cycle")
    with pytest.raises(ValueError, match="unknown schedule 'one_cycel'"):
        small_env(schedule="one_cycel", controls=["step_scale"])
