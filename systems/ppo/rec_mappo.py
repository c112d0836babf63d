"""rec-MAPPO: rec-IPPO with a centralised critic.

The paper's appendix H.2 names it as the way on in crediting agents for what they did. Only the
critic differs, and only training needs it: the policies of both systems run alike on any number of
agents.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from ganno_env.vector import MultiAgentEnvironment
from systems.ppo import rec_ippo
from systems.ppo.config import PPOConfig
from systems.ppo.types import Learner


def joint_view(view: Float[Array, "... N F"]) -> Float[Array, "... N G"]:
    """The centralised critic's view: for each agent its own observation, then everybody's.

    G = (N + 1) * F. Its own comes first so that agents with rewards of their own can be told apart.
    """
    *leading, num_agents, num_features = view.shape
    everybody = view.reshape(*leading, 1, num_agents * num_features)
    everybody = jnp.broadcast_to(everybody, (*leading, num_agents, num_agents * num_features))
    return jnp.concatenate([view, everybody], axis=-1)


def make_learner(
    env: MultiAgentEnvironment, config: PPOConfig, mesh: Mesh | None = None
) -> Learner:
    """The system on an environment; arguments and errors as `rec_ippo.make_learner`'s."""
    return rec_ippo.make_learner(env, config, mesh, critic_view=joint_view)
