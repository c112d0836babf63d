"""A whole training of a small network under the policy that ships, as the environment has it.

`python -m tests.ganno.traced` writes it to `golden/trace.npz`, with all that another loop needs to
go through the same: data, batches, initial weights. Golden because it is what loops in other
frameworks, and on machines without JAX, are held to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganno_env import NetworkTraining, make_env
from ganno_env.inner import example_indices
from systems.policy.policy import Policy, load_policy

FILE = Path(__file__).parent / "golden" / "trace.npz"
RATE, DECAY, EPSILON = 1e-3, 1e-2, 1e-3
"""Adam's usual epsilon would make directions of rounding errors where a gradient is next to 0."""
ARGUMENTS: dict[str, Any] = {
    "dataset": "digits",
    "network": "cnn2",
    "network_options": {"width": 0.125},
    "train_size": 200,
    "validation_size": 50,
    "test_size": 60,
    "batch_size": 16,
    "updates_per_step": 5,
    "epochs": 12.4,
    "reward": "accuracy",
    "learning_rate": RATE,
    "weight_decay": DECAY,
    "optimiser": {"name": "adam", "eps": EPSILON},
}


def environment(policy: Policy) -> NetworkTraining:
    """What the policy acts in: as many decisions as in its training, each of five updates."""
    trained_on = policy.information["environment"]
    interface = {name: trained_on[name] for name in ("features", "actions", "bounds")}
    return make_env(**ARGUMENTS, **interface)


def trace() -> dict[str, np.ndarray]:
    """What agents saw and did at each decision, and what they did it to."""
    policy = load_policy("pretrained")
    env = environment(policy)
    state, timestep = jax.jit(env.reset)(jax.random.PRNGKey(3))
    data, weights = env.task.data.train, state.inner.params
    count = env.time_limit * env.updates_per_step * env.batch_size
    indices = example_indices(state.data_key, jnp.uint32(0), count, data.size)
    step, act = jax.jit(env.step), jax.jit(policy.act)
    hidden = policy.initial_hidden(env.num_agents)
    seen: dict[str, list[Any]] = {"features": [], "actions": [], "rates": []}
    for _ in range(env.time_limit):
        view = timestep.observation.agents_view
        hidden, action = act(hidden, timestep.observation, False, jax.random.PRNGKey(0))
        state, timestep = step(state, action)
        rates = state.controls["learning_rate"]
        for name, value in zip(seen, (view, action, rates), strict=True):
            seen[name].append(value)
    return {
        **{name: np.stack(values) for name, values in seen.items()},
        **{
            f"weights/{layer}/{name}": np.asarray(x)
            for layer, arrays in weights.items()
            for name, x in arrays.items()
        },
        "inputs": np.asarray(env.task.prepare(data.inputs)),
        "targets": np.asarray(data.targets),
        "batches": np.asarray(indices).reshape(-1, env.batch_size),
        "final_weight_norm": np.asarray(state.statistics.weight_norm),
    }


def golden() -> dict[str, np.ndarray]:
    """The trace that is kept as data."""
    with np.load(FILE) as archive:
        return dict(archive)


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, **trace())
