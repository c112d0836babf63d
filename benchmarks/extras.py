"""What a step costs beside its gradient updates, at `scale=cpu`.

Three contenders in turn, in gradient updates a second: the updates alone, of as many replicas on as
many devices; steps of the environment (observations, statistics, validation, auto-reset too); and
the whole system (policy, critic and their training too).

Usage: python -m benchmarks.extras [--json] [--rounds N]
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import contenders
from benchmarks.cases import NUM_BRANCHES, NUM_ENVS, Case
from benchmarks.measurement import machine, measure
from ganno_env import NetworkTraining
from ganno_env.compilation import jit_with_data
from ganno_env.inner.replicas import replicated
from ganno_env.types import Batch, InnerState
from systems.ppo.config import PPOConfig
from systems.ppo.mesh import ENVS
from systems.ppo.rec_ippo import make_learner
from systems.training.devices import configure
from systems.utils.output import echo, make_console
from systems.utils.strict_json import to_json


def updates_alone(env: NetworkTraining, mesh: Mesh) -> contenders.Contender:
    """The gradient updates of a step of 4 environments with 2 branches, and nothing else."""
    generator = np.random.default_rng(0)
    shape = (contenders.NUM_REPLICAS, env.updates_per_step, env.batch_size)
    indices = generator.integers(0, env.task.data.train.size, shape, dtype=np.int32)
    rates = jnp.full((env.num_layers,), 1e-3, jnp.float32)
    controls = {"learning_rate": rates, "weight_decay": rates}

    def train(state: InnerState, indices: jax.Array) -> InnerState:
        def update(state: InnerState, batch: Batch) -> tuple[InnerState, None]:
            return env.inner._update(state, controls, batch)[0], None

        batches = jax.tree.map(lambda x: x[indices], env.task.data.train)
        return jax.lax.scan(update, state, batches)[0]

    def step(states: InnerState, indices: jax.Array) -> InnerState:
        return jax.vmap(replicated(train))(states, indices)

    spec = PartitionSpec(ENVS)
    sharded = jax.shard_map(step, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    compiled = jit_with_data(sharded, data_sharding=NamedSharding(mesh, PartitionSpec()))
    keys = jax.random.split(jax.random.key(0), contenders.NUM_REPLICAS)
    states = jax.vmap(env.inner.init)(keys)
    return contenders.Contender(
        lambda: jax.block_until_ready(compiled(states, indices)), int(np.prod(shape[:2]))
    )


def whole_system(env: NetworkTraining, mesh: Mesh) -> contenders.Contender:
    """Rollouts of 16 steps of 4 environments, and what is learned from them."""
    config = PPOConfig(num_envs=NUM_ENVS, rollout_length=16)
    learner = make_learner(env, config, mesh)
    state = [learner.init(jax.random.PRNGKey(0))]

    def run() -> None:
        state[0], metrics = learner.update(state[0])
        jax.block_until_ready(metrics)

    replicas = config.timesteps_per_update * NUM_BRANCHES
    return contenders.Contender(run, replicas * env.updates_per_step)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contender")
    arguments = parser.parse_args()
    mesh = configure(num_envs=NUM_ENVS)
    env = Case("cnn2", 64, "fashion_mnist").environment()
    rates = measure(
        {
            "updates_alone": updates_alone(env, mesh),
            "environment": contenders.environment(env, mesh),
            "system": whole_system(env, mesh),
        },
        arguments.rounds,
    )
    extras = {
        f"{name}_extras": 1 - rates[name] / rates["updates_alone"]
        for name in ("environment", "system")
    }
    if arguments.json:
        echo(to_json(rates | extras | {"machine": machine()}, indent=2))
        return
    console = make_console()
    for name, rate in rates.items():
        share = extras.get(f"{name}_extras", 0.0)
        console.print(f"{name}: {rate:,.0f} updates a second, {share:.1%} of the time for extras")


if __name__ == "__main__":
    main()
