"""Multi-agent reinforcement learning systems, and the commands that train and evaluate them."""
