"""Small inputs that each network takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array

from ganno_env.networks import check_takes
from ganno_env.types import InputSpec

IMAGES = InputSpec((8, 8, 1))
TOKENS = InputSpec((8,), num_tokens=10)


def input_spec_for(network: str) -> InputSpec:
    """Images, or tokens for a network that takes no images."""
    try:
        check_takes(network, IMAGES)
    except ValueError:
        return TOKENS
    return IMAGES


def dataset_for(network: str) -> str:
    """A dataset that every machine has and whose inputs the network takes."""
    return "digits" if input_spec_for(network) is IMAGES else "text"


def slow_if_large(names: Iterable[str]) -> list[Any]:
    """Networks, or ids of environments, as parameters of a test that compiles their training."""
    large = re.compile("cnn5|resnet|vit|transformer", re.IGNORECASE)
    return [pytest.param(n, marks=[pytest.mark.slow] if large.search(n) else []) for n in names]


def random_inputs(spec: InputSpec, num_examples: int, seed: int = 0) -> Array:
    """Examples as a network takes them."""
    key, shape = jax.random.key(seed), spec.batch(num_examples).shape
    if spec.num_tokens is None:
        return jax.random.normal(key, shape)
    return jax.random.randint(key, shape, 0, spec.num_tokens, jnp.int32)
