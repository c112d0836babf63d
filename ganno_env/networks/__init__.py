"""Networks to train: one file a family, one registry line a network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ganno.options import Arguments
from ganno_env.networks.cnn import cnn
from ganno_env.networks.inputs import UnfitInput
from ganno_env.networks.mlp import mlp
from ganno_env.networks.resnet import resnet9, resnet18
from ganno_env.networks.transformer import transformer
from ganno_env.networks.vit import vit
from ganno_env.registry import Registry
from ganno_env.types import InputSpec, Network

NETWORKS: Registry[Callable[..., Network]] = Registry("network")
NETWORKS.add("mlp", mlp)
NETWORKS.add("cnn2", functools.partial(cnn, channels=(32,)))
NETWORKS.add("cnn3", functools.partial(cnn, channels=(32, 64)))
NETWORKS.add("cnn5", functools.partial(cnn, channels=(32, 32, 64, 64)))
NETWORKS.add("resnet9", resnet9)
NETWORKS.add("resnet18", resnet18)
NETWORKS.add("vit", vit)
NETWORKS.add("transformer", transformer)


def build(
    name: str,
    input_spec: InputSpec,
    num_outputs: int,
    options: Mapping[str, Any] | None = None,
) -> Network:
    """Returns the network called `name`, from inputs of `input_spec` to `num_outputs` numbers.

    Args:
        name: a name in `NETWORKS`.
        input_spec: what it takes.
        num_outputs: how many numbers it gives for each target, such as logits.
        options: the builder's further arguments, such as `width`, which multiplies every layer's.

    Raises:
        ValueError: for an unknown name or option, or inputs or a value that the builder does not
            take.
    """
    checked = options_of(name).check(options or {})
    check_takes(name, input_spec)
    return NETWORKS[name](input_spec, num_outputs, **checked)


def check_takes(name: str, input_spec: InputSpec) -> None:
    """Raises `ValueError` if the network called `name` does not take such inputs."""
    if (takes := _refusal(name, input_spec)) is None:
        return
    others = [other for other in NETWORKS if _refusal(other, input_spec) is None]
    raise ValueError(
        f"network {name!r} takes {takes}, not {input_spec}; those that do take them: "
        f"{', '.join(others) or 'none'}"
    )


def _refusal(name: str, input_spec: InputSpec) -> str | None:
    """What the network takes instead of such inputs; None if it takes them."""
    try:
        NETWORKS[name](input_spec, 1)
    except UnfitInput as error:
        return str(error)
    except (TypeError, ValueError):
        return None  # an option that is missing, or another than the default would fit
    return None


def options_of(name: str) -> Arguments:
    """The options of the network called `name`, as its builder annotates them."""
    return Arguments.of(NETWORKS[name], ("input_spec", "num_outputs"))
