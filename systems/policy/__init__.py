"""Trained policies as files, and the one that comes with the package."""
