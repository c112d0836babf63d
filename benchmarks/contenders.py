"""Who runs: each contender is a function that makes a known number of gradient updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.cases import NUM_BRANCHES, NUM_ENVS, Case
from benchmarks.sizes import sizes_of
from benchmarks.stock_flax import MODULES
from ganno_env import NetworkTraining
from ganno_env.compilation import jit_with_data
from ganno_env.inner.loss import batch_gradient
from ganno_env.vector import VectorEnv
from systems.ppo.mesh import ENVS

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4
NUM_REPLICAS = NUM_ENVS * NUM_BRANCHES


class Contender(NamedTuple):
    """A run of gradient updates.

    Attributes:
        run: makes them.
        num_updates: how many, counted over all replicas.
        is_compiled: whether even the first run compiles nothing.
    """

    run: Callable[[], Any]
    num_updates: int
    is_compiled: bool = False


def environment(env: NetworkTraining, mesh: Mesh, num_envs: int = NUM_ENVS) -> Contender:
    """Steps of `num_envs` environments as the systems make them: sharded, with auto-reset.

    Observations, both branches' validation and the reward are part of what is timed.
    """
    vector = VectorEnv(env)

    def sharded(function: Callable) -> Callable:
        spec = PartitionSpec(ENVS)
        return jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)

    everywhere = NamedSharding(mesh, PartitionSpec())
    reset = jit_with_data(sharded(vector.reset), data_sharding=everywhere)
    step = jit_with_data(sharded(vector.step), donate_argnums=(0,), data_sharding=everywhere)
    state = [jax.block_until_ready(reset(jax.random.split(jax.random.key(0), num_envs)))[0]]
    actions = jnp.ones((num_envs, env.num_agents), jnp.int32)

    def run() -> None:
        state[0], timestep = step(state[0], actions)
        jax.block_until_ready(timestep)

    branches = NUM_BRANCHES if env.reward.needs_no_op else 1
    return Contender(run, num_envs * branches * env.updates_per_step)


def training_scan(differentiate: Callable) -> Callable:
    """A loop as one would write it: `lax.scan` over batches, `optax.adamw`, and nothing else.

    Args:
        differentiate: `(params, network_state, indices) -> (network_state, gradient)`.
    """
    optimiser = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def train(params: Any, network_state: Any, batches: Any) -> Any:
        def update(carry: Any, indices: Any) -> tuple[Any, None]:
            params, network_state, state = carry
            network_state, gradient = differentiate(params, network_state, indices)
            updates, state = optimiser.update(gradient, state, params)
            return (optax.apply_updates(params, updates), network_state, state), None

        carry = (params, network_state, optimiser.init(params))
        return jax.lax.scan(update, carry, batches)[0]

    return train


def whole_batch(env: NetworkTraining, apply: Callable) -> Callable:
    """Differentiates the loss of a whole batch at once, for `training_scan`."""

    def loss(params: Any, network_state: Any, indices: Any) -> tuple[Any, Any]:
        batch = jax.tree.map(lambda x: x[indices], env.task.data.train)
        outputs, network_state = apply(params, network_state, env.task.prepare(batch.inputs))
        return env.task.loss(outputs, batch.targets).mean(), network_state

    def differentiate(params: Any, network_state: Any, indices: Any) -> tuple[Any, Any]:
        return jax.grad(loss, has_aux=True)(params, network_state, indices)[::-1]

    return differentiate


def in_chunks(env: NetworkTraining) -> Callable:
    """Differentiates as the environment does, a cacheful of examples at a time."""

    def differentiate(params: Any, network_state: Any, indices: Any) -> tuple[Any, Any]:
        batch = jax.tree.map(lambda x: x[indices], env.task.data.train)
        return batch_gradient(params, env.network, network_state, env.task, batch)[2:]

    return differentiate


def bare(env: NetworkTraining, batches: np.ndarray, chunked: bool) -> Contender:
    """The limit: the environment's own network, one replica, in a loop that does nothing else."""
    network = env.network
    whole = whole_batch(env, lambda params, state, x: network.apply(params, state, x, True))
    train = jax.jit(training_scan(in_chunks(env) if chunked else whole))
    start = network.init(jax.random.key(0))
    return Contender(lambda: jax.block_until_ready(train(*start, batches)), len(batches))


def flax(
    case: Case, env: NetworkTraining, batches: np.ndarray, num_replicas: int
) -> Contender | None:
    """Stock Flax in the same loop, alone or under `vmap` over replicas; None if it has no such."""
    if case.network not in MODULES:
        return None
    sizes = sizes_of(env.network, env.task.input_spec)
    module = MODULES[case.network](sizes)
    shape = sizes.input_spec.batch(1)
    example = jnp.zeros(shape.shape, shape.dtype)
    variables = jax.jit(module.init, static_argnums=2)(jax.random.key(0), example, False)
    statistics = variables.get("batch_stats", {})

    def apply(params: Any, network_state: Any, x: Any) -> tuple:
        variables = {"params": params, "batch_stats": network_state}
        outputs, changed = module.apply(variables, x, True, mutable=["batch_stats"])
        return outputs, changed.get("batch_stats", {})

    train = training_scan(whole_batch(env, apply))
    start = (variables["params"], statistics)
    if num_replicas > 1:
        start = jax.tree.map(lambda x: jnp.stack([x] * num_replicas), start)
        train = jax.vmap(train, in_axes=(0, 0, None))
    compiled = jax.jit(train).lower(*start, batches).compile()
    return Contender(
        lambda: jax.block_until_ready(compiled(*start, batches)),
        num_replicas * len(batches),
        is_compiled=True,
    )


def torch(
    case: Case, env: NetworkTraining, batches: np.ndarray, num_threads: int
) -> Contender | None:
    """PyTorch, eager, on the same cores; replicas one after another run at one replica's rate.

    None if it is not installed, or the network has no counterpart.
    """
    try:
        from benchmarks import stock_torch
    except ImportError:
        return None
    if case.network not in stock_torch.MODULES:
        return None
    model = stock_torch.MODULES[case.network](sizes_of(env.network, env.task.input_spec))
    data = env.task.data.train
    inputs, targets = (np.asarray(x) for x in (data.inputs, data.targets))
    run = stock_torch.training(model, inputs, targets, batches, num_threads)
    return Contender(run, len(batches), is_compiled=True)


def update_flops(env: NetworkTraining) -> float:
    """Floating-point operations of one gradient update, as XLA counts them.

    Counted of few examples, and of more in proportion: of what is in a loop, as large maps' rows
    are, XLA counts a single turn.
    """
    few, more = 4, 8
    counted = {size: _counted_flops(env, size) for size in (few, more)}
    each = (counted[more] - counted[few]) / (more - few)
    return counted[few] + (env.batch_size - few) * each


def _counted_flops(env: NetworkTraining, batch_size: int) -> float:
    network = env.network
    train = training_scan(whole_batch(env, lambda p, state, x: network.apply(p, state, x, True)))
    batch = np.zeros((1, batch_size), np.int32)
    compiled = jax.jit(train).lower(*network.init(jax.random.key(0)), batch).compile()
    return float((compiled.cost_analysis() or {})["flops"])


def peak_flops(size: int = 3072) -> Contender:
    """A large matrix product in float32; `num_updates` counts its operations."""
    a = jax.random.normal(jax.random.key(0), (size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    return Contender(lambda: jax.block_until_ready(product(a, a)), 2 * size**3)
