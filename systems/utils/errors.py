"""Errors of a run other than bad arguments, which are `ValueError`s."""

from __future__ import annotations


class RunError(RuntimeError):
    """An error that ends a run; the message says what to do about it."""


class StorageError(RunError):
    """Something could not be written or read."""


class TrainingDivergedError(RunError):
    """Too many updates in a row were not finite."""
