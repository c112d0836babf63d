"""The policy that comes with the package."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env import make_env
from ganno_env.evaluation import GridRunner
from ganno_env.networks import NETWORKS
from systems.evaluate import inherit
from systems.experiments.agents import AGENTS, as_method
from systems.options.experiment import AgentsSpec
from systems.policy.policy import PRETRAINED, load_policy, policy_file
from systems.ppo.config import PPOConfig
from tests.inputs import dataset_for
from tests.small import ARGUMENTS

LARGEST = 2**20
LOWEST, HIGHEST = 1e-4, 1e-2


@pytest.fixture(scope="module")
def policy():
    return load_policy(PRETRAINED)


def test_it_is_small_and_says_how_it_came_to_be(policy):
    assert policy_file(PRETRAINED).stat().st_size < LARGEST
    information = policy.information
    config = PPOConfig.parse(information["config"])
    assert information["training"]["env_steps"] == config.total_timesteps
    assert information["training"]["seconds"] > 0
    trained_on = {k: information["environment"][k] for k in ("dataset", "network")}
    assert trained_on == {"dataset": "fashion_mnist", "network": "cnn2"}
    assert policy.greedy


@pytest.mark.parametrize("network", list(NETWORKS))
def test_it_acts_on_every_network(policy, network):
    """And keeps every layer's rate within the bounds that it was trained with, also from 0."""
    env = make_env(
        **inherit(
            ARGUMENTS | {"dataset": dataset_for(network), "network": network, "learning_rate": 0.0},
            policy.information["environment"],
        )
    )
    policy.check_fits(env)

    def begin(key):
        state = env.begin(key, {}, env.initial_network(key), measured=False)
        return state, env.observe(state)

    state, timestep = jax.eval_shape(begin, jax.random.PRNGKey(0))
    observation = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), timestep.observation)
    _, action = jax.jit(policy.act)(
        policy.initial_hidden(env.num_agents), observation, jnp.array(True), jax.random.PRNGKey(0)
    )
    assert action.shape == (env.num_agents,)
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), state)
    rates = jax.jit(env.controls_after)(state, action)["learning_rate"]
    assert bool(jnp.all((rates >= np.float32(LOWEST)) & (rates <= np.float32(HIGHEST))))


@pytest.mark.usefixtures("on_one_device")
def test_no_initial_rate_makes_a_network_diverge(policy):
    env = make_env(**ARGUMENTS)
    method = as_method(AgentsSpec(name=AGENTS, checkpoint=PRETRAINED), policy, env)
    records = GridRunner(env).run([method.runs(rate, 0.1, 0) for rate in (0.0, 1e-4, 1e-2)])
    for record in records:
        assert np.isfinite(record.validation_loss).all()
        assert record.controls["learning_rate"].min() >= np.float32(LOWEST)
        assert record.controls["learning_rate"].max() <= np.float32(HIGHEST)
