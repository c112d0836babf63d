"""What an optimiser is, and how controls act around it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY, Control, Hyperparameters, LayerValues
from ganno_env.controls.base import Place
from ganno_env.types import Params


def _params_themselves(state: Any, params: Params) -> Params:
    return params


@dataclasses.dataclass(frozen=True, eq=False)
class Optimiser:
    """A way to make a direction of a gradient.

    Attributes:
        build: from hyperparameters (each control's values by layer) to the optax transformation
            from gradient to direction of ascent, u. Its state's structure and initial value do not
            depend on the values. It is given the parameters, and the minibatch's loss as `value`.
        takes: names of the controls that `build` applies itself. The others apply around it, by
            their own stage (`Control.stage`). One that takes `learning_rate` gives a whole step of
            ascent.
        for_all_layers: of the controls that it takes, those that have one value for the whole
            network, so that agents cannot set them layer by layer.
        evaluation_params: from its state and the parameters in training to the parameters that the
            network is evaluated with, such as an average.
        options: what `ganno_env.optimisers.build` made it of, by name; none of one made otherwise.
    """

    build: Callable[[Hyperparameters], optax.GradientTransformation]
    takes: Collection[str] = ()
    for_all_layers: Collection[str] = ()
    evaluation_params: Callable[[Any, Params], Params] = _params_themselves
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def update_direction(
    optimiser: Optimiser, controls: Sequence[Control], hyperparameters: Hyperparameters
) -> optax.GradientTransformationExtraArgs:
    """The transformation from a gradient to a direction: all but stages on the step, and the sign.

    Args:
        optimiser: what makes the direction.
        controls: those that the environment has, in order.
        hyperparameters: the value of each for each layer.
    """
    return optax.with_extra_args_support(
        optax.chain(
            *stages("gradient", optimiser, controls, hyperparameters),
            optimiser.build(hyperparameters),
            *stages("direction", optimiser, controls, hyperparameters),
        )
    )


def update_step(
    optimiser: Optimiser, controls: Sequence[Control], hyperparameters: Hyperparameters
) -> optax.GradientTransformation:
    """The transformation from a direction of ascent to the step of descent made of it.

    Its arguments are `update_direction`'s. It keeps no state.
    """
    staged = stages("step", optimiser, controls, hyperparameters)
    if LEARNING_RATE.name in optimiser.takes:  # whose stage would turn round the direction
        staged.append(optax.scale(-1.0))
    return optax.chain(*staged)


def own_state(optimiser: Optimiser, controls: Sequence[Control], state: Any) -> Any:
    """The optimiser's own part of an `update_direction`'s state."""
    return state[len(_staged("gradient", optimiser, controls))]


def stages(
    place: Place,
    optimiser: Optimiser,
    controls: Sequence[Control],
    hyperparameters: Hyperparameters,
) -> list[optax.GradientTransformation]:
    """The stages of the controls that apply at one place and that the optimiser does not take."""
    return [
        control.stage(hyperparameters[control.name])
        for control in _staged(place, optimiser, controls)
        if control.stage is not None
    ]


def _staged(place: Place, optimiser: Optimiser, controls: Sequence[Control]) -> list[Control]:
    return [
        control
        for control in controls
        if control.stage is not None
        and control.place == place
        and control.name not in optimiser.takes
    ]


def applied(optimiser: Optimiser, control: Control) -> bool:
    """Whether a control has any effect on training with this optimiser."""
    return control.stage is not None or control.name in optimiser.takes


@functools.lru_cache(maxsize=64)
def numbers_per_parameter(optimiser: Optimiser) -> float:
    """How many numbers its state has for each of a layer's ten thousand parameters."""
    params = {"layer": {"kernel": jax.ShapeDtypeStruct((100, 100), jnp.float32)}}
    values = {name: {"layer": jnp.float32(0)} for name in (LEARNING_RATE.name, WEIGHT_DECAY.name)}
    state = jax.eval_shape(optimiser.build(values).init, params)
    return sum(leaf.size for leaf in jax.tree.leaves(state)) / 100**2


def ascent(whole: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """An optimiser of optax, which gives a whole step of descent, as a direction of ascent."""
    return optax.with_extra_args_support(optax.chain(whole, optax.scale(-1.0)))


def for_each_layer(
    make: Callable[[Any], optax.GradientTransformation], values: LayerValues
) -> optax.GradientTransformationExtraArgs:
    """A transformation of each layer's own, made from that layer's value."""
    return optax.partition(
        {name: make(value) for name, value in values.items()}, {name: name for name in values}
    )
