"""Training a neural network as a game: a Jumanji environment with an agent for each layer."""

from ganno_env.env import NetworkTraining
from ganno_env.registration import ENVIRONMENTS, make_env

__all__ = ["ENVIRONMENTS", "NetworkTraining", "make_env"]
