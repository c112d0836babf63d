"""What agents cost in other loops: updates at a constant rate, and at one that agents set.

In PyTorch (AdamW of one param group, and `ganno.torch.GannoLR` with a group for each layer) and in
optax (`optax.adamw`, and `ganno.optax.schedule_by_agents`), of a perceptron of three layers and of
ResNet-18 at batch 128, in turn: A, B, A, B, ... Agents decide every 20 updates: 31 decisions in a
training of 620.

Usage: python -m benchmarks.agents [--json] [--rounds N] [--networks mlp resnet18]
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax

import ganno.optax
from benchmarks.cases import Case
from benchmarks.contenders import LEARNING_RATE, WEIGHT_DECAY, Contender, whole_batch
from benchmarks.measurement import machine, measure
from benchmarks.sizes import sizes_of
from ganno_env import NetworkTraining
from systems.training.devices import available_cores
from systems.utils.output import echo, make_console
from systems.utils.strict_json import to_json

BATCH = 128
EVERY = 20
UPDATES: Mapping[str, int] = {"mlp": 400, "resnet18": 40}
"""Of one measurement."""
WIDTHS: Mapping[str, float] = {"mlp": 1.0, "resnet18": 0.25}


def in_optax(env: NetworkTraining, batches: np.ndarray, agents: bool) -> Contender:
    """A compiled update for each batch, called one by one, as users' loops are."""
    optimiser = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    if agents:
        optimiser = optax.chain(
            optax.scale_by_adam(),
            optax.add_decayed_weights(WEIGHT_DECAY),
            ganno.optax.schedule_by_agents(
                total_steps=len(batches), every=EVERY, learning_rate=LEARNING_RATE
            ),
        )
    network = env.network
    differentiate = whole_batch(env, lambda params, state, x: network.apply(params, state, x, True))

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params: Any, network_state: Any, state: Any, indices: Any) -> tuple[Any, Any, Any]:
        network_state, gradient = differentiate(params, network_state, indices)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), network_state, state

    def run() -> None:
        params, network_state = jax.jit(network.init)(jax.random.key(0))
        state = jax.jit(optimiser.init)(params)
        for indices in batches:
            params, network_state, state = step(params, network_state, state, indices)
        jax.block_until_ready(params)

    return Contender(run, len(batches))


def in_torch(env: NetworkTraining, batches: np.ndarray, agents: bool) -> Contender:
    """An eager loop, on all cores."""
    import torch

    from benchmarks.stock_torch import MODULES
    from ganno.torch import GannoLR, layer_groups

    torch.set_num_threads(available_cores())
    sizes = sizes_of(env.network, env.task.input_spec)
    data = env.task.data.train
    images = torch.tensor(np.asarray(data.inputs).transpose(0, 3, 1, 2)).float() / 255.0
    classes = torch.tensor(np.asarray(data.targets).astype(np.int64))
    indices = [torch.tensor(batch.astype(np.int64)) for batch in batches]

    def run() -> None:
        model = MODULES[env.network.name](sizes)
        groups = layer_groups(model) if agents else model.parameters()
        optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        scheduler = GannoLR(optimizer, model, len(batches), every=EVERY) if agents else None
        for index in indices:
            optimizer.zero_grad()
            outputs = model(images[index])
            torch.nn.functional.cross_entropy(outputs, classes[index]).backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()

    return Contender(run, len(batches), is_compiled=True)


LOOPS: Mapping[str, Callable[[NetworkTraining, np.ndarray, bool], Contender]] = {
    "torch": in_torch,
    "optax": in_optax,
}


def overhead(network: str, loop: str, rounds: int) -> dict[str, float]:
    """Updates a second without and with agents, and what part of an update agents add."""
    env = Case(network, BATCH, "cifar10", width=WIDTHS[network]).environment()
    random = np.random.default_rng(0)
    shape = (UPDATES[network], BATCH)
    batches = random.integers(0, env.task.data.train.size, shape, dtype=np.int32)
    make = LOOPS[loop]
    contenders = {"constant": make(env, batches, False), "agents": make(env, batches, True)}
    rates = measure(contenders, rounds)
    return rates | {"overhead": rates["constant"] / rates["agents"] - 1}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contender")
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
    for name, rates in found.items():
        console.print(
            f"{name}: {rates['constant']:,.1f} updates a second at a constant rate, "
            f"{rates['agents']:,.1f} with agents: {rates['overhead']:+.1%} an update"
        )


if __name__ == "__main__":
    main()
