"""The training loop on the host, around the compiled update."""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from jax.sharding import Mesh

from ganno.options import Count, PathLike, Seed, typed
from ganno_env.registry import NameIn
from systems.loggers import Loggers, Record, Run, make_loggers
from systems.loggers.base import FINISHED, STATUS
from systems.policy.policy import Policy
from systems.ppo.config import PPOConfig
from systems.ppo.mesh import make_mesh
from systems.ppo.registry import SYSTEMS
from systems.ppo.types import Learner, LearnerState, Metrics
from systems.training.curves import draw_training_curve, first_and_last_tenth
from systems.training.devices import check_same, is_first, synchronised
from systems.training.run import Progress, TrainingRun
from systems.training.signals import StopRequest
from systems.utils.errors import TrainingDivergedError

CURVE = "training.png"


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes:
        policy: with the parameters after the last update.
        state: the learner's, after the last update.
        records: each update's figures, those from before a resumption included.
        folder: where everything is, if it was written.
        stopped_by: the signal that ended the run before its last update, if one did.
    """

    policy: Policy
    state: LearnerState
    records: list[Record]
    folder: Path | None
    stopped_by: signal.Signals | None


@typed
def train(
    env: Any,
    config: PPOConfig,
    *,
    system: Annotated[str, NameIn(SYSTEMS)] = "rec_ippo",
    seed: Seed = 0,
    mesh: Mesh | None = None,
    output_dir: PathLike | None = None,
    resume: bool = False,
    environment: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Mapping[str, Any] | None] | None = None,
    checkpoint_every: Count = 10,
    keep: Count = 3,
    max_skipped_updates: Count = 10,
    stop_after_updates: Count | None = None,
    documents: Mapping[str, str] | None = None,
) -> TrainResult:
    """Trains a system on an environment.

    With an `output_dir`, leaves there a policy (`policy.npz`), training checkpoints, a picture of
    the training curve and whatever the loggers write. On SIGTERM, SIGINT or SIGHUP, ends after the
    update that is under way, and saves.

    Several processes (`systems.options.commands.Distributed`) call this with the same arguments.
    The first one writes and logs; what ends one of them ends all, after the same update. To resume,
    each must see `output_dir`.

    Args:
        env: a multi-agent Jumanji environment with `ganno_env.types.Observation`s.
        config: the system's options.
        system: a name in `SYSTEMS`.
        seed: what all randomness follows from.
        mesh: the devices (`systems.training.devices.configure`); one if not given.
        output_dir: where to write; nothing is written if not given.
        resume: go on from the newest whole checkpoint in `output_dir`.
        environment: what the environment was made from, plain JSON: kept with the policy, and
            compared on resuming.
        loggers: options of each logger, by its name in `LOGGERS`; by default "jsonl" alone, or none
            without an `output_dir`.
        checkpoint_every: updates between two checkpoints; the last update is always followed by
            one.
        keep: how many of the newest checkpoints to keep, beside the best.
        max_skipped_updates: how many updates in a row may fail to be finite.
        stop_after_updates: end after so many updates in all, though the run is a longer one: what
            it has come to by then is what the longer run had, and it may be resumed.
        documents: texts to leave in `output_dir` too, by file name.

    Raises:
        ValueError: before any training, for bad arguments, an `output_dir` with another run in it,
            a logger that cannot start, or nothing (or something else) to resume from.
        StorageError: if a checkpoint or policy cannot be written; those before it are intact.
        TrainingDivergedError: if too many updates in a row were not finite.
        ProcessError: if another process failed.
    """
    folder = None if output_dir is None else Path(output_dir)
    if loggers is None:
        loggers = {"jsonl": None} if folder else {}
    if folder is None and (homeless := sorted(set(loggers) - {"console"})):
        raise ValueError(f"loggers {homeless} write files; give an output_dir, or leave them out")
    mesh = make_mesh(jax.devices(), 1) if mesh is None else mesh
    learner = SYSTEMS[system](env, config, mesh)
    run = TrainingRun(
        env=env,
        environment=environment or {"name": type(env).__name__},
        system=system,
        config=config,
        seed=seed,
        folder=folder,
        keep=keep,
        num_devices=mesh.size,
        documents=documents or {},
    )
    with synchronised():
        found = run.open(resume)
    checked = [checkpoint_every, max_skipped_updates, folder is None, found and found.update]
    last = min(config.num_updates, stop_after_updates or config.num_updates)
    check_same([run.identity, last, *checked])
    state = learner.init(jax.random.PRNGKey(seed))
    with contextlib.ExitStack() as stack:
        with synchronised():
            at = run.start(found, state)
            loggers_here = loggers if is_first() else {}
            sink = stack.enter_context(make_loggers(loggers_here, _described(run, at)))
        at, stopped_by = _loop(learner, run, at, sink, last, checkpoint_every, max_skipped_updates)
        with synchronised():
            if folder is not None and is_first():
                draw_training_curve(at.records, folder / CURVE)
        sink.finish(_summary(run, at, stopped_by))
    return TrainResult(
        policy=run.policy(at),
        state=at.state,
        records=at.records,
        folder=folder,
        stopped_by=stopped_by,
    )


def _loop(
    learner: Learner,
    run: TrainingRun,
    at: Progress,
    sink: Loggers,
    last: int,
    checkpoint_every: int,
    max_skipped_updates: int,
) -> tuple[Progress, signal.Signals | None]:
    """Updates until the last, or a signal; returns how far it came, which is saved."""
    saved = at.update
    stopped_by: signal.Signals | None = None
    with StopRequest() as stop:
        while at.update < last and stopped_by is None:
            at = _advance(learner, run.config, at)
            sink.log(at.records[-1])
            skipped = at.records[-1]["skipped_updates_in_a_row"]
            if at.update % checkpoint_every == 0 or skipped >= max_skipped_updates:
                run.save(at)
                saved = at.update
            if skipped >= max_skipped_updates:
                raise TrainingDivergedError(
                    f"{skipped:.0f} updates in a row were not finite; the last good parameters are "
                    f"in {run.folder or 'no folder, as no output_dir was given'}. Try lower "
                    "learning rates or a smaller max_gradient_norm"
                )
            stopped_by = stop.agreed()
        if saved < at.update:
            run.save(at)
        return at, stop.agreed()


def _advance(learner: Learner, config: PPOConfig, at: Progress) -> Progress:
    """One update, and its record. Fetching the metrics is the loop's one wait for the devices."""
    began = time.monotonic()
    state, metrics = learner.update(at.state)
    figures = _figures(metrics)
    took = time.monotonic() - began
    update, seconds = at.update + 1, at.seconds + took
    record: Record = {
        "update": update,
        "env_steps": update * config.timesteps_per_update,
        "seconds": seconds,
        "steps_per_second": config.timesteps_per_update / took,
        **figures,
    }
    return Progress(state=state, update=update, seconds=seconds, records=[*at.records, record])


