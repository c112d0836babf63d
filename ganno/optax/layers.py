"""The layers of a pytree of parameters, by their paths.

The rule is that of `ganno.layers`. What holds parameters, such as a Flax or Equinox module, owns
them, and the outermost one whose name ends in "attention", "attn" or "mha" all that is below it. An
array of three axes or more is a convolution's if it is called "kernel", "weight" or "w".

Fields are in the order of definition. Keys of a dict, which JAX sorts, are in the order of their
names, numbers counting as numbers; there, what holds vectors alone (a norm) goes with what is
beside it and has the same number, as "BatchNorm_2" with "Conv_2" and "bn2" with "conv2".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jax.tree_util import DictKey, GetAttrKey, tree_flatten_with_path

from ganno.layers import ATTENTION, CONVOLUTIONAL, LayerRule, Layers, Parameter, attention_owner
from ganno.layers import find_layers as layers_of

KERNELS = ("kernel", "weight", "w")
WRAPPER = GetAttrKey("value")
"""Leads to the array within a variable of Flax NNX."""

Rank: TypeAlias = tuple[int | str, ...]
"""By which names that are beside one another are put in order."""


def find_layers(params: Any, layers: LayerRule | None = None) -> Layers:
    """The layers of a pytree of arrays; `print` shows them as a table.

    Args:
        params: as the optimiser is given them.
        layers: instead of the rule, a function of a parameter's path, such as "Dense_0/kernel", and
            its shape, that returns the name of its layer and a kind: "linear", "convolutional" or
            "attention".

    Raises:
        ValueError: if there are none, or for what the rule cannot place.

    Example:
        >>> import jax.numpy as jnp
        >>> find_layers({"Dense_0": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}}).names()
        ('Dense_0',)
    """
    return layers_of(_in_order(_leaves(params)), layers)


def places(params: Any, layers: Layers) -> list[int]:
    """The number of each array's layer, in the order of `jax.tree.leaves`."""
    numbers = {path: i for i, layer in enumerate(layers) for path in layer.parameters}
    return [numbers["/".join(leaf.names)] for leaf in _leaves(params)]


class _Leaf(NamedTuple):
    """An array: the names on its path, where each is among those beside it, and its shape."""

    names: tuple[str, ...]
    ranks: tuple[Rank, ...]
    shape: tuple[int, ...]


def _leaves(params: Any) -> list[_Leaf]:
    found = []
    seen: dict[tuple[str, ...], int] = {}
    for path, array in tree_flatten_with_path(params)[0]:
        keys = path[:-1] if path[-1:] == (WRAPPER,) else path
        names = tuple(map(_name, keys))
        ranks = [
            _natural(name)
            if isinstance(key, DictKey)
            else ("", seen.setdefault(names[: i + 1], len(seen)))
            for i, (key, name) in enumerate(zip(keys, names, strict=True))
        ]
        found.append(_Leaf(names, tuple(ranks), np.shape(array)))
    return found


def _in_order(leaves: Sequence[_Leaf]) -> list[Parameter]:
    """Parameters as the rule has them: by owner, in order."""
    parents = {leaf.names[:i] for leaf in leaves for i in range(len(leaf.names) - 1)}
    owned: dict[tuple[Rank, ...], list[Parameter]] = {}
    for leaf in leaves:
        size, parameter = _described(leaf, parents)
        owned.setdefault(leaf.ranks[:size], []).append(parameter)
    hosts: dict[Any, tuple[Rank, ...]] = {}
    for ranks in sorted(owned):
        if not _only_vectors(owned[ranks]):
            hosts.setdefault((ranks[:-1], _number(ranks)), ranks)

    def place(ranks: tuple[Rank, ...]) -> tuple[tuple[Rank, ...], ...]:
        host = hosts.get((ranks[:-1], _number(ranks))) if _number(ranks) is not None else None
        return (host, ranks) if host and _only_vectors(owned[ranks]) else (ranks,)

    return [parameter for ranks in sorted(owned, key=place) for parameter in owned[ranks]]


def _described(leaf: _Leaf, parents: Collection[tuple[str, ...]]) -> tuple[int, Parameter]:
    """A parameter, and how many names lead to its owner."""
    *owner, name = leaf.names or ("",)
    path = "/".join(leaf.names)
    if size := attention_owner(owner):
        return size, Parameter(path, leaf.shape, "/".join(owner[:size]), ATTENTION)
    # What is beside modules, or in none, is by itself.
    size = len(leaf.names) if not owner or tuple(owner) in parents else len(owner)
    kind = CONVOLUTIONAL if name in KERNELS and len(leaf.shape) > 2 else None
    return size, Parameter(path, leaf.shape, "/".join(leaf.names[:size]), kind)


def _only_vectors(parameters: Iterable[Parameter]) -> bool:
    return all(parameter.num_axes <= 1 for parameter in parameters)


def _name(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _natural(name: str) -> Rank:
    """Numbers in names count as numbers: texts and numbers in turn."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name))


def _number(ranks: tuple[Rank, ...]) -> int | None:
    """The number that the last name ends with."""
    *_, number, end = (None, None, *(ranks[-1] if ranks else ()))
    return number if end == "" else None
