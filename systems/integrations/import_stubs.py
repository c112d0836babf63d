"""Stubs of packages that are imported, but not used.

Mava imports every environment and logger that it knows of, whichever is run. Where one of them is
not installed, or does not go with the installed versions of others, a stub lets the import
pass. What is taken from it is a class that says what is missing as soon as it is used.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Missing(type):
    """The type of the classes of a stub, which say what is missing when they are used."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _missing(f"{cls.__module__}.{cls.__qualname__}", name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise ImportError(f"{cls.__module__}.{cls.__qualname__} is needed, and not installed")


def _missing(module: str, name: str) -> type:
    return _Missing(name, (), {"__module__": module})


class _Stub(ModuleType):
    """A module that has an attribute of any name."""

    __path__: list[str] = []  # noqa: RUF012 - a package, so that it has submodules

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _missing(self.__name__, name)


class _Finder(MetaPathFinder, Loader):
    """Finds stubs for `packages`, and for all that is in them."""

    def __init__(self, packages: frozenset[str]) -> None:
        self.packages = packages

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self.packages:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Stub(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to execute."""


def install(packages: Sequence[str]) -> list[str]:
    """Puts stubs in the places of those `packages` that cannot be imported; returns these."""
    absent = [package for package in packages if not _importable(package)]
    for name in list(sys.modules):
        # What is left of an import that failed halfway.
        if name.partition(".")[0] in absent:
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(frozenset(absent)))
    return absent


def add_names(module: str, names: Sequence[str]) -> None:
    """Adds to `module` those of `names` that it has not, such as classes it has since renamed."""
    there = importlib.import_module(module)
    for name in names:
        if not hasattr(there, name):
            setattr(there, name, _missing(module, name))


def _importable(package: str) -> bool:
    try:
        importlib.import_module(package)
    except Exception:
        # Whatever it is: `tensorboard_logger` raises a `TypeError` with a protobuf of these days.
        return False
    return True
