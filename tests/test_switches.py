"""JAX's own switches and either kind of key: nothing breaks, and episodes stay what they are.

What is only traced here would fail as it is traced: a type that a switch changes.
"""

from __future__ import annotations

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.evaluation import GridRunner, RunSpec, random_controller, schedule_controller
from ganno_env.networks import NETWORKS
from ganno_env.observations import FEATURES
from ganno_env.optimisers import OPTIMISERS
from systems.policy.policy import make_policy
from systems.ppo.config import PPOConfig
from systems.ppo.rec_ippo import make_learner
from tests.inputs import dataset_for, slow_if_large
from tests.small import OPTIONAL, small_env
from tests.toys import Recall

CONFIG = PPOConfig(
    num_envs=2, rollout_length=4, sequence_length=2, num_minibatches=2, actor_layers=(4,),
    critic_layers=(4,), post_recurrent_layers=(4,), recurrent_size=4, anneal_learning_rates=True,
)  # fmt: skip
TINY = {"network": "mlp", "updates_per_step": 2, "num_steps": 2}
LEAST = TINY | {
    "network_options": {"widths": [4]}, "features": "learning_rate_only", "reward": "accuracy_gain",
}  # fmt: skip
"""Nothing but what an optimiser has a part in; the rest is traced in other tests."""
KEYS = {"raw": jax.random.PRNGKey, "typed": jax.random.key}
SWITCHES = [("x64",), ("strict",), ("x64", "strict")]


@contextlib.contextmanager
def switched(*names):
    """Under 64 bits, without implicit promotion, or both."""
    with contextlib.ExitStack() as stack:
        if "x64" in names:
            stack.enter_context(jax.enable_x64(True))
        if "strict" in names:
            stack.enter_context(jax.numpy_dtype_promotion("strict"))
        yield


def assert_no_64_bits(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    wide = {jax.tree_util.keystr(path) for path, x in leaves if str(x.dtype).endswith("64")}
    assert not wide


def assert_one_type(before, after):
    assert jax.tree.map(jax.typeof, before) == jax.tree.map(jax.typeof, after)
    assert_no_64_bits(before)


def trace_episode(env, key):
    begun = jax.eval_shape(env.reset, key)
    action = jax.ShapeDtypeStruct((env.num_agents,), jnp.int32)
    assert_one_type(begun, jax.eval_shape(env.step, begun[0], action))


def play(env, key):
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    history = [reset(key)]
    for number in range(env.time_limit):
        action = jnp.full((env.num_agents,), 2 + number, jnp.int32)
        history.append(step(history[-1][0], action))
    return [timestep for _, timestep in history]


@pytest.mark.parametrize("network", slow_if_large(NETWORKS))
def test_every_network_is_traced_under_both(network):
    env = small_env(
        dataset=dataset_for(network),
        network=network,
        network_options={"width": 0.05},
        features=tuple(FEATURES),
        initial_controls=OPTIONAL,  # so that there is something to see for every feature
    )
    with switched("x64", "strict"):
        trace_episode(env, jax.random.key(0))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_optimiser_is_traced_under_both(optimiser):
    with switched("x64", "strict"):
        trace_episode(small_env(**LEAST, optimiser=optimiser), jax.random.PRNGKey(0))


@pytest.mark.parametrize("names", SWITCHES[:2])
@pytest.mark.parametrize("kind", KEYS)
def test_each_switch_and_kind_of_key_alone(names, kind):
    with switched(*names):
        # Built under the switch too, data and all.
        trace_episode(small_env(**TINY, split_seed=1), KEYS[kind](0))


@pytest.mark.slow
def test_the_same_key_gives_the_same_episode():
    env = small_env(**TINY)
    expected = play(env, jax.random.PRNGKey(0))
    with switched("x64", "strict"):
        wide = play(env, jax.random.PRNGKey(0))
    with jax.debug_nans(True):
        watched = play(env, jax.random.key(0))
    for other in (wide, watched):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), expected, other
        )


@pytest.mark.slow
def test_without_compilation():
    env = small_env(**TINY | {"num_steps": 1, "updates_per_step": 1})
    expected = jax.jit(env.reset)(jax.random.PRNGKey(0))[1]
    with jax.disable_jit():
        state, first = env.reset(jax.random.PRNGKey(0))
        _, timestep = env.step(state, jnp.ones((env.num_agents,), jnp.int32))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), first, expected
    )
    assert timestep.last()


def train(env, key):
    learner = make_learner(env, CONFIG)
    begun = learner.init(key)
    # An update takes its argument's memory.
    types = jax.tree.map(jax.typeof, begun)
    state, metrics = learner.update(begun)
    assert jax.tree.map(jax.typeof, state) == types
    assert_no_64_bits((state, metrics))
    return state, metrics


@pytest.mark.slow
def test_training_is_the_same_under_both():
    env = Recall()
    _, expected = train(env, jax.random.PRNGKey(0))
    with switched("x64", "strict"):
        state, metrics = train(env, jax.random.key(0))
        learned = state.learned
        policy = make_policy(CONFIG, env, learned.params.actor, learned.observation_statistics, {})
        _, timestep = env.reset(jax.random.key(1))
        hidden = policy.initial_hidden(env.num_agents)
        acted = policy.act(hidden, timestep.observation, timestep.first(), jax.random.key(2))
        assert_no_64_bits(acted)
    assert set(metrics) == set(expected)
    for name, value in metrics.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_runs_of_a_grid_are_the_same_under_both(monkeypatch):
    monkeypatch.setattr(GridRunner, "num_devices", 1)  # compiled once
    runner = GridRunner(small_env(**TINY))
    specs = [
        RunSpec(controller, 1e-3, 0.01, 0)
        for controller in (schedule_controller("cosine"), random_controller())
    ]
    expected = runner.run(specs)
    with switched("x64", "strict"):
        wide = GridRunner(small_env(**TINY)).run(specs)
    for one, other in zip(expected, wide, strict=True):
        assert_no_64_bits(dict(other))
        for name in set(one) - {"seconds"}:
            jax.tree.map(
                lambda a, b, name=name: np.testing.assert_allclose(
                    a, b, rtol=1e-5, atol=1e-6, err_msg=name
                ),
                one[name],
                other[name],
            )


@pytest.mark.parametrize("names", SWITCHES)
def test_training_on_a_network_is_traced(names):
    with switched(*names):
        learner = make_learner(small_env(**TINY), CONFIG)
        begun = jax.eval_shape(learner.init, jax.random.key(0))
        state, metrics = jax.eval_shape(learner.update, begun)
        assert_one_type(begun, state)
        assert_no_64_bits(metrics)
