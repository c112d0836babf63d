"""Every id passes Jumanji's own checks, on the real datasets where these are to be had."""

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
from ganno_env.datasets import DatasetError

SMALL = {
    "train_size": 100,
    "validation_size": 20,
    "test_size": 20,
    "batch_size": 10,
    "epochs": 0.6,
    "updates_per_step": 2,
    "network_options": {"width": 0.05},
}


@pytest.mark.parametrize("name", ganno_env.ENVIRONMENTS)
def test_every_id_passes_jumanjis_checks(name):
    try:
        env = jumanji.make(name, **SMALL)
    except DatasetError as error:
        pytest.skip(f"no data for {name}: {error}")
    # Whole states must be finite too, so this also says that random agents don't diverge at once.
    check_env_does_not_smoke(env, make_random_select_action_fn(env.action_spec))
    check_env_specs_does_not_smoke(env)


def test_every_id_is_registered():
    assert set(ganno_env.ENVIRONMENTS) <= jumanji.registered_environments()


def test_overrides_win():
    env = jumanji.make("Ganno-Digits-Cnn5-v0", **(SMALL | {"learning_rate": 0.0}))
    assert env.num_agents == 5
    state, timestep = env.reset(jax.random.PRNGKey(0))
    env.observation_spec.validate(timestep.observation)
    env.reward_spec.validate(timestep.reward)
    env.discount_spec.validate(timestep.discount)
    assert float(state.controls["learning_rate"].max()) == 0.0
