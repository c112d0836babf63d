"""Training a neural network as a game: a Jumanji environment with an agent for each layer."""

from ganno.extras import require

require("env", "chex", "jax", "jaxtyping", "jumanji", "matplotlib", "optax", "pydantic", "sklearn")

from ganno_env.env import NetworkTraining  # noqa: E402  (after what it needs)
from ganno_env.registration import ENVIRONMENTS, make_env  # noqa: E402

__all__ = ["ENVIRONMENTS", "NetworkTraining", "make_env"]
