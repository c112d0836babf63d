"""A name for each member of a family: datasets, networks, schedules, features, rewards."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Names to members, in order of registration.

    Refuses a name that is taken, and answers an unknown one with the names it knows.

    Example:
        >>> COLOURS = Registry[int]("colour")
        >>> COLOURS.add("red", 1)
        1
        >>> COLOURS["red"]
        1
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._members: dict[str, T] = {}

    def add(self, name: str, member: T) -> T:
        """Registers `member` and returns it; raises `ValueError` if the name is taken."""
        if name in self._members:
            raise ValueError(f"{self.kind} {name!r} is registered already")
        self._members[name] = member
        return member

    def register(self, name: str) -> Callable[[T], T]:
        """`add` as a decorator."""
        return lambda member: self.add(name, member)

    def __getitem__(self, name: str) -> T:
        """The member; raises `ValueError`, listing the known names, if there is none."""
        try:
            return self._members[name]
        except (KeyError, TypeError):
            close = difflib.get_close_matches(str(name), self._members, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            known = ", ".join(self._members) or "none"
            raise ValueError(f"unknown {self.kind} {name!r}{hint}; known: {known}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)
