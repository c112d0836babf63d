"""A small environment, made and compiled once for all tests that only read from it."""

from __future__ import annotations

from typing import Any

import pytest

from ganno_env import NetworkTraining, make_env


def small_env(**changes: Any) -> NetworkTraining:
    sizes: dict[str, Any] = {
        "network": "mlp",
        "train_size": 256,
        "validation_size": 64,
        "test_size": 100,
        "batch_size": 32,
        "epochs": 2,
        "updates_per_step": 5,
        "learning_rate": 0.003,
        "weight_decay": 0.01,
    }
    return make_env(**{**sizes, **changes})


@pytest.fixture(scope="session")
def env() -> NetworkTraining:
    return small_env()
