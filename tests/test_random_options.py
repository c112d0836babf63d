"""Random sets of options: each builds, or ends in one clear line. Nothing is compiled."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from ganno.options import Arguments
from ganno_env import NetworkTraining, datasets, make_env
from ganno_env.networks import build
from ganno_env.registration import OPTIONS
from ganno_env.types import InputSpec
from systems.options.commands import (
    EvaluateOptions,
    LearningOptions,
    ReproduceOptions,
    TrainOptions,
)
from systems.options.experiment import AgentsSpec, Experiment
from systems.ppo.config import PPOConfig
from tests.small import ARGUMENTS, small_env

SETS = 1_000
SEED = 0
ODD = [
    None, True, False, 0, 1, -1, 3, 7, 10**12, 10**400, -0.0, 0.5, 1.5, -0.1, 1e-300, 1e300,
    float("inf"), float("-inf"), float("nan"), "", "x", "no", "null", "0.1", "10", "[1, 2]",
    "digits", "adam", "a\nb", "\0", "é", b"bytes", [], [0], [1], [1, 2], [0.1, 0.01], [1, 2, 3],
    ["noop"], ["noop", "noop"], ["x"], [None], [[1]], (), (1e-5, 1e-2), {}, {"a": 1}, {1: 2},
    {"width": "wide"}, {"width": 0.5}, {"name": "x"}, set(), {1, 2}, range(2), object(), int, len,
    Decimal("0.1"), 1 + 2j, Path("x"), np.int64(3), np.float32(0.001), np.float64("nan"),
    np.bool_(True), np.str_("adam"), np.array(2), np.array([1, 2]), np.array([1e-5, 1e-3]),
    np.zeros((2, 2)), np.array([]), np.array(["noop"]), np.datetime64("2026-01-01"),
    jnp.float32(0.01), jnp.arange(2),
]  # fmt: skip
"""Values of every kind, for any option."""
GOOD: dict[str, list[Any]] = {
    "network": ["cnn2", "mlp", "cnn3"],
    "network_options": [{"width": 0.25}, {"width": np.float32(0.25)}, {"lowering": "matmul"}, None],
    "optimiser": ["adam", "sgd", {"name": "lamb", "b1": 0.8}, {"name": "lion"}],
    "controls": [["learning_rate"], ("weight_decay",), ["learning_rate", "momentum"]],
    "initial_controls": [{"momentum": 0.5}, {"momentum": [0.1, 0.5]}, None],
    "task": ["image_classification", None],
    "actions": [["noop", "*1.1"], ["noop", "=0.1", "+0.001"]],
    "features": ["paper", "log", ["progress"], ["learning_rate", "layer_type"]],
    "reward": ["accuracy", "loss_gain"],
    "learning_rate": [0.001, np.float32(1e-3), [1e-4, 1e-2], 0, np.array([1e-4, 1e-2])],
    "weight_decay": [0.1, (1e-4, 1e-2)],
    "bounds": [[0, 0.5], (0.0, 1.0)],
    "batch_size": [10, np.int64(20)],
    "epochs": [1, 2.5, np.float32(2)],
    "updates_per_step": [1, 2, np.int32(3)],
    "num_steps": [1, np.int64(1), None],
    "train_size": [200, np.int64(200)],
    "split_seed": [0, 1],
    "data_dir": [None, "nowhere", Path("nowhere")],
    "test_size": [10, None],
    "validation_size": [20, np.int64(20)],
    "single_agent": [False, np.bool_(False)],
    "dataset": ["digits"],
    "lowering": ["auto", "matmul"],
    "gamma": [0, 1, 0.5],
    "actor_layers": [[8], (8, 8), [], np.array([4])],
    "num_envs": [4, np.int64(8)],
    "clip_values": [True, np.bool_(False)],
    "actor_learning_rate": [1, 1e-3, np.float32(1e-3)],
    "channels": [[8], (8, 4)],
    "widths": [[8], (8, 4)],
    "width": [1, 0.5, np.float32(0.5)],
    "num_heads": [1, 2],
    "depth": [1, 2],
    "learning_rates": [[0.1], (0.1, 0.2), np.array([0.1, 0.2])],
    "seeds": [[0], range(3), np.arange(2)],
    "seed": [0, 3, np.int64(3)],
    "methods": [["constant"], ["sgdr", "x"]],
    "checkpoint": ["pretrained", 3, "runs/a b"],
    "output_dir": [None, "x", 12345, Path("x")],
    "num_devices": ["auto", 1],
    "env": [{}, {"epochs": 3}],
    "runs": [{"a": ["x"]}, {"a": ["x", "y"], "b": [3]}],
}
"""Values that are right where an option is called that."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Something that takes options, the ones that it has, and such as it always gets."""

    make: Callable[..., Any]
    names: tuple[str, ...]
    always: dict[str, Any]


