"""The supervised loop: one gradient update, and a step of tau of them."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ganno_env.controls import Control, Hyperparameters
from ganno_env.inner.loss import batch_gradient, evaluate
from ganno_env.inner.replicas import replicated
from ganno_env.inner.statistics import layer_statistics
from ganno_env.optimisers import Optimiser, own_state, update_direction, update_step
from ganno_env.types import (
    Batch,
    Controls,
    InnerState,
    LayerStatistics,
    Metrics,
    Network,
    NetworkState,
    Params,
    PRNGKey,
    Task,
)

InitialNetwork: TypeAlias = tuple[Params, NetworkState]
"""What `Network.init` makes of a key."""


class Gradient(NamedTuple):
    """What one minibatch says: its loss and accuracy, the gradient, and the direction taken."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]
    gradient: Params
    direction: Params


@dataclasses.dataclass(frozen=True)
class InnerLoop:
    """Training of `network` on `task` with `optimiser` and layerwise `controls`.

    Everything here is a pure function of its arguments. Those called `controls` hold each control's
    value for each layer, [L], or [tau, L] where every update has its own, or [branches, tau, L].
    """

    network: Network
    task: Task
    optimiser: Optimiser
    controls: tuple[Control, ...]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The layers' names, in order of depth."""
        return tuple(layer.name for layer in self.network.layers)

    def init(self, key: PRNGKey) -> InnerState:
        """A freshly initialised network with no update made."""
        return self.begin(self.network.init(key))

    def begin(self, network: InitialNetwork) -> InnerState:
        """A network before its first update."""
        params, network_state = network
        zeros = jnp.zeros((len(self.layer_names),), jnp.float32)
        direction = self._direction({control.name: zeros for control in self.controls})
        return InnerState(
            params=params,
            network_state=network_state,
            optimiser_state=direction.init(params),
            num_updates=jnp.int32(0),
        )

    def no_metrics(self) -> tuple[Metrics, LayerStatistics]:
        """Zeros in the place of `initial_metrics`, for those who do not look."""
        zero, zeros = jnp.float32(0), jnp.zeros((len(self.layer_names),), jnp.float32)
        others = {name: zero for name in self.task.metrics if name != "accuracy"}
        metrics = {field.name: zero for field in dataclasses.fields(Metrics)} | {"others": others}
        statistics = {field.name: zeros for field in dataclasses.fields(LayerStatistics)}
        return Metrics(**metrics), LayerStatistics(**statistics)

    def initial_metrics(
        self, state: InnerState, controls: Controls, indices: Int[Array, " B"]
    ) -> tuple[Metrics, LayerStatistics]:
        """What `step` would measure, had it seen the batch at `indices` and made no update."""
        return replicated(self._initial_metrics)(state, controls, indices)

    def step(
        self, state: InnerState, controls: Controls, indices: Int[Array, "tau B"]
    ) -> tuple[InnerState, Metrics, LayerStatistics]:
        """Makes tau updates in each branch, on the batches at `indices`, and measures the result.

        Args:
            state: where all branches start.
            controls: each layer's value at each update of each branch, [branches, tau, L].
            indices: which training examples each batch is made of, in all branches.

        Returns:
            The network after the updates, its metrics and its layers' statistics, of each branch.
        """
        return replicated(self._step)(state, controls, indices)

    def evaluate(
        self, params: Params, network_state: NetworkState, split: Batch
    ) -> tuple[Array, dict[str, Array]]:
        """Mean loss and metrics on `split`, such as the test split.

        Args:
            params: those that the network is evaluated with, `evaluation_params`.
            network_state: its running statistics.
            split: the examples.
        """

        def of_one(params: Params, network_state: NetworkState) -> Any:
            return evaluate(params, self.network, network_state, self.task, split)

        return replicated(of_one)(params, network_state)

    def evaluate_once(self, state: InnerState, split: Batch) -> tuple[Array, dict[str, Array]]:
        """`evaluate` of a single network, whatever `jax.vmap` should make of it."""
        params = self.evaluation_params(state)
        return evaluate(params, self.network, state.network_state, self.task, split)

    def evaluation_params(self, state: InnerState) -> Params:
        """The parameters that the network is evaluated with: usually those in training."""
        own = own_state(self.optimiser, self.controls, state.optimiser_state)
        return self.optimiser.evaluation_params(own, state.params)

    def _initial_metrics(
        self, state: InnerState, controls: Controls, indices: Int[Array, " B"]
    ) -> tuple[Metrics, LayerStatistics]:
        gradient, _, _ = self._gradient(state, controls, self._examples(indices))
        return self._measure(state, gradient)

    def _step(
        self, state: InnerState, controls: Controls, indices: Int[Array, "tau B"]
    ) -> tuple[InnerState, Metrics, LayerStatistics]:
        # Found once for all branches: the search takes two fifths of an update of `mlp`.
        batches = self._examples(indices)
        branch = replicated(lambda controls: self._branch(state, controls, batches))
        return jax.vmap(branch)(controls)

    def _branch(
        self, state: InnerState, controls: Controls, batches: Batch
    ) -> tuple[InnerState, Metrics, LayerStatistics]:
        def update(carry, inputs):
            state = _in_shape(carry[0], like=initial[0])
            state, gradient = self._update(state, *inputs)
            # The last gradient rides along, so that statistics are taken once a step.
            return _flat((state, gradient)), (gradient.loss, gradient.accuracy)

        zeros = jax.tree.map(jnp.zeros_like, state.params)
        initial = (state, Gradient(jnp.float32(0), jnp.float32(0), zeros, zeros))
        final, (losses, accuracies) = jax.lax.scan(update, _flat(initial), (controls, batches))
        state, last = _in_shape(final, like=initial)
        means = last._replace(loss=losses.mean(), accuracy=accuracies.mean())
        return state, *self._measure(state, means)

    def _update(
        self, state: InnerState, controls: Controls, batch: Batch
    ) -> tuple[InnerState, Gradient]:
        gradient, network_state, optimiser_state = self._gradient(state, controls, batch)
        to_step = update_step(self.optimiser, self.controls, self._by_layer(controls))
        step, _ = to_step.update(gradient.direction, to_step.init(state.params), state.params)
        state = InnerState(
            params=optax.apply_updates(state.params, step),
            network_state=network_state,
            optimiser_state=optimiser_state,
            num_updates=state.num_updates + 1,
        )
        return state, gradient

    def _gradient(
        self, state: InnerState, controls: Controls, batch: Batch
    ) -> tuple[Gradient, NetworkState, optax.OptState]:
        loss, accuracy, network_state, gradient = batch_gradient(
            state.params, self.network, state.network_state, self.task, batch
        )
        # Optax counts updates in integers and raises floats to them, whatever the user has set.
        with jax.numpy_dtype_promotion("standard"):
            direction, optimiser_state = self._direction(controls).update(
                gradient, state.optimiser_state, state.params, value=loss
            )
        return Gradient(loss, accuracy, gradient, direction), network_state, optimiser_state

    def _examples(self, indices: Int[Array, "*tau B"]) -> Batch:
        return jax.tree.map(lambda x: x[indices], self.task.data.train)

    def _direction(self, controls: Controls) -> optax.GradientTransformationExtraArgs:
        """Gradient to direction of ascent: all but the learning rate and the sign."""
        return update_direction(self.optimiser, self.controls, self._by_layer(controls))

    def _by_layer(self, controls: Controls) -> Hyperparameters:
        return {
            control.name: dict(zip(self.layer_names, controls[control.name], strict=True))
            for control in self.controls
        }

    def _measure(self, state: InnerState, last: Gradient) -> tuple[Metrics, LayerStatistics]:
        loss, measured = self.evaluate_once(state, self.task.data.validation)
        metrics = Metrics(
            train_loss=last.loss,
            train_accuracy=last.accuracy,
            validation_loss=loss,
            validation_accuracy=measured["accuracy"],
            others={name: x for name, x in measured.items() if name != "accuracy"},
        )
        return metrics, layer_statistics(
            self.layer_names, state.params, last.gradient, last.direction
        )


def _flat(tree: Any) -> Any:
    """Arrays of one axis: the optimiser's passes over [D, 10] are in runs of ten numbers."""
    return jax.tree.map(jnp.ravel, tree)


def _in_shape(flat: Any, like: Any) -> Any:
    return jax.tree.map(lambda x, y: x.reshape(y.shape), flat, like)
