"""Networks to train: one file a family, one registry line a network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ganno.options import Arguments
from ganno_env.networks.cnn import cnn
from ganno_env.networks.mlp import mlp
from ganno_env.networks.resnet import resnet9, resnet18
from ganno_env.networks.vit import vit
from ganno_env.registry import Registry
from ganno_env.types import Network

NETWORKS: Registry[Callable[..., Network]] = Registry("network")
NETWORKS.add("mlp", mlp)
NETWORKS.add("cnn2", functools.partial(cnn, channels=(32,)))
NETWORKS.add("cnn3", functools.partial(cnn, channels=(32, 64)))
NETWORKS.add("cnn5", functools.partial(cnn, channels=(32, 32, 64, 64)))
NETWORKS.add("resnet9", resnet9)
NETWORKS.add("resnet18", resnet18)
NETWORKS.add("vit", vit)


def build(
    name: str,
    image_shape: tuple[int, int, int],
    num_classes: int,
    options: Mapping[str, Any] | None = None,
) -> Network:
    """The network called `name`, for images [H, W, C] of `image_shape` and `num_classes` logits.

    Args:
        name: a name in `NETWORKS`.
        image_shape: height, width and channels of an image.
        num_classes: the number of logits.
        options: the builder's further arguments, such as `width`, which multiplies every layer's.

    Raises:
        ValueError: for an unknown name or option, or a value that the builder does not take.
    """
    builder = NETWORKS[name]
    return builder(image_shape, num_classes, **options_of(name).check(options or {}))


def options_of(name: str) -> Arguments:
    """The options of the network called `name`, as its builder annotates them."""
    return Arguments.of(NETWORKS[name], ("image_shape", "num_classes"))
