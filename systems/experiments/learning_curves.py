"""Learning curves of trainings, compared: groups of runs that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from systems.loggers.jsonl import FILE_NAME, read_records
from systems.training.curves import first_and_last_tenth, smooth

RETURN, ACCURACY = "episode_return", "episode_validation_accuracy"
FEWEST = 10
"""The fewest updates, with episodes that ended in them, of which a tenth means something."""
FEWEST_SEEDS = 5
"""The fewest seeds of a group whose interval is drawn: of two, it is wider than any picture."""
CONFIDENCE = 95
"""Of the intervals in pictures, per cent."""


class Group(NamedTuple):
    """Runs that differ in their seed alone, at the updates in which episodes ended in all of them.

    Attributes:
        env_steps: after each of these updates, [updates].
        returns, accuracies: of the episodes that ended in it, [runs, updates]; the accuracy is
            that of the validation split at an episode's end.
        seconds: of each run as far as all came, [runs].
    """

    env_steps: NDArray[np.float64]
    returns: NDArray[np.float64]
    accuracies: NDArray[np.float64]
    seconds: NDArray[np.float64]


class Gain(NamedTuple):
    """What a group learned, in the units of its reward.

    Attributes:
        first, last: mean return of the first and of the last tenth of training, over runs.
        standard_error: of their difference, over runs; not a number for one run.
    """

    first: float
    last: float
    standard_error: float

    @property
    def ratio(self) -> float:
        """The difference in standard errors."""
        return (self.last - self.first) / self.standard_error


def read_group(folders: Sequence[Path | str]) -> Group:
    """Reads what runs logged, as far as all of them came.

    Raises:
        ValueError: if a folder is no run's, or there is too little of a curve.
    """
    runs = [_read(Path(folder)) for folder in folders]
    together = list(zip(*runs, strict=False))
    shared = [records for records in together if all(RETURN in record for record in records)]
    if len(shared) < FEWEST:
        raise ValueError(
            f"{[str(folder) for folder in folders]}: episodes ended in {len(shared)} updates that "
            f"all of these runs have made; a curve needs {FEWEST}"
        )

    def column(name: str, rows: Sequence[Sequence[Mapping[str, float]]]) -> NDArray[np.float64]:
        return np.array([[record[name] for record in records] for records in rows]).T

    return Group(
        env_steps=column("env_steps", shared)[0],
        returns=column(RETURN, shared),
        accuracies=column(ACCURACY, shared),
        seconds=column("seconds", together)[:, -1],
    )


def _read(folder: Path) -> list[dict[str, float]]:
    path = folder / FILE_NAME
    if not path.is_file():
        raise ValueError(f"{folder} is no run's folder: it has no {FILE_NAME}")
    return read_records(path)


def gain(group: Group) -> Gain:
    """Compares the first tenth of training with the last."""
    first, last = first_and_last_tenth(group.returns)
    return Gain(float(first.mean()), float(last.mean()), _standard_error(last - first))


def _standard_error(values: NDArray[np.float64]) -> float:
    count = len(values)
    return float(np.std(values, ddof=1) / np.sqrt(count)) if count > 1 else np.nan


def make_table(groups: Mapping[str, Group]) -> str:
    """A Markdown table: what each group learned, and what that took."""
    lines = [
        "| Formulation | Seeds | Environment steps | Minutes a seed | Return, first tenth "
        "| last tenth | Difference ± SE | in SE | Final validation accuracy (%) ± SE |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, group in groups.items():
        learned = gain(group)
        _, accuracy = first_and_last_tenth(100 * group.accuracies)
        cells = [
            name,
            str(len(group.seconds)),
            f"{group.env_steps[-1]:,.0f}",
            f"{group.seconds.mean() / 60:.1f}",
            f"{learned.first:.3f}",
            f"{learned.last:.3f}",
            _with_error(learned.last - learned.first, learned.standard_error, 3),
            "/" if np.isnan(learned.standard_error) else f"{learned.ratio:.1f}",
            _with_error(float(accuracy.mean()), _standard_error(accuracy), 2),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _with_error(value: float, error: float, digits: int) -> str:
    return f"{value:.{digits}f}" + ("" if np.isnan(error) else f" ± {error:.{digits}f}")


def draw(groups: Mapping[str, Group]) -> Figure:
    """Smoothed return and final accuracy of each group: each seed, and the mean over seeds.

    Of `FEWEST_SEEDS` or more, the mean has its interval.
    """
    figure = Figure(figsize=(3.6 * len(groups), 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(groups), squeeze=False, sharex="col")
    for column, (name, group) in enumerate(groups.items()):
        for axes, curves in zip(
            panels[:, column], (group.returns, 100 * group.accuracies), strict=True
        ):
            _draw_mean(axes, group.env_steps, curves)
        panels[0, column].set_title(name)
        panels[1, column].set_xlabel("environment steps")
    panels[0, 0].set_ylabel("episode return\n(each in its own units)")
    panels[1, 0].set_ylabel("validation accuracy\nat an episode's end (%)")
    for axes in panels[1, 1:]:
        axes.sharey(panels[1, 0])
    intervals = any(len(group.returns) >= FEWEST_SEEDS for group in groups.values())
    band = f"; band: the mean's {CONFIDENCE} % interval (Student's t)" if intervals else ""
    figure.suptitle(f"Thin: each training seed; thick: their mean{band}", size=10, wrap=True)
    return figure


def _draw_mean(axes: Any, steps: NDArray[np.float64], curves: NDArray[np.float64]) -> None:
    smoothed = np.array([smooth(curve) for curve in curves])
    mean = smoothed.mean(axis=0)
    for curve in smoothed:
        axes.plot(steps, curve, color="C0", alpha=0.5, linewidth=0.9)
    if len(curves) > 1:
        axes.plot(steps, mean, color="C0", linewidth=2.2)
    if len(curves) >= FEWEST_SEEDS:
        error = smoothed.std(axis=0, ddof=1) / np.sqrt(len(curves))
        half = stats.t.ppf(0.5 + CONFIDENCE / 200, len(curves) - 1) * error
        axes.fill_between(steps, mean - half, mean + half, color="C0", alpha=0.2, linewidth=0)
        axes.set_ylim(_around(smoothed))
    axes.grid(alpha=0.3)


def _around(curves: NDArray[np.float64]) -> tuple[float, float]:
    """Limits that show every run as far as it is finite; an interval may go beyond them."""
    finite = curves[np.isfinite(curves)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = 0.15 * max(high - low, 1e-9)
    return low - margin, high + margin
