"""Environments by name: from plain arguments to parts, and the ids known to Jumanji."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import jumanji

from ganno.names import nearest
from ganno.options import Arguments, Count, Fraction, PathLike, Seed
from ganno_env import datasets, networks, tasks
from ganno_env.datasets import DATASETS
from ganno_env.env import NetworkTraining
from ganno_env.networks import NETWORKS
from ganno_env.registry import NameIn
from ganno_env.tasks import TASKS

DEFAULT_NETWORK = "cnn2"

# Sizes that make an episode of some tens of steps.
_FEW_IMAGES = {"batch_size": 32, "epochs": 40, "updates_per_step": 50}
_MANY_IMAGES = {"batch_size": 64, "epochs": 10, "updates_per_step": 100}
_TEXT = {"train_size": 16_000, "validation_size": 1_000, "test_size": 1_000}

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "Ganno-Digits-Cnn2-v0": {"dataset": "digits", "network": "cnn2", **_FEW_IMAGES},
    "Ganno-Digits-Cnn5-v0": {"dataset": "digits", "network": "cnn5", **_FEW_IMAGES},
    "Ganno-FashionMnist-Cnn2-v0": {"dataset": "fashion_mnist", "network": "cnn2", **_MANY_IMAGES},
    "Ganno-Cifar10-Cnn5-v0": {"dataset": "cifar10", "network": "cnn5", **_MANY_IMAGES},
    "Ganno-FashionMnist-Resnet9-v0": {
        "dataset": "fashion_mnist",
        "network": "resnet9",
        **_MANY_IMAGES,
    },
    "Ganno-Cifar10-Resnet18-v0": {"dataset": "cifar10", "network": "resnet18", **_MANY_IMAGES},
    "Ganno-Text-Transformer-v0": {
        "dataset": "text",
        "network": "transformer",
        **_TEXT,
        "batch_size": 32,
        "epochs": 4,
        "updates_per_step": 50,
    },
}
"""The ids known to Jumanji, and the arguments of `make_env` that each stands for."""


def make_env(
    dataset: Annotated[str, NameIn(DATASETS)] = "digits",
    network: Annotated[str, NameIn(NETWORKS)] = DEFAULT_NETWORK,
    *,
    task: Annotated[str, NameIn(TASKS)] | None = None,
    network_options: Mapping[str, Any] | None = None,
    data_dir: PathLike | None = None,
    train_size: Count | None = None,
    validation_size: Count | None = None,
    test_size: Count | None = None,
    label_noise: Fraction = 0.0,
    split_seed: Seed = 0,
    **arguments: Any,
) -> NetworkTraining:
    """Returns an environment from names and numbers alone, as configs and `jumanji.make` give them.

    Args:
        dataset: a name in `datasets.DATASETS`.
        network: a name in `networks.NETWORKS`.
        task: what is learned, a name in `tasks.TASKS`; the dataset's usual one if None.
        network_options: arguments of the network's builder, such as `{"width": 0.25}`.
        data_dir: the folder with datasets' files; see `datasets.load`.
        train_size: use so many training examples, not all.
        validation_size: hold out so many examples of the official training set.
        test_size: use so many test examples, not all.
        label_noise: what part of the training targets is wrong; see `datasets.load`.
        split_seed: chooses which examples are held out, or wrong.
        **arguments: `NetworkTraining`'s keyword arguments.

    Raises:
        ValueError: for an unknown name or argument, a value of another type, a number out of
            range, or parts that don't fit each other, before any compilation.
    """
    given = check_options(
        {
            "dataset": dataset,
            "network": network,
            "task": task,
            "network_options": network_options,
            "data_dir": data_dir,
            "train_size": train_size,
            "validation_size": validation_size,
            "test_size": test_size,
            "label_noise": label_noise,
            "split_seed": split_seed,
            **arguments,
        }
    )
    own = {name: given.pop(name) for name in OWN.options}
    data = datasets.load(
        own["dataset"],
        data_dir=own["data_dir"],
        train_size=own["train_size"],
        validation_size=own["validation_size"],
        test_size=own["test_size"],
        label_noise=own["label_noise"],
        seed=own["split_seed"],
    )
    learned = tasks.build(data, own["task"])
    net = networks.build(
        own["network"], learned.input_spec, learned.num_outputs, own["network_options"]
    )
    return NetworkTraining(learned, net, **given)


OWN = Arguments.of(make_env)
OPTIONS = OWN | Arguments.of(NetworkTraining, ("task", "network"))
"""All that `make_env` takes."""


def check_options(options: Any, prefix: str = "", network: Any = None) -> dict[str, Any]:
    """`make_env`'s options, typed, before any data is read; what is not given is not filled in.

    Args:
        options: a mapping from their names.
        prefix: goes before names in messages, such as "env.".
        network: whose `network_options` these are, if `options` do not say.

    Raises:
        ValueError: for an unknown name, or a value that is not allowed.
    """
    name = options.get("network", network) if isinstance(options, Mapping) else network
    known = isinstance(name, str) and name in NETWORKS
    builder = networks.options_of(name if known else DEFAULT_NETWORK)
    within = f"{prefix}network_options."
    checked = OPTIONS.check(options, prefix, [within + option for option in builder.options])
    if checked.get("network_options") is not None:
        checked["network_options"] = builder.check(options["network_options"], within)
    return checked


def by_name(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`make_env`'s arguments from such as may have, as `name`, that of an environment.

    A name is an id or DATASET_NETWORK, of any that are registered and fit. What else is given goes
    first.

    Raises:
        ValueError: for a name of none, or of a network that does not take the dataset's inputs.
    """
    rest = dict(arguments)
    if "name" not in rest:
        return rest
    name = str(rest.pop("name"))
    if name in ENVIRONMENTS:
        return ENVIRONMENTS[name] | rest
    pairs = {f"{d}_{n}": (d, n) for d in datasets.DATASETS for n in networks.NETWORKS}
    if name in pairs:
        named = dict(zip(("dataset", "network"), pairs[name], strict=True)) | rest
        _check_pair(named)
        return named
    close = nearest(name, [*ENVIRONMENTS, *pairs])
    hint = f" (did you mean {close!r}?)" if close else ""
    raise ValueError(
        f"unknown environment {name!r}{hint}; choose DATASET_NETWORK, of the datasets "
        f"{', '.join(datasets.DATASETS)} and the networks {', '.join(networks.NETWORKS)}, or one "
        f"of {', '.join(ENVIRONMENTS)}"
    )


def _check_pair(arguments: Mapping[str, Any]) -> None:
    dataset, network = arguments["dataset"], arguments["network"]
    # Another task than the usual one may have inputs of its own; names of none are told elsewhere.
    if arguments.get("task") is None and dataset in DATASETS and network in NETWORKS:
        networks.check_takes(network, DATASETS[dataset].input_spec)


def _register_all() -> None:
    for name, arguments in ENVIRONMENTS.items():
        if name not in jumanji.registered_environments():
            jumanji.register(
                id=name, entry_point="ganno_env.registration:make_env", kwargs=arguments
            )


_register_all()
