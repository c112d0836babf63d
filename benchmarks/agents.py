"""What agents cost in other loops: updates at a constant rate, and at rates that agents set.

In PyTorch (AdamW of one param group, and `ganno.torch.GannoLR` with a group for each layer) and in
optax (`optax.adamw`, and `ganno.optax.schedule_by_agents`), of a perceptron of three layers and of
ResNet-18 at batch 128. Both trainings go on side by side, some updates of one and some of the
other, A, B, A, B, ...; what agents add is the median of the pairs' ratios, in processor time, which
other work on the machine is no part of. Agents decide every 20 updates, which is 31 times in a
training of 620.

Usage: python -m benchmarks.agents [--json] [--rounds N] [--networks mlp resnet18]
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax

import ganno.optax
from benchmarks.cases import Case
from benchmarks.contenders import LEARNING_RATE, WEIGHT_DECAY, whole_batch
from benchmarks.measurement import machine
from benchmarks.sizes import sizes_of
from ganno_env import NetworkTraining
from systems.training.devices import available_cores
from systems.utils.output import echo, make_console
from systems.utils.strict_json import to_json

BATCH = 128
EVERY = 20
STEPS = 10**6
"""Of the training that is announced, of which few are made."""
WIDTHS: Mapping[str, float] = {"mlp": 1.0, "resnet18": 0.25}
UPDATES: Mapping[str, int] = {"mlp": 4 * EVERY, "resnet18": EVERY}
"""Of one measurement: a multiple of `EVERY`, so that each has as many decisions."""

Training = Callable[[np.ndarray], Any]
"""Makes an update for each of some batches [updates, B], and goes on from there."""


def in_optax(env: NetworkTraining, agents: bool) -> Training:
    """A compiled update, called for one batch after the other, as users' loops are."""
    optimiser: Any = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    if agents:
        optimiser = optax.chain(
            optax.scale_by_adam(),
            optax.add_decayed_weights(WEIGHT_DECAY),
            ganno.optax.schedule_by_agents(
                total_steps=STEPS, every=EVERY, learning_rate=LEARNING_RATE
            ),
        )
    network = env.network
    differentiate = whole_batch(env, lambda params, state, x: network.apply(params, state, x, True))

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params: Any, network_state: Any, state: Any, indices: Any) -> tuple[Any, Any, Any]:
        network_state, gradient = differentiate(params, network_state, indices)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), network_state, state

    params, network_state = jax.jit(network.init)(jax.random.key(0))
    carried = [(params, network_state, jax.jit(optimiser.init)(params))]

    def train(batches: np.ndarray) -> None:
        for indices in batches:
            carried[0] = step(*carried[0], indices)
        jax.block_until_ready(carried[0])

    return train


def in_torch(env: NetworkTraining, agents: bool) -> Training:
    """An eager loop, on all cores."""
    import torch

    from benchmarks.stock_torch import MODULES
    from ganno.torch import GannoLR, layer_groups

    torch.set_num_threads(available_cores())
    data = env.task.data.train
    images = torch.tensor(np.asarray(data.inputs).transpose(0, 3, 1, 2)).float() / 255.0
    classes = torch.tensor(np.asarray(data.targets).astype(np.int64))
    model = MODULES[env.network.name](sizes_of(env.network, env.task.input_spec))
    groups = layer_groups(model) if agents else model.parameters()
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    scheduler = GannoLR(optimizer, model, STEPS, every=EVERY) if agents else None

    def train(batches: np.ndarray) -> None:
        for index in torch.tensor(batches.astype(np.int64)):
            optimizer.zero_grad()
            outputs = model(images[index])
            torch.nn.functional.cross_entropy(outputs, classes[index]).backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()

    return train


LOOPS: Mapping[str, Callable[[NetworkTraining, bool], Training]] = {
    "torch": in_torch,
    "optax": in_optax,
}


def overhead(network: str, loop: str, rounds: int) -> dict[str, float]:
    """Processor seconds of an update without and with agents, and what part of it these add."""
    env = Case(network, BATCH, "cifar10", width=WIDTHS[network]).environment()
    random = np.random.default_rng(0)
    shape = (UPDATES[network], BATCH)
    batches = random.integers(0, env.task.data.train.size, shape, dtype=np.int32)
    trainings = [LOOPS[loop](env, agents) for agents in (False, True)]
    seconds = [[_time(train, batches) for train in trainings] for _ in range(rounds + 1)][1:]
    alone, both = zip(*seconds, strict=True)
    return {
        "constant": statistics.median(alone) / len(batches),
        "agents": statistics.median(both) / len(batches),
        "overhead": statistics.median(b / a - 1 for a, b in seconds),
    }


def _time(train: Training, batches: np.ndarray) -> float:
    start = time.process_time()
    train(batches)
    return time.process_time() - start


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--rounds", type=int, default=21, help="pairs of measurements")
    parser.add_argument("--networks", nargs="+", choices=list(UPDATES), default=list(UPDATES))
    parser.add_argument("--loops", nargs="+", choices=list(LOOPS), default=list(LOOPS))
    arguments = parser.parse_args()
    found = {
        f"{loop}/{network}": overhead(network, loop, arguments.rounds)
        for network in arguments.networks
        for loop in arguments.loops
    }
    if arguments.json:
        echo(to_json({"overheads": found, "machine": machine()}, indent=2))
        return
    console = make_console()
    for name, times in found.items():
        console.print(
            f"{name}: {1e3 * times['constant']:.2f} ms an update at a constant rate, "
            f"{1e3 * times['agents']:.2f} ms with agents: {times['overhead']:+.1%}"
        )


if __name__ == "__main__":
    main()
