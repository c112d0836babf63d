"""What is measured: a network, a batch size, and random images of its dataset's shape.

Speed does not depend on what the images show, so a benchmark needs no dataset.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from ganno_env import NetworkTraining, tasks
from ganno_env.networks import build
from ganno_env.types import Batch, Dataset

NUM_CLASSES = 10
NUM_ENVS = 4
NUM_BRANCHES = 2
"""The paper's parallel environments, and the two branches of the difference reward."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        network: a name in `ganno_env.networks.NETWORKS`.
        batch_size: examples a gradient update.
        image_shape: of Fashion-MNIST, [28, 28, 1], or CIFAR-10, [32, 32, 3].
        width: multiplies the network's channels; `scale=cpu` has 0.25.
        updates_per_step: the paper's 100, or fewer where that would take minutes.
        stock_updates: updates of the stock contenders in one measurement.
        rounds: measurements of each contender, of which the median counts.
        num_examples, validation_size: as `scale=cpu` has them for 100 updates a step; validation
            shrinks with the step, so that its share of the work stays the same.
    """

    network: str
    batch_size: int
    image_shape: tuple[int, int, int]
    width: float = 0.25
    updates_per_step: int = 100
    stock_updates: int = 20
    rounds: int = 5
    num_examples: int = 10_000
    validation_size: int = 500

    @property
    def name(self) -> str:
        """Such as cnn2/64."""
        return f"{self.network}/{self.batch_size}"

    def environment(self) -> NetworkTraining:
        """The environment that `scale=cpu` trains on, at this case's sizes."""
        dataset = random_dataset(self.num_examples, self.validation_size, self.image_shape)
        task = tasks.build(dataset)
        network = build(self.network, task.input_spec, task.num_outputs, {"width": self.width})
        return NetworkTraining(
            task,
            network,
            batch_size=self.batch_size,
            updates_per_step=self.updates_per_step,
            epochs=20,
        )


GREY, COLOUR = (28, 28, 1), (32, 32, 3)
CASES = (
    Case("cnn2", 64, GREY),
    Case("cnn2", 128, GREY),
    Case("cnn5", 64, COLOUR, stock_updates=4, rounds=3),
    Case("cnn5", 128, COLOUR, stock_updates=4, rounds=3),
    *(
        Case(
            "resnet18", batch_size, COLOUR, 0.125, 5, stock_updates=1, rounds=3, validation_size=25
        )
        for batch_size in (64, 128)
    ),
)


def random_dataset(
    num_examples: int, validation_size: int, image_shape: tuple[int, int, int]
) -> Dataset:
    """Uniformly random images and labels."""
    generator = np.random.default_rng(0)

    def split(size: int) -> Batch:
        images = generator.integers(0, 256, (size, *image_shape), dtype=np.uint8)
        labels = generator.integers(0, NUM_CLASSES, size, dtype=np.int32)
        return Batch(inputs=jnp.asarray(images), targets=jnp.asarray(labels))

    return Dataset(
        name="random",
        train=split(num_examples),
        validation=split(validation_size),
        test=split(validation_size),
        num_classes=NUM_CLASSES,
        source="random images",
    )
