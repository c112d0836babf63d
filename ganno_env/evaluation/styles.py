"""How a method looks, the same in every picture."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from ganno_env.viewer.colours import COLOURS

_FAMILIES = {
    "GANNO": ("#0072B2", "o"),
    "GANNO, learning rate only": ("#56B4E9", "s"),
    "GANNO, time step only": ("#CC79A7", "D"),
    "GANNO, single agent": ("#E69F00", "^"),
    "GANNO from 0": ("#332288", "v"),
    "random": ("#000000", "x"),
    "constant": ("#7F7F7F", "s"),
    "linear": ("#E6AB02", "D"),
    "quadratic": ("#882255", "d"),
    "cosine": ("#AA4499", "v"),
    "exponential": ("#44AA99", "<"),
    "piecewise": ("#999933", ">"),
    "sgdr": ("#D55E00", "^"),
    "rex": ("#CC6677", "p"),
    "warmup_cosine": ("#117733", "h"),
    "one_cycle": ("#661100", "8"),
    "LAMB": ("#A6761D", "P"),
    "Lion": ("#EE3377", "X"),
    "VeLO": ("#009E73", "*"),
}
_SPARE = (COLOURS[1], COLOURS[0], *COLOURS[2:])
"""For other names; the first two are as in the paper's figure 1, early orange and late blue."""
_FILLS = ("full", "none", "left", "bottom")
DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "--", ":", "-.", (0, (9, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (1, 3)),
)  # fmt: skip
"""Lines that are not solid, for those who see no colour, in order of use."""


class Style(NamedTuple):
    """A method's look.

    Attributes:
        colour: its family's; what differs in weight decay alone ("Lion, λ = 0.1") is one family.
        marker, fill: matplotlib's, the fill by the order within the family.
        is_agents: whether it should stand out.
    """

    colour: str
    marker: str
    fill: str
    is_agents: bool


def styles(methods: Iterable[str], agents: Collection[str] = ()) -> dict[str, Style]:
    """A style for each method of one picture, of which some are agents."""
    names = list(dict.fromkeys(methods))
    families = [name.split(", λ")[0] for name in names]
    taken = {_FAMILIES[family][0] for family in families if family in _FAMILIES}
    spare = itertools.cycle([colour for colour in _SPARE if colour not in taken] or _SPARE)
    looks = dict(_FAMILIES)
    seen: Counter[str] = Counter()
    found = {}
    for name, family in zip(names, families, strict=True):
        if family not in looks:
            looks[family] = (next(spare), "o")
        colour, marker = looks[family]
        fill = _FILLS[seen[family] % len(_FILLS)]
        seen[family] += 1
        found[name] = Style(colour, marker, fill, name in agents)
    return found
