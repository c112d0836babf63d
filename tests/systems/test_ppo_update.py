"""Whole updates of PPO against a plain NumPy implementation of the same rules."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.types import Observation
from ganno_env.vector import VectorTimeStep
from systems.ppo import update as ppo
from systems.ppo.config import PPOConfig
from systems.ppo.normalisation import RunningStatistics
from systems.ppo.rec_ippo import own_view
from systems.ppo.rec_mappo import joint_view
from systems.ppo.types import ActorCritic, Learned, Transition
from tests.systems.ppo_oracle import (
    ACTIONS,
    AGENTS,
    CHEAPLY,
    ENVS,
    FEATURES,
    HIDDEN,
    LENGTH,
    STEPS,
    Adam,
    Moments,
    update,
)

UPDATES = 2
NORMALISED = (True, True, False)
OPTIONS = {
    "total_timesteps": UPDATES * STEPS * ENVS, "num_envs": ENVS, "rollout_length": STEPS,
    "sequence_length": LENGTH, "num_epochs": 2, "num_minibatches": 2, "actor_layers": (6,),
    "recurrent_size": HIDDEN, "post_recurrent_layers": (5,), "critic_layers": (6,),
    "actor_learning_rate": 0.01, "critic_learning_rate": 0.03, "max_gradient_norm": 0.5,
    "gamma": 0.9, "gae_lambda": 0.8, "clip_range": 0.15, "value_clip_range": 0.1,
    "value_weight": 0.7,
}  # fmt: skip
# Few, because each is a program of its own; no two options are changed by the same ones.
CASES = {
    "as_mava_has_it": {},
    "annealed_with_much_entropy": {
        "anneal_learning_rates": True, "entropy_weight": 0.5, "observation_clip": 0.5,
    },
    "advantages_as_they_are": {"normalise_advantages": False, "clip_values": False},
    "values_as_they_are": {"normalise_values": False, "clip_values": False},
    "observations_as_they_are": {
        "normalise_observations": False, "max_gradient_norm": 0.01, "entropy_weight": 0.0,
    },
}  # fmt: skip
CENTRALISED = "values_as_they_are"
TOLERANCE = 3e-5


def random_rollout(seed):
    """A rollout with ends and time-outs within its sequences, and an old policy of its own."""
    random = np.random.default_rng(seed)
    shape = (STEPS, ENVS, AGENTS)
    last = random.random(shape[:2]) < 0.3
    terminated = last & (random.random(shape[:2]) < 0.5)
    assert terminated.any()
    assert (last & ~terminated).any()
    mask = np.ones((*shape, ACTIONS), bool)
    mask[..., -1] = False
    mask[2, 0, 1, 0] = False
    rollout = {
        "view": random.normal(1.0, 2.0, (*shape, FEATURES)),
        "next_view": random.normal(1.0, 2.0, (*shape, FEATURES)),
        "hidden": random.normal(size=(*shape, HIDDEN)),
        "log": np.log(random.uniform(0.25, 0.5, shape)),
        "reward": random.normal(2.0, 3.0, shape),
        "discount": np.broadcast_to(~terminated[..., None], shape),
    }
    rollout = {k: x.astype(np.float32) for k, x in rollout.items()}
    done = np.concatenate([[[True, False]], last[:-1]])
    action = random.integers(1, ACTIONS - 1, shape, dtype=np.int32)
    return rollout | {"mask": mask, "last": last, "done": done, "action": action}


def as_transitions(rollout):
    return jax.vmap(as_transition)(jax.tree.map(jnp.asarray, rollout))


def as_transition(step):
    nothing = jnp.zeros((ENVS,), jnp.float32)

    def observation(view):
        count = jnp.zeros((ENVS, AGENTS), jnp.int32)
        return Observation(agents_view=view, action_mask=step["mask"], step_count=count)

    timestep = VectorTimeStep(
        observation=observation(step["next_view"] + 9.0),
        next_observation=observation(step["next_view"]),
        reward=step["reward"], discount=step["discount"], last=step["last"],
        episode_return=nothing, episode_length=nothing.astype(jnp.int32), extras={},
    )  # fmt: skip
    return Transition(
        hidden=step["hidden"], observation=observation(step["view"]), done=step["done"],
        action=step["action"], log_probability=step["log"], timestep=timestep,
    )  # fmt: skip


def beginning(config, parts):
    """Parameters at which every part of the networks matters, and statistics of a run under way."""
    random = np.random.default_rng(1)

    def init():
        transitions = as_transitions(ROLLOUTS[0])
        view, mask = transitions.observation.agents_view, transitions.observation.action_mask
        done, key = transitions.done[..., None], jax.random.PRNGKey(0)
        params = ActorCritic(
            actor=parts.actor.init(key, transitions.hidden[0], view, mask, done),
            critic=parts.critic.init(key, parts.critic_view(view)),
        )
        optimisers = parts.optimisers
        return params, ActorCritic(
            actor=optimisers.actor.init(params.actor), critic=optimisers.critic.init(params.critic)
        )

    params, optimiser_states = jax.eval_shape(init)
    params = jax.tree.map(lambda x: np.float32(random.normal(0, 0.5, x.shape)), params)

    def moments(mean, variance):
        mean, variance = jnp.float32(mean), jnp.float32(variance)
        return RunningStatistics(mean=mean, variance=variance, count=jnp.float32(20))

    views = moments([0.5, 1.0, 0.0], [4.0, 2.0, 1.0])
    nothing_seen = moments([0.0] * FEATURES, [1.0] * FEATURES).replace(count=jnp.float32(0))
    no_values = moments(0.0, 1.0).replace(count=jnp.float32(0))
    return Learned(
        params=params,
        optimiser_states=jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), optimiser_states),
        observation_statistics=views if config.normalise_observations else nothing_seen,
        value_statistics=moments(4.0, 25.0) if config.normalise_values else no_values,
    )


KEYS = [jax.random.PRNGKey(i) for i in range(UPDATES)]
ROLLOUTS = [random_rollout(i) for i in range(UPDATES)]


def by_the_oracle(config, learned, joint):
    params = {"actor": learned.params.actor["params"], "critic": learned.params.critic["params"]}
    adams = {
        "actor": Adam(config, config.actor_learning_rate),
        "critic": Adam(config, config.critic_learning_rate),
    }
    seen, values = Moments(learned.observation_statistics), Moments(learned.value_statistics)
    reports = []
    for rollout, key in zip(ROLLOUTS, KEYS, strict=True):
        params, report = update(config, params, adams, seen, values, rollout, key, joint)
        reports.append(report)
    return params, seen, values, reports


@pytest.mark.parametrize("case", CASES)
def test_updates_equal_numpys(case):
    config = PPOConfig(**(OPTIONS | CASES[case]))
    joint = case == CENTRALISED
    parts = ppo.make_parts(config, ACTIONS, joint_view if joint else own_view, NORMALISED)
    learned = beginning(config, parts)
    params, seen, values, expected_reports = by_the_oracle(config, learned, joint)
    learn = jax.jit(lambda *arguments: ppo.learn(parts, *arguments), compiler_options=CHEAPLY)
    for rollout, key, expected in zip(ROLLOUTS, KEYS, expected_reports, strict=True):
        learned, report = learn(learned, as_transitions(rollout), key)
        assert set(report) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(report[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    found = {"actor": learned.params.actor["params"], "critic": learned.params.critic["params"]}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=TOLERANCE, rtol=0), found, params
    )
    for statistics, moments in (
        (learned.observation_statistics, seen), (learned.value_statistics, values)
    ):  # fmt: skip
        np.testing.assert_allclose(statistics.mean, moments.mean, rtol=1e-5)
        np.testing.assert_allclose(statistics.variance, moments.variance, rtol=1e-5)
        assert statistics.count == moments.count


@pytest.mark.parametrize(
    ("name", "value"), sorted({option for changes in CASES.values() for option in changes.items()})
)
def test_each_option_alone_makes_a_difference_that_the_comparison_would_see(name, value):
    config = PPOConfig(**(OPTIONS | {name: value}))
    learned = beginning(config, ppo.make_parts(config, ACTIONS, own_view, NORMALISED))
    params, *_ = by_the_oracle(config, learned, joint=False)
    others, *_ = by_the_oracle(PPOConfig(**OPTIONS), learned, joint=False)
    differences = jax.tree.map(lambda a, b: np.abs(a - b).max(), params, others)
    assert max(jax.tree.leaves(differences)) > 10 * TOLERANCE