def _figures(metrics: Metrics) -> dict[str, float]:
    """On the host; without the means over episodes where no episode ended."""
    figures = {name: float(value) for name, value in jax.device_get(metrics).items()}
    if figures["episodes"] == 0:
        figures = {k: v for k, v in figures.items() if not k.startswith("episode_")}
    return figures


def _described(run: TrainingRun, at: Progress) -> Run:
    return Run(
        name=run.folder.name if run.folder else run.system,
        folder=run.folder or Path(),
        system=run.system,
        environment=run.environment_name,
        seed=run.seed,
        config=run.identity,
        num_updates=run.config.num_updates,
        timesteps_per_update=run.config.timesteps_per_update,
        first_update=at.update,
    )


def _summary(run: TrainingRun, at: Progress, stopped_by: signal.Signals | None) -> dict[str, Any]:
    returns = np.array([r["episode_return"] for r in at.records if "episode_return" in r])
    summary: dict[str, Any] = {
        STATUS: FINISHED if stopped_by is None else f"stopped by {stopped_by.name}",
        "environment steps": at.update * run.config.timesteps_per_update,
        "updates": f"{at.update} of {run.config.num_updates}",
        "updates skipped": int(at.records[-1]["skipped_updates"]) if at.records else 0,
        "seconds": round(at.seconds, 1),
        "peak memory (MB)": round(_peak_memory() / 1e6),
    }
    if returns.size:
        first, last = first_and_last_tenth(returns)
        summary |= {"return, first tenth": float(first), "return, last tenth": float(last)}
    if run.folder is not None:
        summary["written to"] = str(run.folder)
    return summary


def _peak_memory() -> int:
    """The most memory that this process ever had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
