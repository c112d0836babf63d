"""What an unknown name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, whatever the case, if one is like it at all.

    Dotted names are compared by their last parts: `width` may mean "network_options.width".
    """
    keys: dict[str, str] = {}
    for candidate in known:
        keys.setdefault(_last_part(candidate), candidate)
    close = difflib.get_close_matches(_last_part(str(name)), keys, n=1, cutoff=0.7)
    return keys[close[0]] if close else None


def _last_part(name: str) -> str:
    return name.casefold().rpartition(".")[2]


def unknown(kind: str, name: object, known: Iterable[str], nested: Iterable[str] = ()) -> str:
    """A line that says that there is no such name, what was meant, and what there is.

    Args:
        kind: what the name is of, such as "dataset".
        name: the unknown one.
        known: the names there are.
        nested: further ones that may have been meant, dotted, which are not listed.
    """
    known = list(known)
    close = nearest(name, [*known, *nested])
    hint = f" (did you mean {close!r}?)" if close else ""
    return f"unknown {kind} {name!r}{hint}; known: {', '.join(known) or 'none'}"
