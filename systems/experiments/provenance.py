"""What an experiment's results depend on beside its options: the environment, images, version."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ganno_env import NetworkTraining, make_env
from ganno_env.types import Dataset

PACKAGE = "ganno"
NOT_IN_RESULTS = ("data_dir",)
"""Where data lie is no part of what they are: their digest is compared instead."""


def of_environment(environment: Mapping[str, Any], env: NetworkTraining) -> dict[str, Any]:
    """An environment: every argument, the defaults' values too, and its data's digest.

    Args:
        environment: `make_env`'s arguments.
        env: what it made of them.
    """
    defaults = {
        name: parameter.default
        for maker in (NetworkTraining, make_env)
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    arguments = {k: v for k, v in (defaults | dict(environment)).items() if k not in NOT_IN_RESULTS}
    return {"arguments": arguments, "data": of_data(env.task.data)}


def of_data(dataset: Dataset) -> str:
    """The SHA-256 of all splits' examples."""
    content = hashlib.sha256()
    for array in jax.tree.leaves((dataset.train, dataset.validation, dataset.test)):
        content.update(f"{array.dtype}{array.shape}".encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def version() -> str | None:
    """This project's, where it is installed: what results depend on beside their options."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:  # a checkout on the path
        return None
