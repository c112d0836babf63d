"""What a run is, how far it has come, and the folder that it lives in."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from systems import checkpoint as checkpoints
from systems import policy as policies
from systems.config import PPOConfig
from systems.files import storage_errors, write_atomically
from systems.loggers import jsonl
from systems.loggers.base import Record
from systems.policy import Policy, make_policy, save_policy
from systems.types import LearnerState

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
        options = dataclasses.asdict(self.config)
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

    def begin(self, state: LearnerState) -> Progress:
        """The beginning of a new run, from its first state.

        Raises:
            ValueError: if the folder has a run in it.
            StorageError: if the folder cannot be made.
        """
        if self.folder is not None:
            with storage_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            for name in (CHECKPOINTS, policies.FILE_NAME, jsonl.FILE_NAME):
                # An empty file is what is left where a logger could not start.
                if (self.folder / name).exists() and (self.folder / name).stat().st_size:
                    raise ValueError(
                        f"{self.folder} has a run in it already ({name}); choose another "
                        "output_dir, or resume that run"
                    )
        self._write_documents()
        return Progress(state=state, update=0, seconds=0.0, records=[])

    def resume(self, state: LearnerState) -> Progress:
        """The newest whole checkpoint's progress; `state` is any state of the same learner.

        Raises:
            ValueError: if there is none, or it is of another run.
            StorageError: if it cannot be restored.
        """
        if self.folder is None:
            raise ValueError("resume needs output_dir, the folder of the run to go on with")
        checkpoint = checkpoints.newest(
            self.folder / CHECKPOINTS, lambda message: print(message, file=sys.stderr, flush=True)
        )
        checkpoints.check_identity(checkpoint, self.identity)
        metrics = self.folder / jsonl.FILE_NAME
        records = jsonl.read_records(metrics) if metrics.exists() else []
        state = checkpoints.restore(checkpoint, state)
        self._write_documents()
        return Progress(
            state=state,
            update=checkpoint.update,
            seconds=checkpoint.seconds,
            records=[record for record in records if record["update"] <= checkpoint.update],
        )

    def _write_documents(self) -> None:
        if self.folder is not None:
            for name, text in self.documents.items():
                write_atomically(self.folder / name, text.encode(), overwrite=True)

    def save(self, at: Progress) -> None:
        """Saves a checkpoint, and the policy with the same parameters.

        Raises:
            StorageError: if either cannot be written; what was saved before is intact.
        """
        if self.folder is None:
            return
        checkpoints.save(
            self.folder / CHECKPOINTS,
            self.identity,
            at.state,
            update=at.update,
            seconds=at.seconds,
            score=at.records[-1].get("episode_return"),
            keep=self.keep,
        )
        save_policy(self.policy(at), self.folder / policies.FILE_NAME, overwrite=True)

    def policy(self, at: Progress) -> Policy:
        """The policy with the parameters after the last update, and what it cost."""
        information = self.identity | {
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
