"""The supervised loop that the game is about."""

from ganno_env.inner.loop import Gradient, InitialNetwork, InnerLoop
from ganno_env.inner.shuffle import example_indices

__all__ = ["Gradient", "InitialNetwork", "InnerLoop", "example_indices"]
