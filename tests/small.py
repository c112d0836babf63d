"""A tiny real environment: scikit-learn's digits, a narrow network, short steps."""

from __future__ import annotations

from typing import Any

from ganno_env import NetworkTraining, make_env

ARGUMENTS: dict[str, Any] = {
    "dataset": "digits",
    "network": "cnn2",
    "network_options": {"width": 0.125},
    "train_size": 200,
    "validation_size": 50,
    "test_size": 60,
    "batch_size": 16,
    "updates_per_step": 5,
    "epochs": 1.7,
}


def small_env(**changes: Any) -> NetworkTraining:
    """Two agents and four steps of five updates, with some of `make_env`'s arguments changed."""
    return make_env(**(ARGUMENTS | changes))
