"""Annotations mean something, and under test they hold: see `conftest`."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import typing

import jax.numpy as jnp
import jaxtyping
import pytest

from ganno_env.networks.layers import linear
from ganno_env.vector import VectorState
from tests.runtime_types import PACKAGES

PARAMS = {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}


def test_a_wrong_shape_is_refused():
    assert linear(PARAMS, jnp.ones((3, 5))).shape == (2, 5)
    with pytest.raises(jaxtyping.TypeCheckError, match="'D N'"):
        linear(PARAMS, jnp.ones(3))


def test_a_wrong_dtype_is_refused():
    with pytest.raises(jaxtyping.TypeCheckError, match=r"i32\[3,5\]"):
        linear(PARAMS, jnp.ones((3, 5), jnp.int32))


def test_one_name_is_one_size_in_what_is_constructed_too():
    with pytest.raises(jaxtyping.TypeCheckError, match="E=4"):
        VectorState(env_state=None, episode_return=jnp.zeros(4), episode_length=jnp.zeros(3, int))


MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_every_annotation_can_be_evaluated(name):
    """jaxtyping passes over what cannot, and nothing would be checked."""
    module = pytest.importorskip(name, exc_type=ImportError)
    for value in vars(module).values():
        if getattr(value, "__module__", None) != name:
            continue
        for thing in (value, *vars(value).values()) if inspect.isclass(value) else (value,):
            if inspect.isfunction(thing) or inspect.isclass(thing):
                with contextlib.suppress(NameError):  # of what type checkers alone import
                    typing.get_type_hints(inspect.unwrap(thing))
