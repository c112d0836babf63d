"""A small ResNet on CIFAR-10 in plain PyTorch: five initial rates, and ways to go on from each.

    pip install 'ganno[torch,plot]'
    python examples/pytorch_cifar10.py --data cifar10.npz     # or --smoke, on random images

`cifar10.npz` is as Keras has it: x_train, y_train, x_test, y_test. Every way begins with the same
weights and sees the same batches. The table is printed, and written with a picture to `--out`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import Results
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import lr_scheduler

from ganno.torch import GannoLR, layer_groups

BATCH, DECAY, HELD_OUT = 128, 1e-2, 500
RATES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


class Block(nn.Module):
    """Two convolutions with batch norm, around which the input goes too."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps to feature maps."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def resnet(width: int = 16) -> nn.Module:
    """ResNet-8 (He et al., 2015)."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        Block(width, width, 1),
        Block(width, 2 * width, 2),
        Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, 10),
    )


Made = tuple[torch.optim.Optimizer, Any]
"""An optimiser, and its scheduler or None."""


def constant(model: nn.Module, rate: float, steps: int) -> Made:
    """The rate that is given."""
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=DECAY), None


def ganno_lr(model: nn.Module, rate: float, steps: int) -> Made:
    """An agent for each layer, which begins at the rate."""
    optimizer = torch.optim.AdamW(layer_groups(model), lr=rate, weight_decay=DECAY)
    return optimizer, GannoLR(optimizer, model, total_steps=steps)


def one_cycle(model: nn.Module, rate: float, steps: int) -> Made:
    """Up to the rate and down to nothing (Smith, 2018)."""
    optimizer, _ = constant(model, rate, steps)
    return optimizer, lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)


def one_cycle_fixed(model: nn.Module, rate: float, steps: int) -> Made:
    """The same up to 0.01, whatever rate is given."""
    return one_cycle(model, 0.01, steps)


def plateau(model: nn.Module, rate: float, steps: int) -> Made:
    """A tenth of the rate when the loss on held-out images has not fallen for two epochs."""
    optimizer, _ = constant(model, rate, steps)
    return optimizer, lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)


WAYS: dict[str, Callable[[nn.Module, float, int], Made]] = {
    "GannoLR": ganno_lr,
    "OneCycleLR at the given rate": one_cycle,
    "OneCycleLR at 0.01": one_cycle_fixed,
    "ReduceLROnPlateau": plateau,
    "constant": constant,
}


class Data:
    """Images [N, 3, 32, 32] with mean 0 and deviation 1, and their classes, in three splits."""

    def __init__(self, file: Path | None, images: int) -> None:
        if file is None:
            random = np.random.default_rng(0)
            size = images + HELD_OUT
            inputs, targets = (
                random.integers(0, 256, (size, 32, 32, 3)),
                random.integers(0, 10, size),
            )
            arrays = {"x_train": inputs, "y_train": targets, "x_test": inputs, "y_test": targets}
        else:
            arrays = dict(np.load(file))
        inputs = torch.tensor(arrays["x_train"][: images + HELD_OUT]).permute(0, 3, 1, 2) / 255.0
        targets = torch.tensor(arrays["y_train"].ravel()[: images + HELD_OUT].astype(np.int64))
        mean, deviation = inputs.mean((0, 2, 3), True), inputs.std((0, 2, 3), keepdim=True)
        test = torch.tensor(arrays["x_test"]).permute(0, 3, 1, 2) / 255.0
        inputs = (inputs - mean) / deviation
        self.train = inputs[HELD_OUT:], targets[HELD_OUT:]
        self.held_out = inputs[:HELD_OUT], targets[:HELD_OUT]
        self.test = (
            (test - mean) / deviation,
            torch.tensor(arrays["y_test"].ravel().astype(np.int64)),
        )

    def batches(self, seed: int, epochs: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once an epoch, in a new order, mirrored by chance."""
        inputs, targets = self.train
        generator = torch.Generator().manual_seed(seed)
        for _ in range(epochs):
            order = torch.randperm(len(inputs), generator=generator)
            for index in order[: len(order) // BATCH * BATCH].split(BATCH):
                mirrored = torch.rand(len(index), 1, 1, 1, generator=generator) < 0.5
                images = inputs[index]
                yield torch.where(mirrored, images.flip(3), images), targets[index]


@torch.no_grad()
def evaluate(model: nn.Module, split: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Mean loss and accuracy in percent."""
    model.eval()
    logits = torch.cat([model(images) for images in split[0].split(500)])
    model.train()
    hits = (logits.argmax(1) == split[1]).float().mean()
    return functional.cross_entropy(logits, split[1]).item(), 100 * hits.item()


def train(way: str, rate: float, seed: int, data: Data, epochs: int) -> tuple[float, Any]:
    """Test accuracy after training, in percent, and the scheduler."""
    torch.manual_seed(seed)
    model = resnet()
    per_epoch = len(data.train[0]) // BATCH
    optimizer, scheduler = WAYS[way](model, rate, epochs * per_epoch)
    for i, (images, classes) in enumerate(data.batches(seed, epochs), start=1):
        optimizer.zero_grad()
        functional.cross_entropy(model(images), classes).backward()
        optimizer.step()
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            if i % per_epoch == 0:
                scheduler.step(evaluate(model, data.held_out)[0])
        elif scheduler is not None:
            scheduler.step()
    return evaluate(model, data.test)[1], scheduler


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="cifar10.npz")
    parser.add_argument("--out", type=Path, default=Path("results/examples/pytorch_cifar10"))
    parser.add_argument("--images", type=int, default=10_000, help="images to train on")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--smoke", action="store_true", help="does it run? 31 updates, one way")
    options = parser.parse_args()
    if options.smoke:
        options.images, options.epochs, options.seeds = BATCH, 31, 1
        options.rates, options.ways = [1e-3], ["GannoLR"]
    elif options.data is None:
        parser.error("--data is needed, or --smoke")
    data = Data(options.data, options.images)
    results = Results("test accuracy (%)", options.rates)
    for seed in range(options.seeds):
        for rate in options.rates:
            for way in options.ways:
                accuracy, scheduler = train(way, rate, seed, data, options.epochs)
                results.add(way, rate, accuracy)
                if way == "GannoLR" and seed == 0:
                    results.histories[rate] = scheduler.history
    results.write(options.out)


if __name__ == "__main__":
    main()
