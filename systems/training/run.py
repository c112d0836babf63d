"""A run: what it trains, how far it has come, and the folder where it is kept."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from systems.loggers import jsonl
from systems.loggers.base import Record
from systems.policy import policy as policies
from systems.policy.policy import Policy, make_policy, save_policy
from systems.ppo.config import PPOConfig
from systems.ppo.types import LearnerState
from systems.training import checkpoint as checkpoints
from systems.training.checkpoint import Checkpoint
from systems.training.devices import is_first, synchronised, to_host
from systems.utils.files import storage_errors, write_atomically
from systems.utils.output import echo

CHECKPOINTS = "checkpoints"


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run has come: its state after `update` updates, which took `seconds`."""

    state: LearnerState
    update: int
    seconds: float
    records: list[Record]


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """A run, and where it is kept.

    Attributes:
        env, environment: what it trains on, and the plain JSON that this was made from.
        system, config, seed: what it trains, and from which seed.
        folder: where it is kept; None for nowhere.
        keep: how many of the newest checkpoints to keep.
        num_devices: how many devices it runs on.
        documents: texts to keep in the folder, by file name.
    """

    env: Any
    environment: Mapping[str, Any]
    system: str
    config: PPOConfig
    seed: int
    folder: Path | None
    keep: int
    num_devices: int
    documents: Mapping[str, str]

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be continued, plain JSON."""
        options = self.config.model_dump()
        if not self.config.anneal_learning_rates:
            # A run may be made longer on resuming, unless its length is in its learning rates.
            del options["total_timesteps"]
        return {
            "system": self.system,
            "seed": self.seed,
            "config": options,
            "environment": dict(self.environment),
        }

    @property
    def environment_name(self) -> str:
        """The environment in a word, for loggers."""
        parts = [self.environment[k] for k in ("dataset", "network") if k in self.environment]
        return "_".join(map(str, parts)) or str(self.environment.get("name", "environment"))

    def open(self, resume: bool) -> Checkpoint | None:
        """Makes sure of the folder; returns what to resume from, if anything. Compiles nothing.

        Raises:
            ValueError: if a new run's folder has a run in it, or there is nothing to resume from,
                or it is of another run.
            StorageError: if the folder cannot be written to.
        """
        found = self._newest() if resume else None
        if self.folder is not None and is_first():
            with storage_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=self.folder).close()
            if not resume:
                self._check_new(self.folder)
            for name, text in self.documents.items():
                write_atomically(self.folder / name, text.encode(), overwrite=True)
        return found

    def _newest(self) -> Checkpoint | None:
        if self.folder is None:
            raise ValueError("resume needs output_dir, the folder of the run to go on with")
        if is_unsaved(self.folder):
            _report(f"the run in {self.folder} ended before its first checkpoint and begins anew")
            return None
        found = checkpoints.newest(self.folder / CHECKPOINTS, _report)
        checkpoints.check_identity(found, self.identity)
        return found

    def _check_new(self, folder: Path) -> None:
        if found := _traces(folder):
            raise ValueError(
                f"{folder} has a run in it already ({found[0]}); choose another output_dir, or "
                "resume that run"
            )

    def start(self, found: Checkpoint | None, state: LearnerState) -> Progress:
        """The progress of what `open` found; from none, the beginning.

        A policy is written again: the run may have ended between a checkpoint and its policy, or
        the checkpoints after this one be damaged.

        Args:
            found: from `open`.
            state: the learner's first.

        Raises:
            ValueError: if the checkpoint is of another learner's state.
            StorageError: if it cannot be restored, or the policy cannot be written.
        """
        if found is None or self.folder is None:
            return Progress(state=state, update=0, seconds=0.0, records=[])
        metrics = self.folder / jsonl.FILE_NAME
        records = jsonl.read_records(metrics) if metrics.exists() else []
        at = Progress(
            state=checkpoints.restore(found, state),
            update=found.update,
            seconds=found.seconds,
            records=[record for record in records if record["update"] <= found.update],
        )
        if is_first():
            save_policy(self.policy(at), self.folder / policies.FILE_NAME, overwrite=True)
        return at

    def save(self, at: Progress) -> None:
        """Saves a checkpoint, and the policy with the same parameters; the first process does.

        Raises:
            StorageError: if either cannot be written; what was saved before is intact.
        """
        if self.folder is None:
            return
        state = to_host(at.state)
        with synchronised():
            if is_first():
                checkpoints.save(
                    self.folder / CHECKPOINTS,
                    self.identity,
                    state,
                    update=at.update,
                    seconds=at.seconds,
                    score=at.records[-1].get("episode_return"),
                    keep=self.keep,
                )
                save_policy(self.policy(at), self.folder / policies.FILE_NAME, overwrite=True)

    def policy(self, at: Progress) -> Policy:
        """The policy with the parameters after the last update, and what it cost."""
        information = self.identity | {
            "decisions": self.env.time_limit,
            "training": {
                "env_steps": at.update * self.config.timesteps_per_update,
                "updates": at.update,
                "seconds": at.seconds,
                "devices": self.num_devices,
                "platform": jax.default_backend(),
            },
            "versions": {name: importlib.metadata.version(name) for name in ("jax", "jumanji")},
        }
        learned = at.state.learned
        return make_policy(
            self.config,
            self.env,
            learned.params.actor,
            learned.observation_statistics,
            information,
        )


def _report(message: str) -> None:
    if is_first():
        echo(message, err=True)


def has_run(folder: Path) -> bool:
    """Whether a folder has files of a run in it, so that a new run there would be refused."""
    return bool(_traces(folder))


def is_unsaved(folder: Path) -> bool:
    """Whether a folder's run ended before anything of it was saved, but for its figures."""
    traces = _traces(folder)
    return bool(traces) and policies.FILE_NAME not in traces and not has_checkpoints(folder)


def _traces(folder: Path) -> list[str]:
    # An empty file is what is left where a logger could not start.
    return [
        name
        for name in (CHECKPOINTS, policies.FILE_NAME, jsonl.FILE_NAME)
        if (folder / name).exists() and (folder / name).stat().st_size
    ]


def has_checkpoints(folder: Path) -> bool:
    """Whether a run's folder has anything to resume from, damaged or not."""
    return bool(checkpoints.folders(folder / CHECKPOINTS))
