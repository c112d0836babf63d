"""The table and the pictures of an example: a figure for each way and initial rate."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path

from ganno import History


class Results:
    """Figures of runs, by way and initial learning rate.

    Attributes:
        histories: what agents did from an initial rate, to be drawn.
    """

    def __init__(self, measure: str, rates: Sequence[float]) -> None:
        self._measure, self._rates = measure, list(rates)
        self._runs: dict[str, dict[float, list[float]]] = {}
        self.histories: dict[float, History] = {}

    def add(self, way: str, rate: float, figure: float) -> None:
        """Takes note of a run, and tells of it."""
        self._runs.setdefault(way, {}).setdefault(rate, []).append(figure)
        print(f"{way} from {rate:g}: {figure:.2f}", flush=True)  # noqa: T201

    def table(self) -> str:
        """Means over seeds, in Markdown: each rate's, and their mean and spread."""
        rows = [[self._measure, *(f"{rate:g}" for rate in self._rates), "average", "spread"]]
        rows.append(["---", *["---:"] * (len(self._rates) + 2)])
        for way, by_rate in self._runs.items():
            means = [statistics.mean(by_rate[rate]) for rate in self._rates]
            figures = [*means, statistics.mean(means), max(means) - min(means)]
            rows.append([way, *(f"{figure:.2f}" for figure in figures)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def write(self, folder: Path) -> None:
        """Writes the table, every run and the pictures, and prints the table."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "table.md").write_text(self.table() + "\n", encoding="utf-8")
        with (folder / "runs.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["way", "learning_rate", "seed", self._measure])
            for way, by_rate in self._runs.items():
                for rate, figures in by_rate.items():
                    writer.writerows([way, rate, i, figure] for i, figure in enumerate(figures))
        print(f"\n{self.table()}\n\nwritten to {folder}")  # noqa: T201
        for rate, history in self.histories.items():
            history.plot(folder / f"rates_from_{rate:g}.png")
        self._plot(folder / "by_rate.png")

    def _plot(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for way, by_rate in self._runs.items():
            means = [statistics.mean(by_rate[rate]) for rate in self._rates]
            axes.plot(self._rates, means, marker="o", label=way)
        axes.set(xscale="log", xlabel="initial learning rate", ylabel=self._measure)
        axes.legend()
        figure.savefig(path, dpi=150)
