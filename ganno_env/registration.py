"""Environments by name: from plain arguments to parts, and the ids known to Jumanji."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jumanji

from ganno_env import datasets, networks
from ganno_env.env import NetworkTraining

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "Ganno-Digits-Cnn2-v0": {"dataset": "digits", "network": "cnn2"},
    "Ganno-Digits-Cnn5-v0": {"dataset": "digits", "network": "cnn5"},
    "Ganno-FashionMnist-Cnn2-v0": {"dataset": "fashion_mnist", "network": "cnn2"},
    "Ganno-Cifar10-Cnn5-v0": {"dataset": "cifar10", "network": "cnn5"},
    "Ganno-FashionMnist-Resnet9-v0": {"dataset": "fashion_mnist", "network": "resnet9"},
    "Ganno-Cifar10-Resnet18-v0": {"dataset": "cifar10", "network": "resnet18"},
}


def make_env(
    dataset: str = "digits",
    network: str = "cnn2",
    *,
    network_options: Mapping[str, Any] | None = None,
    data_dir: str | None = None,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
    split_seed: int = 0,
    **arguments: Any,
) -> NetworkTraining:
    """An environment from names and numbers alone, as configs and `jumanji.make` give them.

    Args:
        dataset: a name in `datasets.DATASETS`.
        network: a name in `networks.NETWORKS`.
        network_options: arguments of the network's builder, such as `{"width": 0.25}`.
        data_dir: the folder with datasets' files; see `datasets.load`.
        train_size: use so many training examples, not all.
        validation_size: hold out so many examples of the official training set.
        test_size: use so many test examples, not all.
        split_seed: chooses which examples are held out.
        **arguments: `NetworkTraining`'s keyword arguments.

    Raises:
        ValueError: for an unknown name or argument, or a number out of range.
    """
    data = datasets.load(
        dataset,
        data_dir=data_dir,
        train_size=train_size,
        validation_size=validation_size,
        test_size=test_size,
        seed=split_seed,
    )
    net = networks.build(network, data.image_shape, data.num_classes, network_options)
    _check_arguments(arguments)
    return NetworkTraining(data, net, **arguments)


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    known = set(inspect.signature(NetworkTraining).parameters) - {"dataset", "network"}
    known |= set(inspect.signature(make_env).parameters) - {"arguments"}
    if unknown := sorted(set(arguments) - known):
        raise ValueError(f"unknown environment arguments {unknown}; known: {sorted(known)}")


def _register_all() -> None:
    for name, arguments in ENVIRONMENTS.items():
        if name not in jumanji.registered_environments():
            jumanji.register(
                id=name, entry_point="ganno_env.registration:make_env", kwargs=arguments
            )


_register_all()
