"""Upstream Mava's own systems on our environment: `python -m systems.mava system=rec_ippo`.

`system=` is rec_ippo (the paper's), rec_mappo, ff_ippo or ff_mappo. `env=`, `network=`, `scale=`,
`env.X=` and `plugins=` mean what they mean to `systems.train`. All else goes to Mava's configs, as
in `system.actor_lr=3e-4 arch.num_eval_episodes=8 logger.use_json=True`. Mava is installed by
`python -m pip install --no-deps -r requirements-mava.txt`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ganno import plugins
from ganno.names import unknown
from systems.command_line.arguments import Override, Parsed
from systems.command_line.command import CONFIGS, Command, enter
from systems.integrations.mava import (
    ENVIRONMENT_ID,
    SYSTEMS,
    load,
    mava_folder,
    mava_overrides,
    register,
)
from systems.options.commands import CommandOptions

COMMAND = Command(
    module="systems.mava",
    config="train",
    options=CommandOptions,
    choices=("env", "network"),
    groups=("scale",),
    open=("env",),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; `arguments` are the command line's if not given."""
    enter(COMMAND, run, arguments)


def run(parsed: Parsed) -> None:
    """Trains one of Mava's systems, unmodified, by its own entry point.

    Raises:
        ValueError: for an unknown system, or sizes that Mava does not take.
        MavaMissingError: if Mava, or something it needs, is not installed.
    """
    name, ours, theirs = split(parsed.overrides)
    folder = mava_folder()
    options = compose_options(ours)
    overrides = mava_overrides(name, options["system"], theirs)
    entry_point = load(name)
    register(options["env"])
    configs = folder / "configs"
    sys.argv = [
        f"mava.{name}",
        *parsed.flags,
        f"--config-path={configs / 'default'}",
        f"hydra.searchpath=[file://{configs}]",
        "hydra.run.dir=.",
        "hydra.output_subdir=null",
        "hydra/job_logging=stdout",
        f"env={ENVIRONMENT_ID}",
        *overrides,
    ]
    entry_point()


def split(arguments: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """The system's name, the arguments for our configs, and those for Mava's.

    Raises:
        ValueError: if Mava has no such system, or it is not one that we know to work.
    """
    name = "rec_ippo"
    ours, theirs = [], []
    for argument in arguments:
        _, key, value = Override.of(argument)
        if key == "system":
            name = str(value)
        elif key in COMMAND.names or key.startswith("env."):
            ours.append(argument)
        else:
            theirs.append(argument)
    if name not in SYSTEMS:
        raise ValueError(unknown("system", name, SYSTEMS))
    return name, ours, theirs


def compose_options(arguments: Sequence[str]) -> dict[str, Any]:
    """What `systems.train` would make of these arguments: the environment, and sizes."""
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        options = compose("train", overrides=COMMAND.translate(arguments))
    values: Any = OmegaConf.to_container(options, resolve=True)
    given = CommandOptions.parse({"plugins": values["plugins"]})
    from ganno_env.registration import by_name

    plugins.load(given.plugins)
    return {"env": by_name(values["env"]), "system": values["system"]}


if __name__ == "__main__":
    main()
