"""Whole updates of PPO against a plain NumPy implementation of the same rules.

It shares no code with `systems` but the random order of the minibatches. Its gradients are JAX's,
of networks and losses written out again; all else is NumPy in double precision.
"""

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

STEPS, ENVS, AGENTS, FEATURES, ACTIONS, HIDDEN, LENGTH = 8, 2, 2, 3, 4, 5, 4
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
CHEAPLY = {"xla_backend_optimization_level": 0}
TOLERANCE = 3e-5


# --- the oracle ---------------------------------------------------------------------------------


def dense(weights, x):
    return x @ weights["kernel"] + weights.get("bias", 0.0)


def mlp(weights, x):
    for i in range(len(weights)):
        x = jnp.maximum(dense(weights[f"Dense_{i}"], x), 0.0)
    return x


def gru(weights, h, x):
    r = jax.nn.sigmoid(dense(weights["ir"], x) + dense(weights["hr"], h))
    z = jax.nn.sigmoid(dense(weights["iz"], x) + dense(weights["hz"], h))
    n = jnp.tanh(dense(weights["in"], x) + r * dense(weights["hn"], h))
    return (1 - z) * n + z * h


def log_policy(weights, hidden, view, mask, done):
    """Log-probabilities of all actions, step after step."""
    rows = []
    for t in range(view.shape[0]):
        hidden = jnp.where(done[t][:, None, None], 0.0, hidden)
        hidden = gru(weights["gru"]["GRUCell_0"], hidden, mlp(weights["torso"], view[t]))
        logits = dense(weights["logits"], mlp(weights["head"], hidden))
        logits = jnp.where(mask[t], logits, -1e9)
        logits = logits - logits.max(-1, keepdims=True)
        rows.append(logits - jnp.log(jnp.exp(logits).sum(-1, keepdims=True)))
    return jnp.stack(rows)


def critic(weights, view):
    return dense(weights["value"], mlp(weights["torso"], view))[..., 0]


def objective(params, batch, weights):
    """What a minibatch's update goes down on, and what is reported of it."""
    logs = log_policy(params["actor"], *(batch[k] for k in ("hidden", "view", "mask", "done")))
    new = jnp.sum(logs * jax.nn.one_hot(batch["action"], ACTIONS), -1)
    ratio, clip = jnp.exp(new - batch["log"]), weights["clip"]
    gain = batch["advantage"]
    surrogate = jnp.where(
        gain >= 0, jnp.minimum(ratio, 1 + clip) * gain, jnp.maximum(ratio, 1 - clip) * gain
    )
    value, old = critic(params["critic"], batch["critic_view"]), batch["value"]
    near = jnp.minimum(jnp.maximum(value, old - weights["near"]), old + weights["near"])
    errors = jnp.maximum((value - batch["target"]) ** 2, (near - batch["target"]) ** 2)
    entropy = -jnp.sum(jnp.exp(logs) * jnp.where(batch["mask"], logs, 0.0), -1).mean()
    spread = batch["target"].var()
    report = {
        "policy_loss": -surrogate.mean(),
        "value_loss": errors.mean(),
        "entropy": entropy,
        "approximate_kl": (ratio - 1 - jnp.log(ratio)).mean(),
        "clip_fraction": ((ratio > 1 + clip) | (ratio < 1 - clip)).mean(),
        "explained_variance": 1 - (batch["target"] - old).var() / spread,
    }
    loss = report["policy_loss"] + weights["value"] * errors.mean() - weights["entropy"] * entropy
    return loss, report


gradient_of = jax.jit(jax.grad(objective, has_aux=True), compiler_options=CHEAPLY)


class Moments:
    """Mean, variance and number of all samples so far."""

    def __init__(self, statistics: RunningStatistics):
        self.mean = np.asarray(statistics.mean, np.float64)
        self.variance = np.asarray(statistics.variance, np.float64)
        self.count = float(statistics.count)

    def add(self, samples):
        total = self.count + len(samples)
        mean = (self.count * self.mean + samples.sum(0)) / total
        squares = self.count * (self.variance + self.mean**2) + (samples**2).sum(0)
        self.mean, self.variance, self.count = mean, squares / total - mean**2, total

    @property
    def std(self):
        return np.sqrt(self.variance)


