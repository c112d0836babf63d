"""The supervised loop: one gradient update, and a step of tau of them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ganno_env.controls import CONTROLS, Control
from ganno_env.controls.base import Place
from ganno_env.inner.loss import batch_gradient, evaluate
from ganno_env.inner.optimisers import Optimiser
from ganno_env.inner.replicas import replicated
from ganno_env.inner.statistics import layer_statistics
from ganno_env.types import (
    Batch,
    Controls,
    Dataset,
    InnerState,
    LayerStatistics,
    Metrics,
    Network,
    NetworkState,
    Params,
    PRNGKey,
)


class Gradient(NamedTuple):
    """What one minibatch says: its loss and accuracy, the gradient, and the direction taken."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]
    gradient: Params
    direction: Params


@dataclasses.dataclass(frozen=True)
class InnerLoop:
    """Trains `network` on `dataset.train` with `optimiser` and layerwise `controls`.

    Everything here is a pure function of its arguments. `controls` hold each hyperparameter's
    value for each layer, [L], or [tau, L] where every update has its own.
    """

    network: Network
    dataset: Dataset
    optimiser: Optimiser
    controls: tuple[Control, ...] = dataclasses.field(
        default_factory=lambda: tuple(CONTROLS.values())
    )

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The layers' names, in order of depth."""
        return tuple(layer.name for layer in self.network.layers)

    def init(self, key: PRNGKey) -> InnerState:
        """A freshly initialised network with no update made."""
        params, network_state = self.network.init(key)
        zeros = {
            control.name: jnp.zeros((len(self.layer_names),), jnp.float32)
            for control in self.controls
        }
        return InnerState(
            params=params,
            network_state=network_state,
            optimiser_state=self._direction(zeros).init(params),
            num_updates=jnp.int32(0),
        )

    def first_look(
        self, state: InnerState, controls: Controls, indices: Int[Array, " B"]
    ) -> tuple[Metrics, LayerStatistics]:
        """What `step` would measure, had it seen the batch at `indices` and made no update."""
        return replicated(self._first_look)(state, controls, indices)

    def step(
        self, state: InnerState, controls: Controls, indices: Int[Array, "tau B"]
    ) -> tuple[InnerState, Metrics, LayerStatistics]:
        """Makes tau updates, on the batches at `indices`, and measures what came of them.

        Args:
            state: where to start.
            controls: each layer's value at each update, [tau, L].
            indices: which training examples each batch is made of.

        Returns:
            The network after the updates, its metrics and its layers' statistics.
        """
        return replicated(self._step)(state, controls, indices)

    def evaluate(self, state: InnerState, split: Batch) -> tuple[Array, Array]:
        """Mean loss and accuracy on `split`, such as the test split."""
        measure = replicated(
            lambda params, network_state: evaluate(
                params, self.network, network_state, self.dataset, split
            )
        )
        return measure(state.params, state.network_state)

    def _first_look(
        self, state: InnerState, controls: Controls, indices: Int[Array, " B"]
    ) -> tuple[Metrics, LayerStatistics]:
        gradient, _, _ = self._gradient(state, controls, indices)
        return self._measure(state, gradient)

    def _step(
        self, state: InnerState, controls: Controls, indices: Int[Array, "tau B"]
    ) -> tuple[InnerState, Metrics, LayerStatistics]:
        def update(carry, inputs):
            state, _ = carry
            now, batch_indices = inputs
            state, gradient = self._update(state, now, batch_indices)
            # The last gradient rides along, so that statistics are taken once a step.
            return (state, gradient), (gradient.loss, gradient.accuracy)

        zeros = jax.tree.map(jnp.zeros_like, state.params)
        nothing = Gradient(jnp.float32(0), jnp.float32(0), zeros, zeros)
        (state, last), (losses, accuracies) = jax.lax.scan(
            update, (state, nothing), (controls, indices)
        )
        means = last._replace(loss=losses.mean(), accuracy=accuracies.mean())
        return state, *self._measure(state, means)

    def _update(
        self, state: InnerState, controls: Controls, indices: Int[Array, " B"]
    ) -> tuple[InnerState, Gradient]:
        gradient, network_state, optimiser_state = self._gradient(state, controls, indices)
        to_step = optax.chain(*self._stages("step", controls))
        step, _ = to_step.update(gradient.direction, to_step.init(state.params), state.params)
        state = InnerState(
            params=optax.apply_updates(state.params, step),
            network_state=network_state,
            optimiser_state=optimiser_state,
            num_updates=state.num_updates + 1,
        )
        return state, gradient

    def _gradient(
        self, state: InnerState, controls: Controls, indices: Int[Array, " B"]
    ) -> tuple[Gradient, NetworkState, optax.OptState]:
        batch = jax.tree.map(lambda x: x[indices], self.dataset.train)
        loss, accuracy, network_state, gradient = batch_gradient(
            state.params, self.network, state.network_state, self.dataset, batch
        )
        # Optax counts updates in integers and raises floats to them, whatever the user has set.
        with jax.numpy_dtype_promotion("standard"):
            direction, optimiser_state = self._direction(controls).update(
                gradient, state.optimiser_state, state.params, value=loss
            )
        return Gradient(loss, accuracy, gradient, direction), network_state, optimiser_state

    def _direction(self, controls: Controls) -> optax.GradientTransformationExtraArgs:
        """Gradient to direction of descent: all but the learning rate and the sign."""
        return optax.with_extra_args_support(
            optax.chain(
                *self._stages("gradient", controls),
                self.optimiser.direction,
                *self._stages("direction", controls),
                self.optimiser.rescaling,
            )
        )

    def _stages(self, place: Place, controls: Controls) -> list[optax.GradientTransformation]:
        return [
            control.stage(dict(zip(self.layer_names, controls[control.name], strict=True)))
            for control in self.controls
            if control.place == place
        ]

    def _measure(self, state: InnerState, last: Gradient) -> tuple[Metrics, LayerStatistics]:
        validation_loss, validation_accuracy = evaluate(
            state.params, self.network, state.network_state, self.dataset, self.dataset.validation
        )
        metrics = Metrics(
            train_loss=last.loss,
            train_accuracy=last.accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
        )
        return metrics, layer_statistics(
            self.layer_names, state.params, last.gradient, last.direction
        )
