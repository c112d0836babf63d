"""Agents in optax's training loops: a gradient transformation that scales by layerwise rates.

optimizer = optax.chain(
    optax.scale_by_adam(),
    optax.add_decayed_weights(1e-4),
    ganno.optax.schedule_by_agents(total_steps=600, learning_rate=1e-3),
)
"""

from ganno.extras import require

require("optax", "jax", "optax")

from ganno.optax.layers import find_layers  # noqa: E402  (after what it needs)
from ganno.optax.transformation import AgentsState, history, schedule_by_agents  # noqa: E402

__all__ = ["AgentsState", "find_layers", "history", "schedule_by_agents"]
