"""The systems by name. A new one is a file and a line here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from jax.sharding import Mesh

from ganno_env.registry import Registry
from ganno_env.vector import MultiAgentEnvironment
from systems import rec_ippo, rec_mappo
from systems.config import PPOConfig
from systems.types import Learner


@dataclasses.dataclass(frozen=True)
class System:
    """A system as the host loop needs it.

    Attributes:
        config: the class of its options.
        make_learner: `(env, config, mesh) -> learner`.
    """

    config: type[PPOConfig]
    make_learner: Callable[[MultiAgentEnvironment, PPOConfig, Mesh | None], Learner]


SYSTEMS = Registry[System]("system")
SYSTEMS.add("rec_ippo", System(PPOConfig, rec_ippo.make_learner))
SYSTEMS.add("rec_mappo", System(PPOConfig, rec_mappo.make_learner))
