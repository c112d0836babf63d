"""PPO, from what the networks are to one update; and the systems that are made of it."""
