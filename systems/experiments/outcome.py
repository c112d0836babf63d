"""The outcome of an experiment: the runs that reports are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ganno_env import NetworkTraining
from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY
from ganno_env.evaluation import Result
from ganno_env.evaluation.methods import Listed
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode
from systems.experiments.run_store import RunKey
from systems.options.experiment import Experiment

Place = tuple[float | None, int]
"""An initial rate, or None for a method that has no column for each, and a seed."""


class Part(NamedTuple):
    """Rows that one table can compare, as all have these runs: each initial rate with each seed."""

    rates: tuple[float, ...]
    seeds: tuple[int, ...]

    def places(self, rated: bool) -> set[Place]:
        """The runs of a row in it."""
        return {(rate, seed) for rate in (self.rates if rated else [None]) for seed in self.seeds}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """An experiment's runs, all of them, and what its folder has beside them.

    Attributes:
        experiment, env: what was run, and where.
        listed: the rows that have runs, by name.
        order: all rows' names: the experiment's in its order, then the others.
        unavailable: the other rows, and why they are empty.
        records: the runs.
    """

    experiment: Experiment
    env: NetworkTraining
    listed: Mapping[str, Listed]
    order: Sequence[str]
    unavailable: Mapping[str, str]
    records: Mapping[RunKey, RunRecord]

    @property
    def has_hand_made(self) -> bool:
        """Whether a row is a hand-made method's."""
        return any(row.is_hand_made for row in self.listed.values())

    @property
    def weight_decays(self) -> tuple[float, ...]:
        """The weight decays of tables: the experiment's, then others that there are runs of."""
        others = {
            key.weight_decay for key in self.records if self.listed[key.method].weight_decay is None
        }
        asked = self.experiment.weight_decays
        return (*asked, *sorted(others.difference(asked)))

    def runs(self, row: str, weight_decay: float) -> dict[RunKey, RunRecord]:
        """A row's runs at a table's weight decay, or at its own."""
        own = self.listed[row].weight_decay
        decay = weight_decay if own is None else own
        return {
            key: record
            for key, record in self.records.items()
            if (key.method, key.weight_decay) == (row, decay)
        }

    def parts(self, weight_decay: float) -> list[Part]:
        """The tables that show every run at a weight decay: one, if all rows have the same runs.

        The first shows the most runs.
        """
        places = {
            row: {(key.learning_rate, key.seed) for key in self.runs(row, weight_decay)}
            for row in self.listed
        }
        found = {part for row in places.values() for part in _rectangles(row)}
        by_runs = sorted(sorted(found), key=lambda part: -len(_shown(part, places)))
        parts: list[Part] = []
        shown: set[tuple[str, Place]] = set()
        # Rows without rates have a table of their own only if no other has room for them.
        for part in sorted(by_runs, key=lambda part: not part.rates):
            if not (showing := _shown(part, places)) <= shown:
                parts.append(part)
                shown |= showing
        return parts

    def results(self, weight_decay: float, part: Part) -> list[Result]:
        """The results that a table is made of, in per cent."""
        field = f"{self.experiment.split}_accuracy"
        results = []
        for row in (name for name in self.order if name in self.listed):
            runs = {
                (key.learning_rate, key.seed): record
                for key, record in self.runs(row, weight_decay).items()
            }
            rated = any(rate is not None for rate, _ in runs)
            places = part.places(rated)
            if places <= runs.keys():
                results += [
                    Result(row, *place, 100 * getattr(record, field)[-1].item())
                    for place, record in runs.items()
                    if place in places
                ]
        return results

    def agents_runs(self, weight_decay: float) -> dict[RunKey, RunRecord]:
        """All trained agents' runs."""
        return {
            key: record
            for row in self.listed.values()
            if row.is_agents
            for key, record in self.runs(row.name, weight_decay).items()
        }

    def episode(self, key: RunKey) -> Episode:
        """A run as an episode to draw, from the values that it began with."""
        row = self.listed[key.method]
        rate = row.learning_rate if key.learning_rate is None else key.learning_rate
        initial = {WEIGHT_DECAY.name: key.weight_decay}
        if rate is not None:
            initial[LEARNING_RATE.name] = rate
        return Episode.from_record(self.records[key], self.env.updates_per_step, initial)

    def title(self, weight_decay: float, part: Part | None = None) -> str:
        """A table's title: experiment, weight decay, and a part's seeds where parts differ."""
        title = f"{self.experiment.title}, λ = {weight_decay:g}"
        if part is None or len(self.parts(weight_decay)) == 1:
            return title
        return f"{title}, seeds {', '.join(map(str, part.seeds))}"


def _rectangles(places: set[Place]) -> list[Part]:
    """A row's runs as sets of rates which have the same seeds; for most rows, that is one."""
    seeds: dict[float | None, set[int]] = {}
    for rate, seed in places:
        seeds.setdefault(rate, set()).add(seed)
    rates: dict[tuple[int, ...], list[float | None]] = {}
    for rate, of_rate in seeds.items():
        rates.setdefault(tuple(sorted(of_rate)), []).append(rate)
    return [
        Part(tuple(sorted(rate for rate in of_seeds if rate is not None)), common)
        for common, of_seeds in rates.items()
    ]


def _shown(part: Part, places: Mapping[str, set[Place]]) -> set[tuple[str, Place]]:
    """The runs that a table of `part` shows, by their rows."""
    shown = set()
    for row, there in places.items():
        wanted = part.places(rated=any(rate is not None for rate, _ in there))
        if wanted <= there:
            shown |= {(row, place) for place in wanted}
    return shown
