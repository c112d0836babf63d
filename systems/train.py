"""Trains a system: `python -m systems.train env=fashion_mnist_cnn2 scale=cpu`.

Any option of the environment (`ganno_env.make_env`) or the system (`systems.config.PPOConfig`) may
be set, as in `env.epochs=10 system.gamma=0.95`. `resume=FOLDER` goes on with a run as if it had
never stopped.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from systems.command import fail, let_through
from systems.devices import configure, is_first, together
from systems.errors import RunError
from systems.files import fresh_folder
from systems.options import TrainOptions
from systems.output import echo, protect_standard_streams
from systems.strict_json import to_json

CONFIGS = str(Path(__file__).resolve().parent.parent / "configs")
CONFIG = "config.yaml"
OVERRIDES = "overrides.json"
RUNS = Path("runs")
NOT_KEPT = ("resume=", "output_dir=", "distributed.")
"""Options that a run does not resume with unless they are given again."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; `arguments` are the command line's if not given.

    Exits with 0 only if training reached its end: 1 after an error, 128 and the signal's number
    after a signal.
    """
    protect_standard_streams()
    try:
        sys.argv[1:] = complete(sys.argv[1:] if arguments is None else arguments)
    except ValueError as error:
        fail(error)
    _hydra_main()


def complete(arguments: Sequence[str]) -> list[str]:
    """Hydra's arguments from the user's.

    `resume=FOLDER` brings along the options that the run was begun with, each unless it is given
    again.

    Raises:
        ValueError: if there is no run to resume.
    """
    given = let_through(arguments)
    folder = next((a.partition("=")[2] for a in given if a.startswith("resume=")), "")
    if folder in ("", "null"):
        return given
    path = Path(folder) / OVERRIDES
    try:
        begun_with = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"resume={folder}: there is no run to resume, as {path} cannot be read ({error}); give "
            "the folder that systems.train wrote"
        ) from error
    keys = {a.partition("=")[0] for a in given}
    return [a for a in begun_with if a.partition("=")[0] not in keys] + given


@hydra.main(version_base="1.3", config_path=CONFIGS, config_name="train")
def _hydra_main(options: DictConfig) -> None:
    try:
        _run(options)
    except (ValueError, RunError) as error:
        # In a sweep Hydra must know which run failed, and go on with the others.
        if os.environ.get("HYDRA_FULL_ERROR") == "1" or HydraConfig.get().mode is RunMode.MULTIRUN:
            raise
        fail(error)


def _run(options: DictConfig) -> None:
    given = TrainOptions.parse(OmegaConf.to_container(options, resolve=True))
    config = given.system.config
    mesh = configure(given.num_devices, num_envs=config.num_envs, distributed=given.distributed)
    # Only now: Jumanji starts JAX as it is imported.
    from ganno_env import make_env
    from ganno_env.registration import check_options
    from systems import training
    from systems.runs import has_run

    hydra_config = HydraConfig.get()
    with together():
        environment = training_environment(given, hydra_config.overrides.task)
        check_options(given.env, "env.", environment.get("network"))
        check_options(given.train_on, "train_on.", environment.get("network"))
        env = make_env(**environment)
        folder = _folder(given.resume or given.output_dir, hydra_config)
    # A job of a sweep that was begun before, and requeued, goes on.
    begun = hydra_config.mode is RunMode.MULTIRUN and has_run(folder)
    kept = [a for a in hydra_config.overrides.task if not a.startswith(NOT_KEPT)]
    result = training.train(
        env,
        config,
        system=given.system.name,
        seed=given.seed,
        mesh=mesh,
        output_dir=folder,
        resume=given.resume is not None or begun,
        environment=environment,
        loggers=given.logger,
        checkpoint_every=given.checkpoint_every,
        keep=given.keep,
        max_skipped_updates=given.max_skipped_updates,
        documents={CONFIG: OmegaConf.to_yaml(options), OVERRIDES: to_json(kept, indent=1)},
    )
    if result.stopped_by is not None:
        if is_first():
            echo(
                f"stopped by {result.stopped_by.name} after update {len(result.records)} of "
                f"{config.num_updates}; go on with: python -m systems.train resume={folder}",
                err=True,
            )
        sys.exit(128 + result.stopped_by)


def training_environment(options: TrainOptions, overrides: Sequence[str]) -> dict[str, Any]:
    """The environment's options with those of the formulation, which go before a scale's.

    Raises:
        ValueError: for an option of `env` in `overrides` that would thus have no effect.
    """
    for override in overrides:
        group, _, option = override.lstrip("+").partition(".")
        name = option.partition("=")[0]
        if group == "env" and name in options.train_on:
            raise ValueError(
                f"env.{option} has no effect, as the formulation sets {name}; "
                f"give train_on.{option}"
            )
    return {**options.env, **options.train_on}


def _folder(given: Path | None, hydra_config: Any) -> Path:
    if given is not None:
        return given
    if hydra_config.mode is RunMode.MULTIRUN:
        return Path(hydra_config.runtime.output_dir)
    if not is_first():
        return RUNS  # where it writes nothing
    choices = hydra_config.runtime.choices
    now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    return fresh_folder(RUNS, f"{choices.env}-{choices.system}-{now}")


if __name__ == "__main__":
    main()
