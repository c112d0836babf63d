"""What a control is: a hyperparameter with a value for each layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ganno_env.types import Params

LayerValues: TypeAlias = dict[str, Float[Array, ""]]
"""A control's value for each layer, by the layer's name."""
Hyperparameters: TypeAlias = Mapping[str, LayerValues]
"""Each control's value for each layer, by the control's name and then the layer's."""
Place: TypeAlias = Literal["gradient", "direction", "step"]
"""Where a stage applies: to the gradient, to the optimiser's direction, or to the step made of
it."""


@dataclasses.dataclass(frozen=True)
class Control:
    """A hyperparameter with a value for each layer, which agents may set or which is fixed.

    Attributes:
        name: its key in `State.controls`.
        bounds: every value is clipped to these.
        initial_range: the usual bounds of the log-uniform initial value; equal for a fixed one.
        stage: from the layers' values, the optax stage that applies them, which keeps no state.
            None for what applies only inside of optimisers that take it (`Optimiser.takes`).
        place: what the stage is applied to. Stages of one place follow one another as registered.
        actions: what agents that set it may do, unless the environment says otherwise; see
            `ActionSet`.
        optional: whether an environment that neither acts on it nor gives its initial value does
            without it. The optimiser's own constant then holds.
    """

    name: str
    bounds: tuple[float, float]
    initial_range: tuple[float, float]
    stage: Callable[[LayerValues], optax.GradientTransformation] | None = None
    place: Place = "direction"
    actions: tuple[str, ...] = ("noop", "*1.10", "/1.10")
    optional: bool = False

    def check_initial(self, initial: float | Sequence[float]) -> tuple[float, float]:
        """The range [low, high] that `initial`, a value or a range, stands for.

        Raises:
            ValueError: for a value beyond the bounds, or a range that is not increasing or not
                positive (its logarithm is uniform).
        """
        low, high = self.bounds
        values = [initial, initial] if isinstance(initial, (int, float)) else list(initial)
        if not all(low <= v <= high for v in values):
            raise ValueError(f"{self.name}={initial}; it is beyond its bounds [{low}, {high}]")
        if values[0] != values[1] and not 0 < values[0] < values[1]:
            raise ValueError(
                f"{self.name}={initial}; a log-uniform one needs 0 < low < high, and for a fixed "
                "value give one number"
            )
        return float(values[0]), float(values[1])

    def check_bounds(self, bounds: Sequence[float]) -> tuple[float, float]:
        """Narrower bounds than its own, as a pair.

        Raises:
            ValueError: if they are not increasing, or not within its own.
        """
        low, high = self.bounds
        least, most = bounds
        if low <= least < most <= high:
            return float(least), float(most)
        raise ValueError(
            f"bounds={bounds}; those of {self.name} must be [low, high] with "
            f"{low} <= low < high <= {high}"
        )


def clip(values: Float[Array, "..."], bounds: tuple[float, float]) -> Float[Array, "..."]:
    """Values within `bounds`."""
    low, high = (jnp.float32(bound) for bound in bounds)
    return jnp.clip(values, low, high)


def scale_layers(tree: Params, values: LayerValues) -> Params:
    """All that each layer holds, multiplied by that layer's value."""
    return {
        name: jax.tree.map(lambda leaf, value=values[name]: leaf * value, layer)
        for name, layer in tree.items()
    }
