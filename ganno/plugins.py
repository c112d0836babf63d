"""Modules of one's own, imported for what they register."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence

GROUP = "ganno.plugins"
"""The group of entry points under which installed packages name their plugins."""


def load(names: str | Sequence[str] = ()) -> None:
    """Imports the plugins of installed packages, then modules by their names.

    Modules in the current folder are found, however Python was started.

    Raises:
        ValueError: if there is no such module, or importing it fails.
    """
    here = os.getcwd()
    if not {here, ""} & set(sys.path):
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    for entry_point in importlib.metadata.entry_points(group=GROUP):
        _import(entry_point.module, f"the plugin {entry_point.name!r} of an installed package")
    for name in [names] if isinstance(names, str) else names:
        _import(name, f"plugins: the module {name!r}")


def _import(module: str, what: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever the module does
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        raise ValueError(
            f"{what} cannot be imported ({kind}{error}); name a module that Python finds, such as "
            "my_module for my_module.py in the current folder"
        ) from error
