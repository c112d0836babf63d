"""The types of options that several sets of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from ganno.options import LARGEST_SEED, Allowed, Count, FilePath, Fraction, Seed, to_python

AUTO: Final = "auto"
TRAIN, NONE, PRETRAINED = "train", "none", "pretrained"


def _distinct(values: Sequence[Any]) -> Sequence[Any]:
    if not values or len(set(values)) != len(values):
        raise ValueError("it must be a list without repetition, and not empty")
    return values


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def as_groups(value: Any) -> Any:
    """From YAML, names and paths as they are written, also where they are numbers."""
    if not isinstance(value, str):
        return value
    try:
        groups = yaml.load(value, yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"it cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(groups, dict):
        return groups
    return {k: (v,) if isinstance(v, str) else to_python(v) for k, v in groups.items()}


Name = Annotated[str, BeforeValidator(_as_text), Field(min_length=1), Allowed("a name")]
Folder = Annotated[FilePath, BeforeValidator(_as_text)]
"""A folder's name may be a number, which YAML takes for one."""
Checkpoint = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(min_length=1),
    Allowed(f"{PRETRAINED}, a policy's file or its run's folder"),
]
Devices = Annotated[Count | Literal["auto"], Allowed(f"a whole number of at least 1, or {AUTO}")]
Environment = Annotated[Mapping[str, Any], Allowed("a mapping of ganno_env.make_env's options")]
Distinct = AfterValidator(_distinct)
Names = Annotated[tuple[Name, ...], Distinct, Allowed("a list of different names")]
Rates = Annotated[
    tuple[Fraction, ...], Distinct, Allowed("a list of different numbers from 0 to 1")
]
Seeds = Annotated[
    tuple[Seed, ...],
    Distinct,
    Allowed(f"a list of different whole numbers from 0 to {LARGEST_SEED}"),
]
