"""Runs and rows that are made up, and every figure that is drawn of them."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from ganno_env.evaluation import figures, suite_figures
from ganno_env.evaluation.methods import Listed
from ganno_env.evaluation.suite import Cell, TaskResults, best_cells, standings
from ganno_env.evaluation.tables import Row
from ganno_env.schedules import SCHEDULES
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode

STEPS = 30
INITIAL = 0.0002
RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01)
METHODS = (
    "constant", "linear", "exponential", "sgdr", "LAMB", "VeLO, λ = 0.1", "Lion, λ = 0.1",
    "VeLO, λ = 0.01", "Lion, λ = 0.01", "GANNO", "VeLO, λ = 1e-06", "cosine", "warmup_cosine",
    "one_cycle", "random",
)  # fmt: skip


def record(
    layers: int = 2, steps: int = STEPS, tests: int | None = None, seed: int = 0, **changes
) -> RunRecord:
    rng = np.random.default_rng(seed)
    loss = 2.3 * np.exp(-np.arange(steps) / 10)
    tests = steps if tests is None else tests
    values = {
        "controls": {"learning_rate": 10 ** rng.uniform(-4, -2, (steps, layers))},
        "actions": rng.integers(0, 9, (steps, layers)),
        "train_loss": loss,
        "train_accuracy": 1 - loss / 2.5,
        "validation_loss": loss + 0.1,
        "validation_accuracy": 0.95 - loss / 2.5,
        "others": {},
        "test_accuracy": np.linspace(0.1, 0.7, tests) + 0.02 * rng.random(tests),
        "seconds": np.array(1, np.float32),
    }
    return RunRecord(**values | changes)


def names(layers: int) -> list[str]:
    return [f"block{number}_conv" for number in range(layers)]


def made_up(method: str, number: int) -> Row:
    rng = np.random.default_rng(number)
    means = rng.uniform(60, 76, len(RATES))
    if method.startswith("Lion"):
        means[3:] = 10.0
    rated = not method.startswith("VeLO")
    none = (None,) * len(RATES)
    return Row(
        method=method,
        means=tuple(means) if rated else none,
        deviations=tuple(rng.uniform(0, 2, len(RATES))) if rated else none,
        average=float(means.mean()),
        average_deviation=0.5,
        spread=float(np.ptp(means)) if rated else None,
        iqm=70.0,
        iqm_low=69.0,
        iqm_high=71.0,
        is_agents=method == "GANNO",
    )


ROWS = [made_up(method, number) for number, method in enumerate(METHODS)]
# Optax's own arithmetic mixes types.
with jax.numpy_dtype_promotion("standard"):
    CURVES = {
        name: np.asarray(jax.vmap(builder(0.001, 300))(jnp.arange(300)))
        for name, builder in SCHEDULES.items()
    }
ZEROS = {"controls": {"learning_rate": np.zeros((STEPS, 2))}}
EQUAL = {"controls": {"learning_rate": np.full((STEPS, 2), 0.003)}}
LOST = np.where(np.arange(STEPS) < 12, 1.0, np.nan)
DIVERGED = {"train_loss": LOST, "validation_loss": LOST, "test_accuracy": 0.1 * LOST}
NEVER = {name: np.full_like(LOST, np.nan) for name in DIVERGED}


def drawn(run: RunRecord) -> Episode:
    return Episode.from_record(run, 100, {"learning_rate": INITIAL})


def compared(rows, layers, *runs) -> Figure:
    return figures.comparison(
        rows, RATES, {f"GANNO from {i}": drawn(run) for i, run in enumerate(runs)}, names(layers),
        "A title that says what all of this is about, λ = 0.1",
    )  # fmt: skip


def beside(layers, *runs) -> Figure:
    return figures.schedules_beside(
        CURVES["one_cycle"], {f"GANNO, seed {i}": drawn(run) for i, run in enumerate(runs)},
        names(layers), "title",
    )  # fmt: skip


def losses(layers, *runs) -> Figure:
    return figures.rates_and_losses(
        {f"episode {40 * i}": drawn(run) for i, run in enumerate(runs)}, names(layers), "title"
    )


def accuracies(*panels) -> Figure:
    shown = {f"λ = {10**-i:g}": panel for i, panel in enumerate(panels)}
    return figures.accuracy_curves(shown, 30, "title", agents={"GANNO"})


def accuracy(layers, run) -> Figure:
    return figures.rates_and_accuracy(drawn(run), names(layers), "title")


def seeds(*runs) -> dict[str, list[RunRecord]]:
    return {"random": [record()], "VeLO": [record(seed=3), record(seed=4)], "GANNO": [*runs]}


def suite(many: bool = True):
    """A suite of six tasks: most methods, one that diverges, and agents, one on fewer tasks."""
    rng = np.random.default_rng(0)
    rates = {"GANNO": "trained", "random": "start", "one_cycle": "tuned", "VeLO, λ = 0.1": "free"}
    chosen = METHODS if many else METHODS[:2]
    listed = {
        name: Listed(name, rate=rates.get(name, "given"), is_agents=name == "GANNO")
        for name in chosen
    }
    tasks = {}
    for number in range(6 if many else 1):
        there = [name for name in chosen if name != "Lion, λ = 0.1" or number < 3]
        accuracies = {
            name: {Cell(rate, 0.1): 50 + 10 * place / 15 + rng.random(3) for rate in RATES}
            for place, name in enumerate(there)
        }
        tasks[f"cifar10_network{number}"] = TaskResults(accuracies, dict.fromkeys(there, 1.0))
    if many:
        diverged = {Cell(rate, 0.1): np.full(3, 10.0) for rate in RATES}
        tasks["cifar10_network1"].accuracies["LAMB"] = diverged
    return tasks, listed


def suite_picture(draw, **sizes) -> Figure:
    tasks, listed = suite(**sizes)
    found = standings(tasks, listed)
    if draw is suite_figures.regrets:
        return draw(found, "title")
    if draw is suite_figures.heat_map:
        return draw(found, list(tasks), "title")
    return draw(found, tasks, best_cells(tasks, listed), "title")


ALL = {
    "schedules": lambda: figures.schedules(CURVES, "title"),
    "two schedules": lambda: figures.schedules(dict(itertools.islice(CURVES.items(), 2)), "title"),
    "losses": lambda: losses(2, record(), record(seed=1)),
    "losses of many layers": lambda: losses(18, record(18)),
    "losses at zero": lambda: losses(2, record(**ZEROS), record(**ZEROS)),
    "losses diverged": lambda: losses(2, record(), record(**DIVERGED), record(**NEVER)),
    "losses of one step": lambda: losses(1, record(1, steps=1)),
    "accuracy": lambda: accuracy(2, record()),
    "accuracy of many layers": lambda: accuracy(18, record(18)),
    "accuracy at zero": lambda: accuracy(2, record(**ZEROS)),
    "accuracy diverged": lambda: accuracy(2, record(**DIVERGED)),
    "accuracy never": lambda: accuracy(2, record(**NEVER)),
    "accuracy at the end": lambda: accuracy(2, record(tests=1)),
    "curves": lambda: accuracies(seeds(record(seed=5), record(seed=6)), seeds(record(seed=7))),
    "a curve": lambda: accuracies(seeds(record(tests=1))),
    "curves diverged": lambda: accuracies(
        seeds(record(), record(**DIVERGED)), seeds(record(**NEVER)), {}, seeds(record())
    ),
    "beside": lambda: beside(5, *(record(5, seed=seed) for seed in range(3))),
    "beside many layers": lambda: beside(18, record(18), record(18)),
    "beside zero": lambda: beside(2, record(**ZEROS)),
    "comparison": lambda: compared(ROWS, 5, record(5), record(5)),
    "comparison of few": lambda: compared(ROWS[:3], 5),
    "comparison without rates": lambda: compared(ROWS[5:6], 5),
    "comparison of many layers": lambda: compared(ROWS[:6], 18, *[record(18)] * 3),
    "comparison of many runs": lambda: compared(
        ROWS, 2, record(), *[record(**ZEROS)] * 6, record()
    ),
    "regrets": lambda: suite_picture(suite_figures.regrets),
    "regrets of few": lambda: suite_picture(suite_figures.regrets, many=False),
    "heat map": lambda: suite_picture(suite_figures.heat_map),
    "heat map of few": lambda: suite_picture(suite_figures.heat_map, many=False),
    "profiles": lambda: suite_picture(suite_figures.profiles),
    "profiles of few": lambda: suite_picture(suite_figures.profiles, many=False),
    "comparison without a number": lambda: compared(
        [ROWS[0], ROWS[1].__class__(**vars(ROWS[1]) | {"means": (np.nan,) * 5})], 2
    ),
}
