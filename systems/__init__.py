"""Multi-agent reinforcement learning systems, and the commands that train and evaluate them."""

from ganno.extras import require

require("systems", "hydra", "rich", "yaml")
