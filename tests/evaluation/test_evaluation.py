"""Controllers, and grids of runs."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.config import InterfaceConfig
from ganno_env.evaluation import (
    Controller,
    GridRunner,
    RunSpec,
    policy_controller,
    random_controller,
    schedule_controller,
)
from ganno_env.evaluation.planning import Variant
from ganno_env.schedules import SCHEDULES
from tests.small import small_env


def stubborn_controller(action: int) -> Controller:
    """A policy that always takes one action, and counts its steps in its hidden state."""

    def act(hidden, observation, done, key):
        return hidden + 1, jnp.full(observation.step_count.shape, action, jnp.int32)

    return policy_controller(f"always {action}", lambda agents: jnp.zeros((agents, 1)), act)


@pytest.fixture(scope="module")
def runner():
    return GridRunner(small_env(), test_every_step=True)


def run(runner, controller, rate=1e-3, seed=0):
    return runner.run([RunSpec(controller, rate, 0.01, seed)])[0]


def test_doing_nothing_is_the_constant_schedule(runner):
    nothing, constant = (
        run(runner, controller)
        for controller in (stubborn_controller(0), schedule_controller("constant"))
    )
    np.testing.assert_allclose(nothing.train_loss, constant.train_loss, rtol=1e-5)
    np.testing.assert_array_equal(nothing.test_accuracy, constant.test_accuracy)
    np.testing.assert_allclose(nothing.controls["learning_rate"], 1e-3, rtol=1e-6)


def test_a_policys_bounds_hold_for_it_alone(runner):
    """It sees what it saw in training, where episodes begin within its bounds; schedules do not."""
    seen = []

    def act(hidden, observation, done, key):
        jax.debug.callback(lambda view: seen.append(np.asarray(view)), observation.agents_view[0])
        return hidden, jnp.zeros(observation.step_count.shape, jnp.int32)

    policy = policy_controller("sees", lambda agents: jnp.zeros((agents, 1)), act)
    interface = InterfaceConfig.of(
        bounds=(1e-4, 1e-2), features=("initial_learning_rate", "learning_rate")
    )
    variant = Variant(interface=interface)
    for rate, bounded in ((0.0, 1e-4), (1e-3, 1e-3)):
        seen.clear()
        specs = [
            RunSpec(policy, rate, 0.01, 0, variant),
            RunSpec(schedule_controller("constant"), rate, 0.01, 0, variant),
        ]
        acted, constant = runner.run(specs)
        jax.effects_barrier()
        np.testing.assert_allclose(np.array(seen), bounded, rtol=1e-6)
        np.testing.assert_allclose(acted.controls["learning_rate"], bounded, rtol=1e-6)
        np.testing.assert_allclose(constant.controls["learning_rate"], rate, rtol=1e-6)


def test_a_schedule_is_recorded_as_it_is(runner):
    env = runner.env
    record = run(runner, schedule_controller("cosine"))
    updates = env.time_limit * env.updates_per_step
    schedule = SCHEDULES["cosine"](1e-3, updates)
    last = [schedule(i) for i in range(env.updates_per_step - 1, updates, env.updates_per_step)]
    np.testing.assert_allclose(
        record.controls["learning_rate"], np.stack([last, last], 1), rtol=1e-5
    )
    assert record.controls["learning_rate"].shape == (env.time_limit, env.num_layers)


def test_actions_are_taken(runner):
    record = run(runner, stubborn_controller(7))
    steps = np.arange(1, runner.env.time_limit + 1)[:, None]
    np.testing.assert_allclose(
        record.controls["learning_rate"], 1e-3 + 0.001 * steps * [[1, 1]], rtol=1e-5
    )
    np.testing.assert_array_equal(record.actions, 7)


def test_a_grid_equals_its_runs_one_by_one(runner):
    specs = [
        RunSpec(controller, rate, 0.01, seed)
        for controller in (schedule_controller("sgdr"), random_controller())
        for rate in (0.0, 1e-3, 1e-2)
        for seed in (0, 1)
    ][:-1]  # seven and five runs: they don't divide among two devices
    for spec, record in zip(specs, runner.run(specs), strict=True):
        alone = dataclasses.replace(runner.run([spec])[0], seconds=record.seconds)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), record, alone
        )


def test_runs_with_one_seed_are_paired(runner):
    still = [
        run(runner, controller, rate=0.0)
        for controller in (schedule_controller("linear"), stubborn_controller(0))
    ]
    np.testing.assert_allclose(still[0].train_loss, still[1].train_loss, rtol=1e-5)
    other = run(runner, schedule_controller("linear"), rate=0.0, seed=1)
    assert other.train_loss[0] != still[0].train_loss[0]


def test_the_test_split_is_measured_once_or_every_time(runner):
    once = GridRunner(small_env())
    controller = schedule_controller("constant")
    every, last = run(runner, controller).test_accuracy, run(once, controller).test_accuracy
    assert every.shape == (runner.env.time_limit,)
    np.testing.assert_array_equal(last, every[-1:])


def test_no_second_branch_is_run():
    assert not GridRunner(small_env()).env.reward.needs_no_op


def test_an_unknown_schedule_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown schedule 'cosin'.*did you mean 'cosine'"):
        schedule_controller("cosin")
