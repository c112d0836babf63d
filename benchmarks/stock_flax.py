"""The same networks as one would write them in Flax: `nn.Conv`, `nn.max_pool`, `nn.BatchNorm`.

What is called with `train` and has no use for it is called as the others are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
from flax import linen as nn

from benchmarks.sizes import NUM_HEADS, PATCH_SIZE, Sizes


class Mlp(nn.Module):
    """Linear layers with ReLU between them."""

    sizes: Sequence[int]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Logits [N, K] of images [N, H, W, C]."""
        *hidden, num_classes = self.sizes
        x = x.reshape(x.shape[0], -1)
        for size in hidden:
            x = nn.relu(nn.Dense(size)(x))
        return nn.Dense(num_classes)(x)


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
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Feature maps to feature maps, [N, H, W, C]."""
        shortcut = x
        x = nn.relu(_convolution(x, self.channels, train, self.stride))
        x = _convolution(x, self.channels, train)
        if shortcut.shape != x.shape:
            shortcut = _convolution(shortcut, self.channels, train, self.stride, kernel_size=1)
        return nn.relu(x + shortcut)


def _convolution(
    x: jax.Array, channels: int, train: bool, stride: int = 1, kernel_size: int = 3
) -> jax.Array:
    """A convolution and batch norm, of whichever module this is called in."""
    sides, strides = (kernel_size, kernel_size), (stride, stride)
    x = nn.Conv(channels, sides, strides, padding=kernel_size // 2, use_bias=False)(x)
    return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)


class ResNet9(nn.Module):
    """Four convolutions, and a residual block after the second and the fourth."""

    channels: Sequence[int]
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Logits [N, K] of images [N, H, W, C]."""
        for i, channels in enumerate(self.channels):
            x = nn.relu(_convolution(x, channels, train))
            if i > 0:
                x = nn.max_pool(x, (2, 2), (2, 2))
            if i in (1, 3):
                x = ResidualBlock(channels)(x, train)
        return nn.Dense(self.num_classes)(x.mean((1, 2)))


class ResNet18(nn.Module):
    """He et al. (2015), with the stem that small images get: 3x3 and no pooling."""

    width: int
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Logits [N, K] of images [N, H, W, C]."""
        x = nn.relu(_convolution(x, self.width, train))
        for stage in range(4):
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                x = ResidualBlock(self.width * 2**stage, stride)(x, train)
        return nn.Dense(self.num_classes)(x.mean((1, 2)))


class TransformerBlock(nn.Module):
    """Attention, then two linear layers with GELU, each after a norm and added to its input."""

    causal: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Tokens to tokens, [N, T, D]."""
        mask = nn.make_causal_mask(x[..., 0]) if self.causal else None
        x = x + nn.MultiHeadDotProductAttention(NUM_HEADS)(nn.LayerNorm()(x), mask=mask)
        hidden = nn.gelu(nn.Dense(4 * x.shape[-1])(nn.LayerNorm()(x)))
        return x + nn.Dense(x.shape[-1])(hidden)


class Vit(nn.Module):
    """Dosovitskiy et al. (2020), with the mean of tokens in place of a class token."""

    num_features: int
    num_blocks: int
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Logits [N, K] of images [N, H, W, C]."""
        patch = (PATCH_SIZE, PATCH_SIZE)
        x = nn.Conv(self.num_features, patch, patch)(x)
        x = x.reshape(x.shape[0], -1, self.num_features)
        x = x + self.param("positions", nn.initializers.normal(0.02), x.shape[1:])
        for _ in range(self.num_blocks):
            x = TransformerBlock(causal=False)(x)
        return nn.Dense(self.num_classes)(nn.LayerNorm()(x).mean(1))


class Transformer(nn.Module):
    """Radford et al. (2019), without dropout and tied weights."""

    num_features: int
    num_blocks: int
    num_tokens: int

    @nn.compact
    def __call__(self, tokens: jax.Array, train: bool) -> jax.Array:
        """Logits [N, T, K] of tokens [N, T]."""
        x = nn.Embed(self.num_tokens, self.num_features)(tokens)
        x = x + self.param("positions", nn.initializers.normal(0.02), x.shape[1:])
        for _ in range(self.num_blocks):
            x = TransformerBlock(causal=True)(x)
        return nn.Dense(self.num_tokens)(nn.LayerNorm()(x))


def _cnn(sizes: Sizes) -> nn.Module:
    return Cnn(sizes.outputs[:-1], sizes.outputs[-1])


def _resnet9(sizes: Sizes) -> nn.Module:
    a, b, _, _, c, d, _, _, num_classes = sizes.outputs
    return ResNet9((a, b, c, d), num_classes)


MODULES: dict[str, Callable[[Sizes], nn.Module]] = {
    "mlp": lambda sizes: Mlp(sizes.outputs),
    "cnn2": _cnn,
    "cnn3": _cnn,
    "cnn5": _cnn,
    "resnet9": _resnet9,
    "resnet18": lambda sizes: ResNet18(sizes.outputs[0], sizes.outputs[-1]),
    "vit": lambda sizes: Vit(sizes.outputs[0], sizes.num_blocks, sizes.outputs[-1]),
    "transformer": lambda sizes: Transformer(sizes.outputs[0], sizes.num_blocks, sizes.outputs[-1]),
}
"""The counterpart of each network that has one."""
