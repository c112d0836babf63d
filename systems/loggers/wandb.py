"""Weights & Biases; `mode=offline` needs no account and can be synchronised later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from systems.loggers.base import FINISHED, STATUS, Package, Record, Run


class WandbLogger:
    """Logs to a project.

    Args:
        run: what is logged.
        project, mode: as `wandb.init`'s: "online", "offline" or "disabled".
        **options: any other argument of `wandb.init`.
    """

    package = Package("wandb", "wandb")

    def __init__(
        self, run: Run, project: str = "ganno", mode: str = "offline", **options: Any
    ) -> None:
        wandb = self.package.load()
        try:
            self._run = wandb.init(
                project=project,
                mode=mode,
                name=run.name,
                dir=str(run.folder),
                config=dict(run.config),
                **options,
            )
        except Exception as error:
            raise ValueError(f"Weights & Biases cannot start: {error}; try mode=offline") from error

    def log(self, record: Record) -> None:
        """One row, at its number of environment steps."""
        self._run.log(dict(record), step=int(record["env_steps"]))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Sends the summary and ends the run, as failed if anything ended it early."""
        self._run.summary.update(dict(summary))
        if summary.get(STATUS, FINISHED) == FINISHED:
            self._run.finish()
        else:
            self._run.finish(exit_code=1)
