"""PPO: networks, losses and one update, and the systems that are made of them."""