class Adam:
    """Adam with its gradient clipped by global norm and, if asked to, a rate that falls to 0."""

    def __init__(self, config, rate):
        self.config, self.rate, self.steps = config, rate, 0
        self.total = config.num_updates * config.num_epochs * config.num_minibatches

    def step(self, params, gradient):
        leaves, tree = jax.tree.flatten(params)
        slopes = [np.asarray(g, np.float64) for g in jax.tree.leaves(gradient)]
        norm = np.sqrt(sum((g**2).sum() for g in slopes))
        if norm > self.config.max_gradient_norm:
            slopes = [g * self.config.max_gradient_norm / norm for g in slopes]
        if self.steps == 0:
            self.first, self.second = ([np.zeros_like(g) for g in slopes] for _ in range(2))
        rate = self.rate
        if self.config.anneal_learning_rates:
            rate *= 1 - self.steps / self.total
        self.steps += 1
        self.first = [0.9 * m + 0.1 * g for m, g in zip(self.first, slopes, strict=True)]
        self.second = [0.999 * v + 0.001 * g**2 for v, g in zip(self.second, slopes, strict=True)]
        moved = [
            p - rate * (m / (1 - 0.9**self.steps))
            / (np.sqrt(v / (1 - 0.999**self.steps)) + self.config.adam_epsilon)
            for p, m, v in zip(leaves, self.first, self.second, strict=True)
        ]  # fmt: skip
        return jax.tree.unflatten(tree, moved)


def advantages_of(config, rollout, value, next_value):
    """Generalised advantages, backwards, one environment and agent at a time."""
    result = np.zeros((STEPS, ENVS, AGENTS))
    for e, n in np.ndindex(ENVS, AGENTS):
        following = 0.0
        for t in reversed(range(STEPS)):
            future = config.gamma * rollout["discount"][t, e, n]
            delta = rollout["reward"][t, e, n] + future * next_value[t, e, n] - value[t, e, n]
            carried = 0.0 if rollout["last"][t, e] else future * config.gae_lambda * following
            result[t, e, n] = following = delta + carried
    return result


def critics_view(view, joint):
    if not joint:
        return view
    everybody = np.stack([np.concatenate(list(x)) for x in view.reshape(-1, AGENTS, FEATURES)])
    everybody = np.repeat(everybody[:, None], AGENTS, 1)
    return np.concatenate([view, everybody.reshape(*view.shape[:-1], -1)], -1)


def update(config, params, adams, seen, values, rollout, key, joint):
    """One update: the new parameters and the metrics; optimisers and moments go on in place."""

    def normalised(view):
        if not config.normalise_observations:
            return view
        limit = config.observation_clip
        return np.minimum(np.maximum((view - seen.mean) / seen.std, -limit), limit)

    view, following = normalised(rollout["view"]), normalised(rollout["next_view"])
    scale, shift = (values.std, values.mean) if config.normalise_values else (1.0, 0.0)
    old, after = (
        np.asarray(critic(params["critic"], critics_view(v, joint)), np.float64) * scale + shift
        for v in (view, following)
    )
    advantage = advantages_of(config, rollout, old, after)
    target = advantage + old
    if config.normalise_values:
        values.add(target.ravel())
        old, target = ((x - values.mean) / values.std for x in (old, target))
    whole = {k: rollout[k] for k in ("mask", "done", "action", "log")} | {
        "view": view, "critic_view": critics_view(view, joint), "advantage": advantage,
        "value": old, "target": target,
    }  # fmt: skip
    places = [(t, e) for t in range(0, STEPS, LENGTH) for e in range(ENVS)]
    weights = {
        "clip": config.clip_range, "value": config.value_weight, "entropy": config.entropy_weight,
        "near": config.value_clip_range if config.clip_values else np.inf,
    }  # fmt: skip
    reports = []
    for epoch_key in jax.random.split(key, config.num_epochs):
        order = np.asarray(jax.random.permutation(epoch_key, len(places)))
        for chosen in np.split(order, config.num_minibatches):
            cuts = [places[i] for i in chosen]
            batch = {
                k: np.stack([x[t : t + LENGTH, e] for t, e in cuts], axis=1)
                for k, x in whole.items()
            }
            batch["hidden"] = np.stack([rollout["hidden"][t, e] for t, e in cuts])
            if config.normalise_advantages:
                a = batch["advantage"]
                batch["advantage"] = (a - a.mean()) / a.std()
            gradient, report = gradient_of(params, batch, weights)
            params = {k: adams[k].step(params[k], gradient[k]) for k in params}
            reports.append(report)
    if config.normalise_observations:
        # The last column is not to be normalised.
        seen.add(rollout["view"].reshape(-1, FEATURES))
        seen.mean[-1], seen.variance[-1] = 0.0, 1.0
    return params, {k: np.mean([report[k] for report in reports]) for k in reports[0]}


# --- the comparison -----------------------------------------------------------------------------


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
