"""Kinds of options: what many of them may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ganno.options.words import Allowed

LARGEST_SEED = 2**32 - 1
"""JAX's keys tell no more than these apart."""

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


def _as_path(value: Any) -> Any:
    if not isinstance(value, (str, os.PathLike)):
        return value
    text = os.fspath(value)
    if not text or "\0" in text:
        raise ValueError("it must be a path")
    return Path(text)


FilePath = Annotated[Path, BeforeValidator(_as_path), Allowed("a path")]
PathLike = Annotated[str | os.PathLike[str], BeforeValidator(_as_path), Allowed("a path")]
"""`FilePath` for arguments, which are annotated with what may be given."""
