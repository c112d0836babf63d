"""Trainings of a few updates on a toy."""

from pathlib import Path

from systems.training.loop import TrainResult, train
from tests.systems.conftest import small_config
from tests.toys import Recall

UPDATES = 6


def train_for(updates: int, folder: Path | None = None, **options) -> TrainResult:
    config = small_config(total_timesteps=64 * updates)
    return train(Recall(), config, output_dir=folder, **options)
