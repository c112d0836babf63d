"""A model's layers as param groups of its optimiser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from ganno.layers import (
    ATTENTION,
    CONVOLUTIONAL,
    LayerRule,
    Layers,
    Parameter,
    attention_owner,
    find_layers,
)

CONVOLUTIONS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
ATTENTION_CLASS = re.compile(r"Attention(V?\d+)?$")
"""Ends the name of a class of attention, such as `MultiheadAttention` or `Attention`."""
WRAPPED = "_orig_mod"
"""What `torch.compile` calls the module that it wraps."""
PARAMETRIZATIONS = "parametrizations"
"""Where `torch.nn.utils.parametrize` keeps what a module would own."""


class LayerGroups(list[dict[str, Any]]):
    """Param groups, one for each layer, with its `name` and `kind`; they print as a table."""

    def __init__(self, layers: Layers, tensors: dict[str, nn.Parameter]) -> None:
        super().__init__(
            {
                "params": [tensors[path] for path in layer.parameters],
                "name": layer.name,
                "kind": layer.kind,
            }
            for layer in layers
        )
        self.layers = layers

    def __str__(self) -> str:
        return str(self.layers)


def layer_groups(model: nn.Module, layers: LayerRule | None = None) -> LayerGroups:
    """A param group for each layer of a model, by the rule of `ganno.layers`.

    Frozen parameters are in none, and shared ones belong to the layer that is defined first. A
    model may be compiled or wrapped for data parallelism.

    Args:
        model: what is trained.
        layers: instead of the rule, a function of a parameter's name and shape that returns the
            name of its layer and a kind: "linear", "convolutional" or "attention".

    Raises:
        ValueError: for a model without layers, or with one that no rule places.

    Example:
        >>> groups = layer_groups(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 2)))
        >>> [(group["name"], group["kind"]) for group in groups]
        [('0', 'convolutional'), ('2', 'linear')]
    """
    owned = list(trainable(model))
    found = find_layers([parameter for parameter, _ in owned], layers)
    return LayerGroups(found, {parameter.path: tensor for parameter, tensor in owned})


def trainable(model: nn.Module) -> Iterator[tuple[Parameter, nn.Parameter]]:
    """Every parameter that is trained, once, in the order of definition, and its tensor."""
    modules = dict(_unwrapped(model).named_modules())
    seen: set[int] = set()
    for path, module in modules.items():
        for name, tensor in module.named_parameters(recurse=False):
            if not tensor.requires_grad or id(tensor) in seen:
                continue
            seen.add(id(tensor))
            parts = [part for part in path.split(".") if part not in ("", WRAPPED)]
            if isinstance(tensor, nn.parameter.UninitializedParameter):
                whole = ".".join([*parts, name])
                raise ValueError(f"{whole} has no shape yet; run the model once on a batch before")
            yield _described(modules, path, parts, name, tensor), tensor


def _described(
    modules: dict[str, nn.Module], path: str, parts: list[str], name: str, tensor: nn.Parameter
) -> Parameter:
    whole, shape = ".".join([*parts, name]), tuple(tensor.shape)
    if PARAMETRIZATIONS in parts:
        parts = parts[: parts.index(PARAMETRIZATIONS)]
        path = path.partition(f".{PARAMETRIZATIONS}")[0].removeprefix(PARAMETRIZATIONS)
    if attention := _attention(modules, path):
        return Parameter(whole, shape, attention, ATTENTION)
    kind = CONVOLUTIONAL if isinstance(modules[path], CONVOLUTIONS) else None
    owner = ".".join(parts)
    if kind is None and {n for n, _ in modules[path].named_children()} - {PARAMETRIZATIONS}:
        owner = whole  # its own, beside those of the modules in it
    return Parameter(whole, shape, owner, kind)


def _attention(modules: dict[str, nn.Module], path: str) -> str:
    """The outermost module of attention around a module, or itself; "" for none."""
    parts = path.split(".")
    named = attention_owner(parts)
    for number in range(1, len(parts) + 1):
        inside = ".".join(parts[:number])
        if number == named or (inside and ATTENTION_CLASS.search(type(modules[inside]).__name__)):
            return ".".join(part for part in parts[:number] if part != WRAPPED)
    return ""


def _unwrapped(model: nn.Module) -> nn.Module:
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif hasattr(model, WRAPPED):
            model = getattr(model, WRAPPED)
        else:
            return model
