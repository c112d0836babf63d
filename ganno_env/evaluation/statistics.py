"""Means and interquartile means with bootstrap intervals (Agarwal et al., 2021), by rliable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

REPETITIONS = 2000
"""Of the bootstrap: as many as rliable's own profiles take, and a moment a row."""


class Interval(NamedTuple):
    """An estimate, and the bounds that hold 95 % of its bootstrap repetitions."""

    estimate: float
    low: float
    high: float


def interquartile_mean(scores: Float[np.ndarray, "seeds tasks"]) -> Interval:
    """The mean of the middle half of all runs, with a stratified bootstrap interval.

    Seeds are drawn anew within each task (here: an initial rate), so the interval says what other
    seeds might have given at the same rates. The same scores give the same interval; of one seed
    it is empty, and where a score is no number nothing is one.
    """
    return _interval(scores, _middle_mean)


def mean_interval(scores: Float[np.ndarray, "seeds tasks"]) -> Interval:
    """The mean of all runs, with the same interval."""
    return _interval(scores, _mean)


Scores = Float[np.ndarray, "seeds tasks"]


def _interval(scores: Scores, estimator: Callable[[Scores], Float[np.ndarray, " 1"]]) -> Interval:
    if np.isnan(scores).any():
        return Interval(np.nan, np.nan, np.nan)
    # Only now: it brings pandas and statsmodels, which take seconds to import.
    from rliable.library import get_interval_estimates

    with _fixed_chance():
        estimates, bounds = get_interval_estimates({"": scores}, estimator, reps=REPETITIONS)
    low, high = bounds[""][:, 0]
    return Interval(float(estimates[""][0]), float(low), float(high))


def _mean(scores: Scores) -> Float[np.ndarray, " 1"]:
    return scores.mean(keepdims=True).ravel()


def _middle_mean(scores: Float[np.ndarray, "seeds tasks"]) -> Float[np.ndarray, " 1"]:
    """As rliable's `aggregate_iqm`, whose SciPy takes longer than all the rest."""
    cut = scores.size // 4
    return np.sort(scores, axis=None)[cut : scores.size - cut].mean(keepdims=True)


@contextmanager
def _fixed_chance() -> Iterator[None]:
    """NumPy's global generator, which is what rliable draws from whatever it is given."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