def _targets() -> dict[str, Target]:
    env = small_env()
    environment = tuple(OPTIONS.options)
    own = tuple(Arguments.of(NetworkTraining, ("task", "network")).options)
    load = ("data_dir", "train_size", "validation_size", "test_size", "seed")
    experiment = {"report": "table", "title": "t", "methods": ["constant"], "seeds": [0]}
    experiment |= {"learning_rates": [0.1], "weight_decays": [0.1]}

    def network(name: str) -> Callable[..., Any]:
        return lambda **given: build(name, InputSpec((8, 8, 1)), 10, given)

    def options(kind: Any, **always: Any) -> Target:
        return Target(lambda **given: kind.parse(given), tuple(kind.options()), always)

    widths = ("width", "lowering")
    return {
        "make_env": Target(make_env, environment, ARGUMENTS),
        "NetworkTraining": Target(
            lambda **given: NetworkTraining(env.task, env.network, **given),
            own,
            {name: ARGUMENTS[name] for name in ("batch_size", "updates_per_step", "epochs")},
        ),
        "load": Target(lambda **given: datasets.load("digits", **given), load, {}),
        "cnn2": Target(network("cnn2"), ("channels", *widths), {}),
        "mlp": Target(network("mlp"), ("widths", *widths), {}),
        "resnet9": Target(network("resnet9"), ("channels", *widths), {"width": 0.1}),
        "vit": Target(
            network("vit"), ("patch_size", "depth", "num_heads", "num_features", *widths), {}
        ),
        "PPOConfig": Target(lambda **given: PPOConfig(**given), tuple(PPOConfig.options()), {}),
        "train": options(TrainOptions, env={}),
        "evaluate": options(EvaluateOptions, env={}, checkpoint="pretrained"),
        "reproduce": options(ReproduceOptions, env={}, name="table1", **experiment),
        "learning": options(LearningOptions, runs={"a": ["x"]}),
        "experiment": options(Experiment, name="table1", **experiment),
        "agents": options(AgentsSpec, name="GANNO"),
    }


def _draw(target: Target, generator: random.Random) -> dict[str, Any]:
    """Up to three options, half of them right; now and then one of no known name."""
    names = generator.sample(
        target.names, min(generator.choice([1, 1, 1, 2, 3]), len(target.names))
    )
    chosen = {}
    for name in names:
        good = GOOD.get(name)
        right = good is not None and generator.random() < 0.8
        chosen[name] = generator.choice(good if right else ODD)
    if generator.random() < 0.03:
        chosen[f"{names[0]}s"] = 1
    return chosen


def _outcome(target: Target, chosen: dict[str, Any]) -> str | None:
    """What is said against a set of options; None if it builds."""
    try:
        target.make(**(target.always | chosen))
    except ValueError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def outcomes() -> list[tuple[str, dict[str, Any], str | None]]:
    generator, targets = random.Random(SEED), _targets()
    drawn = []
    for _ in range(SETS):
        name = generator.choice(["make_env"] * 6 + list(targets))
        chosen = _draw(targets[name], generator)
        drawn.append((name, chosen, _outcome(targets[name], chosen)))
    return drawn


def test_each_builds_or_ends_in_one_line_that_names_an_option(outcomes):
    for target, chosen, said in outcomes:
        if said is not None:
            assert "\n" not in said, (target, chosen, said)
            assert len(said) < 3_000, (target, chosen, said)
            assert any(name in said for name in chosen), (target, chosen, said)


def test_of_either_kind_there_are_enough(outcomes):
    refused = Counter(target for target, _, said in outcomes if said is not None)
    built = Counter(target for target, _, said in outcomes if said is None)
    assert refused.keys() == built.keys() == _targets().keys()
    assert 0.3 * SETS < refused.total() < 0.7 * SETS
