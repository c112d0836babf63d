"""Trains a system: `python -m systems.train env=fashion_mnist_cnn2 scale=cpu`.

Any option of the environment (`ganno_env.make_env`) or the system (`systems.ppo.config.PPOConfig`)
may be set, as in `env.epochs=10 system.gamma=0.95`. `resume=FOLDER` goes on with a run as if it had
never stopped. `-m` trains once for each of several values, as in `-m seed=0,1,2`.
"""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from ganno import plugins
from systems.command_line.arguments import Override, value_of
from systems.command_line.command import Command
from systems.options.commands import TrainOptions
from systems.utils.files import folder_if_used
from systems.utils.output import echo
from systems.utils.strict_json import plain, to_json

CONFIG = "config.yaml"
OVERRIDES = "overrides.json"
RUNS = Path("runs")
SUBDIR = "."
"""Hydra's folder for a run of a sweep where the configs leave it to us to name it."""
NOT_KEPT = ("resume", "output_dir", "distributed.")
"""Options that a run does not resume with unless they are given again."""


def complete(overrides: Sequence[str]) -> list[str]:
    """Hydra's overrides with those of the run that is resumed, if one is.

    `resume=FOLDER` brings along the options that the run was begun with, each unless it is given
    again.

    Raises:
        ValueError: if there is no run to resume.
    """
    folder = None
    for override in overrides:
        if Override.of(override).name == "resume":
            folder = value_of(override)
    if not isinstance(folder, str) or not folder:
        return list(overrides)
    path = Path(folder) / OVERRIDES
    try:
        begun_with = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"resume={folder}: there is no run to resume, as {path} cannot be read ({error}); give "
            "the folder that systems.train wrote"
        ) from error
    names = {Override.of(override).name for override in overrides}
    kept = COMMAND.rename(begun_with)
    return [a for a in kept if Override.of(a).name not in names] + list(overrides)


COMMAND = Command(
    module="systems.train",
    config="train",
    options=TrainOptions,
    choices=("env", "network", "system"),
    open=("env", "system", "train_on", "logger"),
    groups=("scale", "formulation"),
    complete=complete,
)
main = COMMAND.main


def run(given: TrainOptions) -> None:
    """Trains. Exits with 128 and the signal's number if a signal ended it.

    Raises:
        ValueError: for whatever is wrong with the options, before anything is compiled.
        StorageError, TrainingDivergedError, ProcessError: see `systems.training.loop.train`.
    """
    from systems.training.devices import configure, is_first, synchronised

    config = given.system.config
    mesh = configure(given.num_devices, num_envs=config.num_envs, distributed=given.distributed)
    # Only now: Jumanji starts JAX as it is imported.
    from ganno_env import make_env
    from ganno_env.registration import check_options
    from systems.loggers import check_loggers
    from systems.ppo.registry import SYSTEMS

    hydra_config = HydraConfig.get()
    overrides: Any = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)
    with ExitStack() as stack:
        with synchronised():
            plugins.load(given.plugins)
            SYSTEMS[given.system.name]  # an unknown one is refused here
            check_loggers(given.loggers)
            environment = training_environment(given, overrides)
            network = environment.get("network")
            check_options({k: v for k, v in given.env.items() if k != "name"}, "env.", network)
            check_options(given.train_on, "train_on.", network)
            env = make_env(**environment)
            # They take a while to import, so they come after what may be refused.
            from systems.training import loop as training
            from systems.training.run import has_run

            folder = stack.enter_context(_folder(given, environment, hydra_config))
        # A job of a sweep that was begun before, and requeued, goes on.
        begun = hydra_config.mode is RunMode.MULTIRUN and has_run(folder)
        result = training.train(
            env,
            config,
            system=given.system.name,
            seed=given.seed,
            mesh=mesh,
            output_dir=folder,
            resume=given.resume is not None or begun,
            environment=environment,
            loggers=given.loggers,
            checkpoint_every=given.checkpoint_every,
            keep=given.keep,
            max_skipped_updates=given.max_skipped_updates,
            documents=_documents(given, environment, overrides),
        )
    if result.stopped_by is not None:
        if is_first():
            echo(
                f"stopped by {result.stopped_by.name} after update {len(result.records)} of "
                f"{config.num_updates}; go on with: python -m systems.train "
                + shlex.quote(f"resume={folder}"),
                err=True,
            )
        sys.exit(128 + result.stopped_by)


def training_environment(options: TrainOptions, overrides: Sequence[str]) -> dict[str, Any]:
    """The environment's options with those of the formulation, which go before a scale's.

    Raises:
        ValueError: for an unknown environment, or an option of `env` in `overrides` that would
            have no effect.
    """
    from ganno_env.registration import by_name

    for override in map(Override.of, overrides):
        group, _, name = override.name.partition(".")
        if group == "env" and name in options.train_on:
            raise ValueError(
                f"env.{name}={override.value} has no effect, as the formulation sets {name}; "
                f"give train_on.{name}={override.value}"
            )
    return {**by_name(options.env), **options.train_on}


def _documents(
    given: TrainOptions, environment: Mapping[str, Any], overrides: Sequence[str]
) -> dict[str, str]:
    """What is kept beside a run: all its options, and those that were given."""
    values = given.model_dump(mode="json") | {"env": environment}
    kept = [a for a in overrides if not Override.of(a).name.startswith(NOT_KEPT)]
    return {
        CONFIG: yaml.safe_dump(plain(values), sort_keys=False, allow_unicode=True),
        OVERRIDES: to_json(kept, indent=1),
    }


def _folder(
    given: TrainOptions, environment: Mapping[str, Any], hydra_config: Any
) -> AbstractContextManager[Path]:
    """Where the run is kept; a new folder is named after what is trained."""
    from systems.training.devices import is_first

    name = f"{environment['dataset']}_{environment['network']}-{given.system.name}"
    chosen = given.resume or given.output_dir
    if chosen is None and hydra_config.mode is RunMode.MULTIRUN:
        chosen = Path(hydra_config.runtime.output_dir)
        if hydra_config.sweep.subdir == SUBDIR:
            chosen = chosen / f"{name}-{hydra_config.job.num}"
    if chosen is not None or not is_first():
        return nullcontext(chosen or RUNS)  # where others than the first process write nothing
    now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    return folder_if_used(RUNS, f"{name}-{now}")


if __name__ == "__main__":
    main()
