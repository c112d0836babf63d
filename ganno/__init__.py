"""Learning rates set by trained agents, layer by layer, in any training loop.

This package needs NumPy alone. `ganno.torch` and `ganno.optax` use it in PyTorch's and in optax's
loops, and import those when they are imported themselves; `ganno.options`, which the environment
and the systems stand on, needs pydantic.
"""

from ganno.agent import Agent
from ganno.history import History
from ganno.policy import Policy, load_policy

__all__ = ["Agent", "History", "Policy", "load_policy"]
