"""Whole updates of PPO in plain NumPy, for rollouts of one size.

It shares no code with `systems` but the random order of the minibatches. Its gradients are JAX's,
of networks and losses written out again; all else is NumPy in double precision.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from systems.ppo.normalisation import RunningStatistics

STEPS, ENVS, AGENTS, FEATURES, ACTIONS, HIDDEN, LENGTH = 8, 2, 2, 3, 4, 5, 4
CHEAPLY = {"xla_backend_optimization_level": 0}


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
