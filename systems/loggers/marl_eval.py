"""The JSON that `id-marl-eval` reads, to compare runs by its tables and plots.

The layout is environment / task / algorithm / seed / step, each step with lists of figures, and
`absolute_metrics` at the end. Writing it needs no package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from systems.loggers.base import Record, Run
from systems.utils.files import discard, storage_errors, write_atomically
from systems.utils.strict_json import to_json

FILE_NAME = "marl_eval.json"


class MarlEvalLogger:
    """Rewrites `marl_eval.json` at every update in which an episode ended.

    The file is always one that MARL-eval reads, whenever the run ends: it has the best figure so
    far as the absolute one, and is not there before there is a figure.

    Args:
        run: what is logged.
        metric: the figure to report; where it is not finite, the step is left out.
    """

    def __init__(self, run: Run, metric: str = "episode_return") -> None:
        self._path = run.folder / FILE_NAME
        self._metric = metric
        self._names = ("ganno", run.environment, run.system, f"seed_{run.seed}")
        last = run.first_update * run.timesteps_per_update
        self._steps = {
            name: step
            for name, step in self._read().items()
            if "step_count" in step and step["step_count"] <= last
        }
        with storage_errors(self._path):
            run.folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def log(self, record: Record) -> None:
        """Adds a step and rewrites the file."""
        value = record.get(self._metric, math.nan)
        if math.isfinite(value):
            self._steps[f"step_{len(self._steps)}"] = {
                "step_count": int(record["env_steps"]),
                "elapsed_time": int(record["seconds"]),
                self._metric: [value],
            }
            self._write()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Does nothing: the file is whole already."""

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        try:
            content: Any = json.loads(self._path.read_bytes())
            for name in self._names:
                content = content[name]
            return dict(content)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self._path} is not this run's ({error!r}); remove it, or choose another "
                "output_dir"
            ) from error

    def _write(self) -> None:
        if not self._steps:
            discard(self._path)
            return
        best = max(step[self._metric] for step in self._steps.values())
        content: dict[str, Any] = {**self._steps, "absolute_metrics": {self._metric: best}}
        for name in reversed(self._names):
            content = {name: content}
        write_atomically(self._path, to_json(content, indent=1).encode(), overwrite=True)
