"""A small learner on a toy, compiled once for all the tests that only read from it."""

from __future__ import annotations

from typing import Any

import jax
import pytest

from systems import rec_ippo
from systems.config import PPOConfig
from systems.devices import make_mesh
from tests.toys import Recall


def small_config(**changes: Any) -> PPOConfig:
    sizes: dict[str, Any] = {
        "total_timesteps": 64 * 1000,
        "num_envs": 4,
        "rollout_length": 16,
        "actor_layers": (16,),
        "recurrent_size": 16,
        "post_recurrent_layers": (16,),
        "critic_layers": (16,),
    }
    return PPOConfig(**{**sizes, **changes})


def mesh_of(num_devices: int) -> jax.sharding.Mesh:
    if len(jax.devices()) < num_devices:
        pytest.skip(f"needs {num_devices} devices")
    return make_mesh(jax.devices(), num_devices)


@pytest.fixture(scope="session")
def learner() -> rec_ippo.Learner:
    return rec_ippo.make_learner(Recall(), small_config())
