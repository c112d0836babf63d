"""What is measured: each registered network, at a batch size, on examples of a dataset's shape."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.random_data import random_dataset
from ganno.names import unknown
from ganno_env import NetworkTraining, tasks
from ganno_env.datasets.catalogue import DATASETS
from ganno_env.networks import NETWORKS, build, check_takes

NUM_ENVS = 4
NUM_BRANCHES = 2
"""The paper's parallel environments, and the two branches of the difference reward."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        network: a name in `ganno_env.networks.NETWORKS`.
        batch_size: examples a gradient update.
        dataset: a name in `DATASETS`; the examples are random, in its shapes.
        width: multiplies the network's channels or units; `scale=cpu` has 0.25, and 0.125 for
            ResNets.
        updates_per_step: the paper's 100, or fewer where that would take minutes.
        stock_updates: updates of the stock contenders in one measurement.
        rounds: measurements of each contender, of which the median counts.
        num_examples, validation_size: as `scale=cpu` has them for 100 updates a step; validation
            shrinks with the step, so that its share of the work stays the same.
    """

    network: str
    batch_size: int
    dataset: str
    width: float = 0.25
    updates_per_step: int = 100
    stock_updates: int = 20
    rounds: int = 5
    num_examples: int = 10_000
    validation_size: int = 500

    @property
    def name(self) -> str:
        """Such as cnn2/64."""
        return f"{self.network}/{self.batch_size}"

    def environment(self) -> NetworkTraining:
        """The environment that `scale=cpu` trains on, at this case's sizes."""
        data = random_dataset(DATASETS[self.dataset], self.num_examples, self.validation_size)
        task = tasks.build(data)
        network = build(self.network, task.input_spec, task.num_outputs, {"width": self.width})
        return NetworkTraining(
            task,
            network,
            batch_size=self.batch_size,
            updates_per_step=self.updates_per_step,
            epochs=20,
        )


USUAL_BATCH_SIZE = 64
BATCH_SIZES = dict.fromkeys(("cnn2", "cnn5", "resnet18"), (USUAL_BATCH_SIZE, 128))
USUAL_DATASETS = ("cifar10", "text")
"""A network is given the first whose inputs it takes."""
PAPER_DATASETS = {"cnn2": "fashion_mnist", "resnet9": "fashion_mnist"}
"""What the paper trains a network on, where that is another."""

SLOW = {"updates_per_step": 20, "validation_size": 100, "stock_updates": 4, "rounds": 3}
"""Of transformers, and of a network of which nothing is known."""
SLOWER = SLOW | {"width": 0.125, "stock_updates": 1}
SIZES: Mapping[str, Mapping[str, Any]] = {
    "mlp": {},
    "cnn2": {},
    "cnn3": {"stock_updates": 4, "rounds": 3},
    "cnn5": {"stock_updates": 4, "rounds": 3},
    "resnet9": SLOWER | {"updates_per_step": 10, "validation_size": 50},
    "resnet18": SLOWER | {"updates_per_step": 5, "validation_size": 25},
}
"""How much is measured of each network, so that all together are done within 25 minutes."""


def all_cases() -> tuple[Case, ...]:
    """The rows of the table: every registered network, in order of registration."""
    return tuple(
        Case(network, batch_size, dataset_for(network), **SIZES.get(network, SLOW))
        for network in NETWORKS
        for batch_size in BATCH_SIZES.get(network, (USUAL_BATCH_SIZE,))
    )


def dataset_for(network: str) -> str:
    """The dataset in whose shapes a network is given examples.

    Raises:
        ValueError: for an unknown network, or one that takes no usual dataset's inputs.
    """
    if network in PAPER_DATASETS:
        return PAPER_DATASETS[network]
    *others, last = USUAL_DATASETS
    for dataset in others:
        with contextlib.suppress(ValueError):
            check_takes(network, DATASETS[dataset].input_spec)
            return dataset
    check_takes(network, DATASETS[last].input_spec)
    return last


def choose(networks: Sequence[str], names: Sequence[str]) -> list[Case]:
    """The cases of these networks and of these names; nothing said means all.

    Raises:
        ValueError: for an unknown network or name, or where nothing is left.
    """
    cases = {case.name: case for case in all_cases()}
    for network in networks:
        NETWORKS[network]
    for name in names:
        if name not in cases:
            raise ValueError(unknown("case", name, cases))
    chosen = [cases[name] for name in names or cases]
    chosen = [case for case in chosen if not networks or case.network in networks]
    if not chosen:
        raise ValueError(
            f"--case {' '.join(names)} has no case of networks=[{','.join(networks)}]; name one of "
            "the two alone"
        )
    return chosen
