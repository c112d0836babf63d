"""The console command: `ganno train ...` is `python -m systems.train ...`, and so on.

Nothing slow is imported before it is known which command is meant.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ganno.names import unknown
from systems.utils.output import echo

COMPLETION = ("-sc", "--shell-completion")
"""Hydra's flags for the completion of a shell's command lines."""
HELP = ("-h", "--help")


class Entry(NamedTuple):
    """A command: its module, which has a `main`, and what it does."""

    module: str
    does: str


COMMANDS = {
    "train": Entry("systems.train", "trains agents"),
    "evaluate": Entry("systems.evaluate", "runs a policy zero-shot, beside hand-made schedules"),
    "reproduce": Entry("systems.reproduce", "regenerates a table or figure of the paper"),
    "learning": Entry("systems.learning", "draws trainings side by side"),
    "demo": Entry("systems.demo", "trains agents on digits and runs them on a deeper network"),
    "data": Entry("ganno_env.datasets.download", "downloads datasets' official files"),
    "mava": Entry("systems.mava", "trains upstream Mava's own systems on our environment"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command by its name; `arguments` are the command line's if not given.

    Exits with 1 for an unknown command, and otherwise as the command does.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or [HELP[0]]
    if name in HELP:
        echo(page())
    elif name in COMPLETION:
        complete([name, *rest])
    elif name in COMMANDS:
        importlib.import_module(COMMANDS[name].module).main(rest)
    else:
        echo(f"error: {unknown('command', name, COMMANDS)}", err=True)
        sys.exit(1)


def page() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    return "\n".join(
        [
            "usage: ganno COMMAND [NAME=VALUE ...]",
            "",
            *(f"  {name:{width}}  {entry.does}" for name, entry in COMMANDS.items()),
            "",
            "ganno COMMAND --help lists a command's options; and this completes them in a shell:",
            '  eval "$(ganno -sc install=bash)"',
        ]
    )


def complete(arguments: Sequence[str]) -> None:
    """Completes commands, and leaves their options to Hydra, which expects one command a program.

    Args:
        arguments: Hydra's flag, and `install=SHELL`, `uninstall=SHELL` or, for what may come next
            in the environment variable COMP_LINE, `query=SHELL`.
    """
    _, _, line = os.environ.get("COMP_LINE", "").partition(" ")
    first, space, rest = line.lstrip().partition(" ")
    if not any(argument.startswith("query=") for argument in arguments):
        importlib.import_module("systems.train").main(arguments)
    elif not space or first not in COMMANDS:
        echo(" ".join(name for name in COMMANDS if name.startswith(first)))
    elif hasattr(module := importlib.import_module(COMMANDS[first].module), "COMMAND"):
        os.environ["COMP_LINE"] = f"ganno {rest}"
        module.COMMAND.main(arguments)


if __name__ == "__main__":
    main()
