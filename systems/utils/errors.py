"""What can go wrong in a run that is not a bad argument (those are `ValueError`s)."""

from __future__ import annotations


class RunError(RuntimeError):
    """Ends a run; the message says what to do about it."""


class StorageError(RunError):
    """Something could not be written or read."""


class TrainingDivergedError(RunError):
    """Too many updates in a row were not finite."""
