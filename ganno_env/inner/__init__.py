"""The supervised loop that the game is about."""

from ganno_env.inner.loop import Gradient, InnerLoop
from ganno_env.inner.optimisers import OPTIMISERS, Optimiser
from ganno_env.inner.order import example_indices

__all__ = ["OPTIMISERS", "Gradient", "InnerLoop", "Optimiser", "example_indices"]
