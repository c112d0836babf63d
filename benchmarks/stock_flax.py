"""The same networks as one would write them in Flax: `nn.Conv`, `nn.max_pool`, `nn.BatchNorm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from flax import linen as nn


class Cnn(nn.Module):
    """3x3 convolutions with ReLU and 2x2 max-pooling, then a linear layer."""

    channels: Sequence[int]
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Logits [N, K] of images [N, H, W, C]."""
        for channels in self.channels:
            x = nn.relu(nn.Conv(channels, (3, 3))(x))
            if min(x.shape[1:3]) >= 4:
                x = nn.max_pool(x, (2, 2), (2, 2))
        return nn.Dense(self.num_classes)(x.reshape(x.shape[0], -1))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, around which the input goes too."""

    channels: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Feature maps to feature maps, [N, H, W, C]."""
        shortcut, strides = x, (self.stride, self.stride)
        x = nn.Conv(self.channels, (3, 3), strides, padding=1, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = nn.Conv(self.channels, (3, 3), use_bias=False)(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        if shortcut.shape != x.shape:
            shortcut = nn.Conv(self.channels, (1, 1), strides, use_bias=False)(shortcut)
            shortcut = nn.BatchNorm(use_running_average=not train, momentum=0.9)(shortcut)
        return nn.relu(x + shortcut)


class ResNet18(nn.Module):
    """He et al. (2015), with the stem that small images get: 3x3 and no pooling."""

    width: int
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Logits [N, K] of images [N, H, W, C]."""
        x = nn.Conv(self.width, (3, 3), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        for stage in range(4):
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                x = ResidualBlock(self.width * 2**stage, stride)(x, train)
        return nn.Dense(self.num_classes)(x.mean((1, 2)))


def stock_module(network: str, channels: Sequence[int], num_classes: int) -> Any:
    """The Flax module of a network with these output channels of its convolutions."""
    if network == "resnet18":
        return ResNet18(channels[0], num_classes)
    return Cnn(tuple(channels), num_classes)
