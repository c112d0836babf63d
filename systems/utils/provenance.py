"""What a result depends on, whole, as nested plain JSON: compared, digested, and told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from systems.utils.strict_json import plain, to_json

MOST_DIFFERENCES = 6
"""How many of them a message names."""


class Provenance:
    """What a result depends on. Equal values, such as 20 and 20.0, make equal provenances.

    Args:
        value: nested mappings, lists, texts, numbers and truth values.

    Attributes:
        value: the same in the one form that equal values have, plain JSON.
        text: that as one text.

    Raises:
        TypeError: for what no file of JSON can hold.
    """

    def __init__(self, value: Any) -> None:
        self.value = _canonical(plain(value))
        self.text = to_json(self.value, sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Provenance) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def differences(self, now: Provenance, here: str = "there") -> str:
        """What differs from another one, in one line; empty if nothing does.

        Args:
            now: the other one.
            here: where this one is from, in the words of a message.
        """
        found = list(_differences(self.value, now.value, (), here))
        more = "; and more" if len(found) > MOST_DIFFERENCES else ""
        return "; ".join(found[:MOST_DIFFERENCES]) + more


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _differences(before: Any, now: Any, path: Sequence[str], here: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            name = ".".join((*path, key))
            if key not in before:
                yield f"{name}: absent {here}, {now[key]!r} now"
            elif key not in now:
                yield f"{name}: {before[key]!r} {here}, absent now"
            else:
                yield from _differences(before[key], now[key], (*path, key), here)
    elif to_json(before, sort_keys=True) != to_json(now, sort_keys=True):
        yield f"{'.'.join(path)}: {before!r} {here}, {now!r} now"
