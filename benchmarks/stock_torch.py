"""The same networks and updates in PyTorch, eager, as one would write them.

Importing this needs PyTorch, which is an extra.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.sizes import NUM_HEADS, PATCH_SIZE, Sizes


def training(
    model: nn.Module,
    inputs: np.ndarray,
    targets: np.ndarray,
    batches: np.ndarray,
    num_threads: int,
) -> Callable[[], None]:
    """A function that makes one AdamW update for each of `batches` [updates, B].

    Args:
        model: what is trained.
        inputs: images, bytes [N, H, W, C], or tokens [N, T].
        targets: a class for each image, or token.
        batches: each update's examples, by their places.
        num_threads: of PyTorch.
    """
    torch.set_num_threads(num_threads)
    are_images = inputs.ndim == 4
    examples = torch.tensor(inputs.transpose(0, 3, 1, 2) if are_images else inputs.astype(np.int64))
    classes = torch.tensor(targets.astype(np.int64))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_function = nn.CrossEntropyLoss()
    indices = [torch.tensor(batch.astype(np.int64)) for batch in batches]

    def train() -> None:
        for index in indices:
            batch = examples[index]
            outputs = model((batch.float() / 255.0 - 0.5) / 0.29 if are_images else batch)
            optimiser.zero_grad()
            loss_function(outputs.flatten(0, -2), classes[index].flatten()).backward()
            optimiser.step()

    return train


def _mlp(sizes: Sizes) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = int(np.prod(sizes.input_spec.shape))
    for outputs in sizes.outputs:
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers[:-1])


def _cnn(sizes: Sizes) -> nn.Module:
    *sides, inputs = sizes.input_spec.shape
    *channels, num_classes = sizes.outputs
    layers: list[nn.Module] = []
    for outputs in channels:
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        if min(sides) >= 4:
            layers.append(nn.MaxPool2d(2))
            sides = [side // 2 for side in sides]
        inputs = outputs
    features = sides[0] * sides[1] * inputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, num_classes))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, around which the input goes too."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(inputs, outputs, stride), nn.ReLU(), *_convolution(outputs, outputs)
        )
        same = (inputs, stride) == (outputs, 1)
        shortcut = [] if same else _convolution(inputs, outputs, stride, kernel_size=1)
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps to feature maps, [N, C, H, W]."""
        return functional.relu(self.body(x) + self.shortcut(x))


def _convolution(
    inputs: int, outputs: int, stride: int = 1, kernel_size: int = 3
) -> list[nn.Module]:
    """A convolution and batch norm."""
    padding = kernel_size // 2
    convolution = nn.Conv2d(inputs, outputs, kernel_size, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def _pooled_to_classes(inputs: int, num_classes: int) -> list[nn.Module]:
    """What a ResNet ends with."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes)]


def _resnet9(sizes: Sizes) -> nn.Module:
    a, b, _, _, c, d, _, _, num_classes = sizes.outputs

    def convolution(inputs: int, outputs: int) -> list[nn.Module]:
        return [*_convolution(inputs, outputs), nn.ReLU()]

    return nn.Sequential(
        *convolution(sizes.input_spec.shape[-1], a),
        *(*convolution(a, b), nn.MaxPool2d(2), ResidualBlock(b, b)),
        *(*convolution(b, c), nn.MaxPool2d(2)),
        *(*convolution(c, d), nn.MaxPool2d(2), ResidualBlock(d, d)),
        *_pooled_to_classes(d, num_classes),
    )


def _resnet18(sizes: Sizes) -> nn.Module:
    width, inputs = sizes.outputs[0], sizes.outputs[0]
    layers = [*_convolution(sizes.input_spec.shape[-1], width), nn.ReLU()]
    for stage in range(4):
        for block in range(2):
            outputs = width * 2**stage
            layers.append(ResidualBlock(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, *_pooled_to_classes(inputs, sizes.outputs[-1]))


class TransformerBlock(nn.Module):
    """Attention, then two linear layers with GELU, each after a norm and added to its input."""

    def __init__(self, num_features: int, mask: torch.Tensor | None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(num_features, eps=1e-6)
        self.attention = nn.MultiheadAttention(num_features, NUM_HEADS, batch_first=True)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(num_features, eps=1e-6),
            nn.Linear(num_features, 4 * num_features),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * num_features, num_features),
        )
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens to tokens, [N, T, D]."""
        y = self.norm(x)
        x = (
            x
            + self.attention(
                y, y, y, need_weights=False, attn_mask=self.mask, is_causal=self.mask is not None
            )[0]
        )
        return x + self.perceptron(x)


class Transformer(nn.Module):
    """Tokens' embeddings and positions, blocks, a norm, and logits of each token or their mean."""

    def __init__(self, sizes: Sizes, embedding: nn.Module, length: int, causal: bool) -> None:
        super().__init__()
        num_features, num_outputs = sizes.outputs[0], sizes.outputs[-1]
        mask = nn.Transformer.generate_square_subsequent_mask(length) if causal else None
        self.embedding = embedding
        self.positions = nn.Parameter(0.02 * torch.randn(length, num_features))
        blocks = [TransformerBlock(num_features, mask) for _ in range(sizes.num_blocks)]
        self.blocks = nn.Sequential(*blocks, nn.LayerNorm(num_features, eps=1e-6))
        self.head = nn.Linear(num_features, num_outputs)
        self.causal = causal

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, T, K] of tokens [N, T], or [N, K] of images [N, C, H, W]."""
        x = self.blocks(self.embedding(x) + self.positions)
        return self.head(x if self.causal else x.mean(1))


class Patches(nn.Module):
    """The affine map of each patch."""

    def __init__(self, channels: int, num_features: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, num_features, PATCH_SIZE, PATCH_SIZE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [N, T, D] of images [N, C, H, W]."""
        return self.convolution(x).flatten(2).transpose(1, 2)


def _vit(sizes: Sizes) -> nn.Module:
    height, width, channels = sizes.input_spec.shape
    length = (height // PATCH_SIZE) * (width // PATCH_SIZE)
    return Transformer(sizes, Patches(channels, sizes.outputs[0]), length, causal=False)


def _transformer(sizes: Sizes) -> nn.Module:
    embedding = nn.Embedding(sizes.outputs[-1], sizes.outputs[0])
    return Transformer(sizes, embedding, sizes.input_spec.shape[0], causal=True)


MODULES: dict[str, Callable[[Sizes], nn.Module]] = {
    "mlp": _mlp,
    "cnn2": _cnn,
    "cnn3": _cnn,
    "cnn5": _cnn,
    "resnet9": _resnet9,
    "resnet18": _resnet18,
    "vit": _vit,
    "transformer": _transformer,
}
"""The counterpart of each network that has one."""
