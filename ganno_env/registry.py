"""A name for each member of a family: datasets, tasks, networks, schedules, features, rewards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from pydantic_core import core_schema

from ganno.names import unknown
from ganno.options import Allowed

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

    def __init__(self, kind: str, derived: Callable[[], Mapping[str, T]] = dict) -> None:
        """An empty registry.

        Args:
            kind: what its members are, for messages.
            derived: members that follow from what is registered elsewhere; looked up each time.
        """
        self.kind = kind
        self._members: dict[str, T] = {}
        self._derived = derived

    def add(self, name: str, member: T) -> T:
        """Registers `member` and returns it; raises `ValueError` if the name is taken."""
        if name in self:
            raise ValueError(f"{self.kind} {name!r} is registered already")
        self._members[name] = member
        return member

    def register(self, name: str) -> Callable[[T], T]:
        """`add` as a decorator."""
        return lambda member: self.add(name, member)

    def __getitem__(self, name: str) -> T:
        """The member; raises `ValueError`, listing the known names, if there is none."""
        try:
            return self._members[name] if name in self._members else self._derived()[name]
        except (KeyError, TypeError):
            raise ValueError(unknown(self.kind, name, self)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self._derived()

    def __iter__(self) -> Iterator[str]:
        return iter({**self._derived(), **self._members})

    def __len__(self) -> int:
        return len({**self._derived(), **self._members})


class NameIn(Allowed):
    """Annotates the type of an option: a text must be one of a registry's names.

    Example:
        >>> Dataset = Annotated[str, NameIn(DATASETS)]
    """

    def __init__(self, registry: Registry[Any], otherwise: str = "") -> None:
        super().__init__(lambda: " ".join([f"one of {', '.join(registry)}", otherwise]).strip())
        self._registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any) -> Any:
        if isinstance(value, str):
            self._registry[value]
        return value
