"""Every id is a game of many steps, and passes Jumanji's own checks."""

from __future__ import annotations

import jax
import jumanji
import pytest
from jumanji.testing.env_not_smoke import (
    check_env_does_not_smoke,
    check_env_specs_does_not_smoke,
    make_random_select_action_fn,
)

import ganno_env
from tests.ids import TINY, made_up_images  # noqa: F401
from tests.inputs import slow_if_large

pytestmark = pytest.mark.usefixtures("made_up_images")


@pytest.mark.parametrize("name", ganno_env.ENVIRONMENTS)
def test_every_id_is_a_game_of_many_steps_by_itself(name):
    env = jumanji.make(name)
    assert 20 <= env.time_limit <= 100
    assert env.task.data.train.size >= 1000


@pytest.mark.parametrize("name", slow_if_large(ganno_env.ENVIRONMENTS))
def test_every_id_passes_jumanjis_checks(name, monkeypatch):
    env = jumanji.make(name, **TINY)
    # The checks compile the step alone, and op by op a reset takes as long again as both together.
    monkeypatch.setattr(env, "reset", jax.jit(env.reset))
    # Whole states must be finite too, so this also says that random agents don't diverge at once.
    check_env_does_not_smoke(env, make_random_select_action_fn(env.action_spec))
    check_env_specs_does_not_smoke(env)


def test_every_id_is_registered():
    assert set(ganno_env.ENVIRONMENTS) <= jumanji.registered_environments()


def test_overrides_win():
    env = jumanji.make("Ganno-Digits-Cnn5-v0", **(TINY | {"learning_rate": 0.0}))
    assert env.num_agents == 5
    state, timestep = jax.jit(env.reset)(jax.random.PRNGKey(0))
    env.observation_spec.validate(timestep.observation)
    env.reward_spec.validate(timestep.reward)
    env.discount_spec.validate(timestep.discount)
    assert float(state.controls["learning_rate"].max()) == 0.0
