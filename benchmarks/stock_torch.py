"""The same networks and updates in PyTorch, eager, as one would write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def torch_training(
    network: str,
    channels: Sequence[int],
    images: np.ndarray,
    labels: np.ndarray,
    batches: np.ndarray,
    num_threads: int,
) -> Callable[[], None]:
    """A function that makes one AdamW update for each of `batches` [updates, B].

    Raises:
        ImportError: if PyTorch is not installed.
    """
    import torch

    torch.set_num_threads(num_threads)
    pixels = torch.tensor(images.transpose(0, 3, 1, 2))
    targets = torch.tensor(labels.astype(np.int64))
    if network == "resnet18":
        model = _resnet18(images.shape[3], channels[0], 10)
    else:
        model = _cnn(images.shape[1:], channels, 10)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_function = torch.nn.CrossEntropyLoss()
    indices = [torch.tensor(batch.astype(np.int64)) for batch in batches]

    def train() -> None:
        for index in indices:
            inputs = (pixels[index].float() / 255.0 - 0.5) / 0.29
            optimiser.zero_grad()
            loss_function(model(inputs), targets[index]).backward()
            optimiser.step()

    return train


def _cnn(image_shape: Sequence[int], channels: Sequence[int], num_classes: int) -> Any:
    from torch import nn

    *sides, inputs = image_shape
    layers: list[nn.Module] = []
    for outputs in channels:
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        if min(sides) >= 4:
            layers.append(nn.MaxPool2d(2))
            sides = [side // 2 for side in sides]
        inputs = outputs
    features = sides[0] * sides[1] * inputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, num_classes))


def _resnet18(inputs: int, width: int, num_classes: int) -> Any:
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *_convolution(inputs, outputs, 3, stride),
                nn.ReLU(),
                *_convolution(outputs, outputs, 3, 1),
            )
            same = (inputs, stride) == (outputs, 1)
            shortcut = [] if same else _convolution(inputs, outputs, 1, stride)
            self.shortcut = nn.Sequential(*shortcut)

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.body(x) + self.shortcut(x))

    layers, inputs = [*_convolution(inputs, width, 3, 1), nn.ReLU()], width
    for stage in range(4):
        for block in range(2):
            outputs = width * 2**stage
            layers.append(Block(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes)]
    return nn.Sequential(*layers, *head)


def _convolution(inputs: int, outputs: int, size: int, stride: int) -> list[Any]:
    from torch import nn

    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]
