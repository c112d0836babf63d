"""A training from its first update to its last: the loop, the run's folder, its checkpoints."""
