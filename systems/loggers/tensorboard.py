"""TensorBoard, through tensorboardX: event files that need no TensorFlow to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from systems.loggers.base import Package, Record, Run


class TensorBoardLogger:
    """Writes to the run's `tensorboard` folder, against environment steps."""

    package = Package("tensorboardX", "tensorboard")

    def __init__(self, run: Run) -> None:
        self._writer = self.package.load().SummaryWriter(
            str((run.folder / "tensorboard").absolute()),
            # What an interrupted process wrote after its last checkpoint is not shown twice.
            purge_step=run.first_update * run.timesteps_per_update + 1,
        )

    def log(self, record: Record) -> None:
        """One scalar for each figure."""
        for name, value in record.items():
            self._writer.add_scalar(name, value, int(record["env_steps"]))
        self._writer.flush()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Closes the event file."""
        self._writer.close()
