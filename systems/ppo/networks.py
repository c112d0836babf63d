"""The actor, the critic, and the categorical policy that the actor's logits stand for.

Every function here works on any number of leading axes, so that one set of weights serves every
agent of every environment, however many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ganno_env.types import PRNGKey
from systems.ppo.config import PPOConfig

ILLEGAL_LOGIT = -1e9
"""Finite, so that an illegal action adds 0 rather than 0 * inf to the entropy and its gradient."""


class MLP(nn.Module):
    """Dense layers, each followed by a ReLU; orthogonally initialised."""

    layers: Sequence[int]

    @nn.compact
    def __call__(self, x: Float[Array, "... F"]) -> Float[Array, "... H"]:
        """The last layer's output."""
        for size in self.layers:
            x = nn.relu(nn.Dense(size, kernel_init=nn.initializers.orthogonal(2**0.5))(x))
        return x


class ResettingGRU(nn.Module):
    """One step of a GRU whose hidden state starts from zero where a new episode starts."""

    size: int

    @nn.compact
    def __call__(
        self,
        hidden: Float[Array, "... H"],
        inputs: tuple[Float[Array, "... F"], Bool[Array, "..."]],
    ) -> tuple[Float[Array, "... H"], Float[Array, "... H"]]:
        """The new hidden state and the output, from the old one, features, and `done` flags."""
        features, done = inputs
        hidden = jnp.where(done[..., None], jnp.zeros_like(hidden), hidden)
        cell = nn.GRUCell(self.size, kernel_init=nn.initializers.orthogonal())
        new_hidden, output = cell(hidden, features)
        return new_hidden, output


class Actor(nn.Module):
    """The recurrent policy: MLP, GRU, MLP, one logit for each action (paper, appendix D).

    Attributes:
        num_actions: A.
        layers: sizes before the GRU.
        recurrent_size: H, the GRU's size.
        post_recurrent_layers: sizes between the GRU and the logits.
    """

    num_actions: int
    layers: Sequence[int] = (128, 128)
    recurrent_size: int = 64
    post_recurrent_layers: Sequence[int] = (64,)

    @nn.compact
    def __call__(
        self,
        hidden: Float[Array, "... H"],
        agents_view: Float[Array, "T ... F"],
        action_mask: Bool[Array, "T ... A"],
        done: Bool[Array, "T ..."],
    ) -> tuple[Float[Array, "... H"], Float[Array, "T ... A"]]:
        """Runs over T consecutive steps.

        Args:
            hidden: the state that the step before the first one left behind.
            agents_view: normalised observations.
            action_mask: legal actions.
            done: whether an episode ended just before each step; the hidden state is zeroed there.

        Returns:
            The hidden state after the last step, and the masked logits of each step.
        """
        features = MLP(self.layers, name="torso")(agents_view)
        scan = nn.scan(ResettingGRU, variable_broadcast="params", split_rngs={"params": False})
        hidden, features = scan(self.recurrent_size, name="gru")(hidden, (features, done))
        features = MLP(self.post_recurrent_layers, name="head")(features)
        # Near-zero logits: the first policy is close to uniform.
        small = nn.initializers.orthogonal(0.01)
        logits = nn.Dense(self.num_actions, kernel_init=small, name="logits")(features)
        return hidden, mask_logits(logits, action_mask)


class Critic(nn.Module):
    """The feed-forward value function, on whatever view the system gives it."""

    layers: Sequence[int] = (64, 64)

    @nn.compact
    def __call__(self, view: Float[Array, "... G"]) -> Float[Array, "..."]:
        """One value for each view, normalised as the value targets are."""
        features = MLP(self.layers, name="torso")(view)
        value = nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0), name="value")(features)
        return jnp.squeeze(value, axis=-1)


def make_actor(config: PPOConfig, num_actions: int) -> Actor:
    """The policy network that `config` describes."""
    return Actor(
        num_actions=num_actions,
        layers=config.actor_layers,
        recurrent_size=config.recurrent_size,
        post_recurrent_layers=config.post_recurrent_layers,
    )


def mask_logits(
    logits: Float[Array, "... A"], action_mask: Bool[Array, "... A"]
) -> Float[Array, "... A"]:
    """Leaves illegal actions no probability."""
    return jnp.where(action_mask, logits, ILLEGAL_LOGIT)


def log_probability(
    logits: Float[Array, "... A"], action: Int[Array, "..."]
) -> Float[Array, "..."]:
    """The log-probability of `action`, in nats."""
    log_probabilities = jax.nn.log_softmax(logits)
    return jnp.take_along_axis(log_probabilities, action[..., None], axis=-1)[..., 0]


def entropy(logits: Float[Array, "... A"]) -> Float[Array, "..."]:
    """The policy's entropy, in nats."""
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.sum(jnp.exp(log_probabilities) * log_probabilities, axis=-1)


def sample(key: PRNGKey, logits: Float[Array, "... A"]) -> Int[Array, "..."]:
    """A random action, int32."""
    return jax.random.categorical(key, logits).astype(jnp.int32)


def mode(logits: Float[Array, "... A"]) -> Int[Array, "..."]:
    """The most probable action, int32."""
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)
