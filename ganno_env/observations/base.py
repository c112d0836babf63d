"""What a feature is, and what it is a function of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ganno.features import SMALLEST_LOG
from ganno_env.actions import JointActions
from ganno_env.controls import CONTROLS, Control
from ganno_env.limits import Limits, within
from ganno_env.registry import Registry
from ganno_env.types import LayerSpec, LayerStatistics, Metrics

ANY_LIMITS: Limits = (-1e3, 1e3)
"""The limits of a feature that does not say its own."""


@dataclasses.dataclass(frozen=True)
class FeatureContext:
    """All that a feature is a function of: nothing here belongs to this environment alone.

    Attributes:
        metrics, statistics: what the last step measured.
        controls: each control's current value for each layer, [L], by name.
        initial_controls: each control's value at the start of training, by name.
        previous_action: each agent's last action, an index into `actions.names`.
        step_count: steps since the start.
        horizon: steps in all.
        layers: the layers in order of depth.
        actions: what agents choose among.
    """

    metrics: Metrics
    statistics: LayerStatistics
    controls: Mapping[str, Float[Array, " L"]]
    initial_controls: Mapping[str, Float[Array, ""]]
    previous_action: Int[Array, " agents"]
    step_count: Int[Array, ""]
    horizon: int
    layers: tuple[LayerSpec, ...]
    actions: JointActions


FeatureFunction = Callable[[FeatureContext], Array]
Columns = Callable[[JointActions], Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Feature:
    """A named feature.

    Attributes:
        function: from a context to a scalar (global), or to [L] or [L, k] (layerwise).
        layerwise: whether each layer has its own.
        columns: what its k columns are called, where it has more than one.
        limits: what it is clipped to; a diverged network shows the greatest. They are some ten
            times what a network in training shows, so that running statistics which take in one
            diverged network in a few hundred keep their order of magnitude.
        normalised: whether a system should normalise it by running statistics. Not so one-hots and
            flags, which mean the same whatever was seen before; some are never up in training.
    """

    function: FeatureFunction
    layerwise: bool
    columns: Columns | None = None
    limits: Limits = ANY_LIMITS
    normalised: bool = True

    def __post_init__(self) -> None:
        """Refuses limits that are not an increasing pair of finite numbers."""
        least, greatest = self.limits
        if not -math.inf < least < greatest < math.inf:
            raise ValueError(f"a feature's limits must be finite and increasing, not {self.limits}")

    def column_names(self, name: str, actions: JointActions) -> tuple[str, ...]:
        """The names of its columns, such as "layer_depth=first"."""
        if self.columns is None:
            return (name,)
        return tuple(f"{name}={column}" for column in self.columns(actions))

    def values(self, context: FeatureContext) -> Float[Array, "..."]:
        """What `function` gives, within `limits`: finite whatever the network does."""
        return within(jnp.asarray(self.function(context)), self.limits)

    def logarithm(self) -> Feature:
        """The same on a logarithmic scale, base 10, for a positive feature.

        Limits hold before the logarithm is taken: a diverged network shows the greatest one's.
        """
        low, high = (max(limit, SMALLEST_LOG) for limit in self.limits)
        return dataclasses.replace(
            self,
            function=lambda context: jnp.log10(jnp.maximum(self.values(context), SMALLEST_LOG)),
            limits=(math.log10(low), math.log10(high)),
        )


def control_features(control: Control) -> dict[str, Feature]:
    """The features of a control: its current and initial values, and the logarithms of both."""
    name = control.name
    current = Feature(lambda c: c.controls[name], True, limits=control.bounds)
    initial = Feature(lambda c: c.initial_controls[name], False, limits=control.bounds)
    return {
        name: current,
        f"log_{name}": current.logarithm(),
        f"initial_{name}": initial,
        f"log_initial_{name}": initial.logarithm(),
    }


def _of_controls() -> dict[str, Feature]:
    return {k: v for control in CONTROLS.values() for k, v in control_features(control).items()}


FEATURES: Registry[Feature] = Registry("feature", derived=_of_controls)
"""Features by name; those of controls are here once the control is registered."""
