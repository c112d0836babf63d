"""The systems by name. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from jax.sharding import Mesh

from ganno_env.registry import Registry
from ganno_env.vector import MultiAgentEnvironment
from systems.ppo import rec_ippo, rec_mappo
from systems.ppo.config import PPOConfig
from systems.ppo.types import Learner

MakeLearner: TypeAlias = Callable[[MultiAgentEnvironment, PPOConfig, Mesh | None], Learner]

SYSTEMS = Registry[MakeLearner]("system")
SYSTEMS.add("rec_ippo", rec_ippo.make_learner)
SYSTEMS.add("rec_mappo", rec_mappo.make_learner)
