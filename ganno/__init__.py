"""Learning rates set by trained agents, layer by layer, in any training loop.

This package needs NumPy alone. `ganno.torch` and `ganno.optax` use it in PyTorch's and in optax's
loops, and import those when they are imported themselves; `ganno.options`, which the environment
and the systems stand on, needs pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganno.agent import Agent
    from ganno.history import History
    from ganno.policy import Policy, load_policy

__all__ = ["Agent", "History", "Policy", "load_policy"]

_MODULES = {"Agent": "agent", "History": "history", "Policy": "policy", "load_policy": "policy"}


def __getattr__(name: str) -> Any:
    """Imports what is asked for, as it is: commands that list themselves have no use for NumPy."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
