"""Which layers a model has, and of which kind: one rule for every framework.

A module that owns parameters is a layer, in the order of definition, and its kind follows from
what it owns:

- what owns nothing larger than a vector, such as a norm, goes with the layer before it; with the
  one after it, where it is the first;
- a convolution is `convolutional`;
- all within a module of attention is one `attention` layer, projections and norms included;
- what else owns matrices is `linear`: dense layers, embeddings, recurrent layers.

Of an array of three axes or more, those of length 1 do not count. What owns larger arrays and is
none of these is refused, by name. A function of one's own can replace the rule.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ganno.features import LAYER_KINDS
from ganno.names import unknown

LINEAR, CONVOLUTIONAL, ATTENTION = LAYER_KINDS
NAMED_ATTENTION = re.compile(r"(attention|attn|mha)(_?\d+)?$", re.IGNORECASE)
"""Ends the name of a module of attention, such as "self_attn" or "SelfAttention_0"."""

LayerRule = Callable[[str, tuple[int, ...]], tuple[str, str]]
"""From a parameter's path and shape to the name and the kind of its layer."""


class Parameter(NamedTuple):
    """A parameter, as a framework's module tells of it.

    Attributes:
        path: its whole name.
        shape: its shape.
        owner: the module that owns it.
        kind: the layer's kind, where the module's class says it.
    """

    path: str
    shape: tuple[int, ...]
    owner: str
    kind: str | None = None

    @property
    def num_axes(self) -> int:
        """1 for a vector, 2 for a matrix: of more axes, those of length 1 do not count."""
        lengths = self.shape
        return len(lengths) if len(lengths) <= 2 else sum(length > 1 for length in lengths)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer, which has one agent.

    Attributes:
        name: the owning module's.
        kind: one of `LAYER_KINDS`.
        parameters: the paths of all that it learns.
        size: how many numbers these are.
    """

    name: str
    kind: str
    parameters: tuple[str, ...]
    size: int


class Layers(tuple[Layer, ...]):
    """Layers in order of depth, which print as a table."""

    def __str__(self) -> str:
        width = max(len("layer"), *(len(layer.name) for layer in self))
        rows = [("layer", "kind", "parameters")]
        rows += [(layer.name, layer.kind, f"{layer.size:,}") for layer in self]
        return "\n".join(f"{name:{width}}  {kind:13}  {size:>12}" for name, kind, size in rows)

    def names(self) -> tuple[str, ...]:
        """The layers' names."""
        return tuple(layer.name for layer in self)

    def kinds(self) -> tuple[str, ...]:
        """The layers' kinds."""
        return tuple(layer.kind for layer in self)


def find_layers(parameters: Sequence[Parameter], rule: LayerRule | None = None) -> Layers:
    """The layers that parameters make up.

    Args:
        parameters: in the order of definition.
        rule: says each parameter's layer, instead of the rule above.

    Raises:
        ValueError: if there is none, or for what the rule cannot place.
    """
    if rule is not None:
        return _by_rule(parameters, rule)
    found: list[_Found] = []
    vectors: list[Parameter] = []  # that come before the first layer
    for owner, owned in _by_owner(parameters):
        kind = _kind(owned)
        if kind is not None:
            found.append(_Found(owner, kind, [*vectors, *owned]))
            vectors = []
        else:
            (found[-1].parameters if found else vectors).extend(owned)
    if not found:
        raise ValueError("there are no layers: no module of this model owns a matrix to be trained")
    return Layers(layer.finished() for layer in found)


class _Found(NamedTuple):
    name: str
    kind: str
    parameters: list[Parameter]

    def finished(self) -> Layer:
        size = sum(math.prod(parameter.shape) for parameter in self.parameters)
        paths = tuple(parameter.path for parameter in self.parameters)
        return Layer(self.name, self.kind, paths, size)


def _by_rule(parameters: Sequence[Parameter], rule: LayerRule) -> Layers:
    found: dict[str, _Found] = {}
    for parameter in parameters:
        name, kind = rule(parameter.path, parameter.shape)
        if kind not in LAYER_KINDS:
            raise ValueError(f"{parameter.path}: {unknown('kind of layer', kind, LAYER_KINDS)}")
        layer = found.setdefault(name, _Found(name, kind, []))
        if layer.kind != kind:
            raise ValueError(
                f"layers has {name!r} as {layer.kind} and, of {parameter.path}, {kind}"
            )
        layer.parameters.append(parameter)
    return Layers(layer.finished() for layer in found.values())


def _by_owner(parameters: Iterable[Parameter]) -> Iterable[tuple[str, list[Parameter]]]:
    owners: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        owners.setdefault(parameter.owner, []).append(parameter)
    return owners.items()


def _kind(owned: Sequence[Parameter]) -> str | None:
    """The kind of the layer that a module is; None for one of vectors."""
    axes = {parameter: parameter.num_axes for parameter in owned}
    stated = next((parameter.kind for parameter in owned if parameter.kind), None)
    if stated == CONVOLUTIONAL or (stated and max(axes.values()) > 1):
        return stated
    for parameter, number in axes.items():
        if number > 2:
            raise ValueError(
                f"no rule says what kind of layer {parameter.path} is of: its shape is "
                f"{list(parameter.shape)}, and it is no convolution's nor attention's; "
                "say so with layers=, a function of a parameter's path and shape that returns the "
                f"name of its layer and a kind ({', '.join(LAYER_KINDS)})"
            )
    return LINEAR if max(axes.values()) > 1 else None


def attention_owner(path: Sequence[str]) -> int | None:
    """How many parts of a module's path lead to the outermost module named after attention."""
    return next((i + 1 for i, part in enumerate(path) if NAMED_ATTENTION.search(part)), None)
