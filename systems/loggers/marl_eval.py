"""The JSON that `id-marl-eval` reads, to compare runs by its tables and plots.

The layout is environment / task / algorithm / seed / step, each step with lists of figures, and
`absolute_metrics` at the end. Writing it needs no package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from systems.files import write_atomically
from systems.loggers.base import Record, Run

FILE_NAME = "marl_eval.json"


class MarlEvalLogger:
    """Rewrites `marl_eval.json` at every update in which an episode ended.

    Args:
        run: what is logged.
        metric: the figure to report.
    """

    def __init__(self, run: Run, metric: str = "episode_return") -> None:
        self._path = run.folder / FILE_NAME
        self._metric = metric
        self._steps: dict[str, Any] = {}
        self._names = ("ganno", run.environment, run.system, f"seed_{run.seed}")
        if self._path.exists():
            content = json.loads(self._path.read_bytes())
            for name in self._names:
                content = content[name]
            last = run.first_update * run.timesteps_per_update
            self._steps = {
                k: v for k, v in content.items() if "step_count" in v and v["step_count"] <= last
            }
        self._write()

    def log(self, record: Record) -> None:
        """Adds a step and rewrites the file."""
        if self._metric in record:
            self._steps[f"step_{len(self._steps)}"] = {
                "step_count": int(record["env_steps"]),
                "elapsed_time": int(record["seconds"]),
                self._metric: [record[self._metric]],
            }
            self._write()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Adds the best figure as the absolute one."""
        values = [step[self._metric] for step in self._steps.values()]
        if values:
            self._write({"absolute_metrics": {self._metric: max(values)}})

    def _write(self, rest: Mapping[str, Any] | None = None) -> None:
        content: dict[str, Any] = {**self._steps, **(rest or {})}
        for name in reversed(self._names):
            content = {name: content}
        write_atomically(self._path, json.dumps(content, indent=1).encode(), overwrite=True)
