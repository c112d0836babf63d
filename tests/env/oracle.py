"""What agents should see, from parameters, batches and optimiser states alone: optax and NumPy."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ganno.features import LAYER_DEPTHS
from ganno_env.inner import example_indices
from ganno_env.types import LAYER_KINDS

OPERATORS = {"*": operator.mul, "/": operator.truediv, "+": operator.add, "-": operator.sub}


class Oracle:
    """An episode by plain optax. It shares with the environment the network and the batches."""

    def __init__(self, env, state, epsilon, learning_rate, weight_decay):
        self.env, self.data, self.inner = env, env.task.data, state.inner
        self.initial = {"learning_rate": learning_rate, "weight_decay": weight_decay}
        self.rates = np.full(env.num_layers, learning_rate)
        self.adam = optax.chain(
            optax.scale_by_adam(eps=epsilon), optax.add_decayed_weights(weight_decay)
        )
        self.params, self.network_state = state.inner.params, state.inner.network_state
        self.adam_state = self.adam.init(self.params)
        self.num_steps = 0
        self.batches = np.asarray(
            example_indices(
                state.data_key,
                jnp.uint32(0),
                env.time_limit * env.updates_per_step * env.batch_size,
                self.data.train.size,
            )
        ).reshape(env.time_limit, env.updates_per_step, env.batch_size)
        self.actions = np.zeros(env.num_agents, int)
        self.look = jax.jit(self._look)
        self.evaluate = jax.jit(
            lambda params, state, split: self._loss(params, state, split, train=False)
        )

    def _loss(self, params, network_state, examples, train):
        pixels = np.asarray(self.data.train.inputs) / 255.0
        mean, std = (jnp.asarray(f(pixels, (0, 1, 2)), jnp.float32) for f in (np.mean, np.std))
        pixels = (examples.inputs.astype(jnp.float32) / 255.0 - mean) / std
        logits, network_state = self.env.network.apply(params, network_state, pixels, train)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, examples.targets)
        hits = (jnp.argmax(logits, -1) == examples.targets).mean()
        return losses.mean(), (hits, network_state)

    def _look(self, params, network_state, adam_state, batch):
        """A batch's loss, accuracy, gradient and direction; and the states that it leads to."""
        examples = jax.tree.map(lambda x: x[batch], self.data.train)
        (loss, (hits, network_state)), gradient = jax.value_and_grad(self._loss, has_aux=True)(
            params, network_state, examples, True
        )
        with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
            direction, adam_state = self.adam.update(gradient, adam_state, params)
        return (loss, hits, gradient, direction), network_state, adam_state

    def reset(self):
        """The columns after a reset: a look at the first batch, with no update made."""
        measured, _, _ = self.look(
            self.params, self.network_state, self.adam_state, self.batches[0, 0]
        )
        return self.columns([measured])

    def step(self, actions):
        """The columns after a joint action and its updates."""
        names = [self.env.actions.names[action] for action in actions]
        self.actions = actions
        self.rates = np.array([
            rate if name == "noop" else np.clip(OPERATORS[name[0]](rate, float(name[1:])), 0, 1)
            for rate, name in zip(self.rates, names, strict=True)
        ])  # fmt: skip
        rates = dict(zip(self.layers, self.rates, strict=True))
        measured = []
        for batch in self.batches[self.num_steps]:
            last, self.network_state, self.adam_state = self.look(
                self.params, self.network_state, self.adam_state, batch
            )
            measured.append(last)
            self.params = {
                layer: jax.tree.map(lambda p, d, r=rates[layer]: p - r * d, params, last[3][layer])
                for layer, params in self.params.items()
            }
        self.num_steps += 1
        return self.columns(measured)

    @property
    def layers(self):
        return [layer.name for layer in self.env.network.layers]

    def columns(self, measured):
        """Appendix D's features by column, raw and as logarithms: a dict for each layer."""
        losses, accuracies, _, _ = zip(*measured, strict=True)
        loss, (hits, _) = self.evaluate(self.params, self.network_state, self.data.validation)
        return [
            self._layer(i, np.mean(losses), np.mean(accuracies), float(loss), float(hits), measured)
            for i in range(len(self.layers))
        ]

    def _layer(self, i, train_loss, train_accuracy, validation_loss, validation_accuracy, measured):
        weights, gradient, update = (
            np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree[self.layers[i]])])
            for tree in (self.params, *measured[-1][2:])
        )
        positive = {
            "train_loss": train_loss,
            "validation_loss": validation_loss,
            "loss_ratio": train_loss / validation_loss,
            "initial_learning_rate": self.initial["learning_rate"],
            "initial_weight_decay": self.initial["weight_decay"],
            "learning_rate": self.rates[i],
            "trust_ratio": np.linalg.norm(weights) / np.linalg.norm(update),
            "gradient_norm": np.linalg.norm(gradient),
            "update_norm": np.linalg.norm(update),
            "weight_variance": weights.var(),
            "weight_norm": np.linalg.norm(weights),
        }
        depth = {0: "first", len(self.layers) - 1: "last"}.get(i, "intermediate")
        one_hots = {
            "previous_action": (self.env.actions.names, self.env.actions.names[self.actions[i]]),
            "layer_type": (LAYER_KINDS, self.env.network.layers[i].kind),
            "layer_depth": (LAYER_DEPTHS, depth),
        }
        return (
            positive
            | {f"log_{name}": np.log10(max(value, 1e-8)) for name, value in positive.items()}
            | {f"{k}={x}": float(x == up) for k, (all_, up) in one_hots.items() for x in all_}
            | {
                "train_accuracy": train_accuracy,
                "validation_accuracy": validation_accuracy,
                "non_finite": 0.0,
                "progress": self.num_steps / self.env.time_limit,
                "weight_mean": weights.mean(),
            }
        )
