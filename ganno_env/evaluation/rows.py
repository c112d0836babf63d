"""The rows that tables can have: schedules, optimisers that tune themselves, learned optimisers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from ganno_env.evaluation.controller import random_controller, schedule_controller
from ganno_env.evaluation.methods import METHODS, Entry, Method, NotAvailableError, Setting
from ganno_env.evaluation.planning import Variant
from ganno_env.optimisers import Optimiser, build, learned
from ganno_env.optimisers.celo import CELO
from ganno_env.optimisers.dog import INITIAL_STEP, INITIAL_STEP_WITH_BATCH_NORM
from ganno_env.optimisers.velo import VELO
from ganno_env.schedules import SCHEDULES

OptimiserOf = Callable[[Setting], Optimiser | None]
"""An optimiser for a setting; None for the environment's own."""


def _optimiser(name: str, **options: Any) -> OptimiserOf:
    return lambda setting: build({"name": name, **options})


def add_scheduled(
    key: str, title: str, schedule: str, optimiser: OptimiserOf = lambda setting: None
) -> None:
    """Registers a row whose rate is a column's, and follows a schedule from there."""

    def make(setting: Setting) -> Method:
        return Method(title, schedule_controller(schedule), Variant(optimiser(setting)))

    METHODS.add(key, Entry(title, make))


def add_rate_free(key: str, title: str, optimiser: OptimiserOf) -> None:
    """Registers a row that takes no rate: its optimiser's whole step is made, at a rate of 1."""

    def make(setting: Setting) -> Method:
        variant = Variant(optimiser(setting))
        constant = schedule_controller("constant")
        return Method(title, constant, variant, learning_rate=1.0, rate="free")

    METHODS.add(key, Entry(title, make))


def _over_the_run(name: str) -> OptimiserOf:
    """One with a schedule of its own, which it has to have inside."""
    return lambda setting: build({"name": name, "num_updates": setting.num_updates})


def _plateau(setting: Setting) -> Optimiser:
    """A step's mean training loss is what a plateau is seen in."""
    return build({"name": "adam_plateau", "accumulation_size": setting.env.updates_per_step})


def _dog(layerwise: bool) -> OptimiserOf:
    """With the first step that its authors advise for a network with batch norm, or without."""

    def make(setting: Setting) -> Optimiser:
        state = jax.eval_shape(setting.env.network.init, jax.random.PRNGKey(0))[1]
        step = INITIAL_STEP_WITH_BATCH_NORM if jax.tree.leaves(state) else INITIAL_STEP
        return build({"name": "dog", "initial_step": step, "layerwise": layerwise})

    return make


for _name in SCHEDULES:
    add_scheduled(_name, _name, _name)
METHODS.add(
    "random",
    Entry("random", lambda setting: Method("random", random_controller(), rate="start")),
)
# You et al., 2020, with the cosine decay that the paper gives it; Chen et al., 2023.
add_scheduled("lamb", "LAMB", "cosine", _optimiser("lamb"))
add_scheduled("lion", "Lion", "constant", _optimiser("lion"))
for _name in ("cosine", "one_cycle"):
    add_scheduled(f"sgd_{_name}", f"SGD, {_name}", _name, _optimiser("sgd"))
    add_scheduled(f"muon_{_name}", f"Muon, {_name}", _name, _optimiser("muon"))
for _name in ("one_cycle", "warmup_cosine"):
    _title = f"{_name} in relative steps"
    add_scheduled(f"relative_{_name}", _title, _name, _optimiser("adam_relative"))
add_scheduled("plateau", "reduce on plateau", "constant", _plateau)
add_scheduled("hypergradient", "hypergradient", "constant", _optimiser("adam_hypergradient"))
add_scheduled(
    "schedule_free", "schedule-free AdamW", "warmup_constant", _optimiser("schedule_free")
)
add_rate_free("prodigy", "Prodigy, cosine", _over_the_run("prodigy"))
add_rate_free("dadapt_adamw", "D-Adapt AdamW, cosine", _over_the_run("dadapt_adamw"))
add_rate_free("mechanic", "Mechanic Adam, cosine", _over_the_run("mechanic"))
add_rate_free("momo_adam", "MoMo-Adam", _optimiser("momo_adam"))
add_rate_free("cocob", "COCOB", _optimiser("cocob"))
add_rate_free("dog", "DoG", _dog(layerwise=False))
add_rate_free("layerwise_dog", "L-DoG", _dog(layerwise=True))
add_rate_free("dowg", "DoWG", _optimiser("dowg"))


def add_learned(key: str, optimiser: learned.LearnedOptimiser) -> None:
    """Registers the row of a learned optimiser, which takes no rate."""

    def make(setting: Setting) -> Method:
        weights = setting.weights.get(key)
        if (reason := learned.unavailable(optimiser, weights)) or weights is None:
            raise NotAvailableError(reason)
        variant = Variant(learned.load(optimiser, weights, setting.num_updates))
        # Trying it would take longer than some runs do; it is its weights, and its library.
        stated = {"weights": file_digest(weights), "library": optimiser.version}
        return Method(
            optimiser.name,
            schedule_controller("constant"),
            variant,
            learning_rate=1.0,
            is_learned=True,
            rate="free",
            stated={"optimiser": stated},
        )

    METHODS.add(key, Entry(optimiser.name, make))


add_learned("velo", VELO)
add_learned("celo", CELO)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
