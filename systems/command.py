"""What the commands have in common: their arguments, and how they end on an error."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from systems.output import echo


def let_through(arguments: Sequence[str]) -> list[str]:
    """Hydra's arguments from the user's.

    Options of the environment and the system are let through whether the configs mention them or
    not: they have checks of their own, whose errors list what there is.
    """
    return [f"++{a}" if re.match(r"(env|system|train_on)\.[\w.]+=", a) else a for a in arguments]


def fail(error: Exception) -> NoReturn:
    """Says what went wrong in one line, and exits with 1."""
    echo(f"error: {error}", err=True)
    sys.exit(1)
