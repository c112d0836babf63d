"""What agents observe of their layers: computed where the tensors are, and copied once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganno.torch.directions import Direction, Parameter, wide

MOMENTS = ("norm", "mean", "variance")
MEASURED = tuple(f"{what}_{m}" for what in ("weight", "gradient", "update") for m in MOMENTS)
DECAYS = ("weight_decay", "initial_weight_decay")


def moments(layers: Iterable[Iterable[Tensor]], needs: Sequence[str]) -> dict[str, np.ndarray]:
    """Moments of all that each layer holds, float32 [L] by name.

    Args:
        layers: each layer's tensors, any number of them.
        needs: which of `MOMENTS`.
    """
    places, sizes, norms, totals = [], [], [], []
    num_layers = 0
    for layer in layers:
        for tensor in layer:
            dtype = torch.promote_types(tensor.dtype, torch.float32)
            places.append(num_layers)
            sizes.append(tensor.numel())
            norms.append(torch.linalg.vector_norm(tensor, dtype=dtype))
            if needs != ("norm",):  # a pass more over all there is
                totals.append(tensor.sum(dtype=dtype))
        num_layers += 1
    square = np.bincount(places, _on_host(norms) ** 2, num_layers)
    found = {"norm": np.sqrt(square)}
    if totals:
        size = np.maximum(np.bincount(places, sizes, num_layers), 1)
        mean = np.bincount(places, _on_host(totals), num_layers) / size
        found |= {"mean": mean, "variance": np.maximum(square / size - mean**2, 0)}
    return {name: found.get(name, 0.0 * square).astype(np.float32) for name in needs}


def _on_host(numbers: Sequence[Tensor]) -> np.ndarray:
    """Tensors of one number each, float64."""
    if not numbers:
        return np.zeros(0)
    return torch.stack([x.to(numbers[0]) for x in numbers]).double().cpu().numpy()


class Observer:
    """Measures the layers of an optimiser's param groups.

    Args:
        optimizer: which.
        direction: how its updates are rebuilt; None to find them by the difference of weights.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, direction: Direction | None) -> None:
        self._optimizer = optimizer
        self._direction = direction
        self._initial_decay = self._decays()
        self.has_seen_updates = False
        self._before: dict[Tensor, Tensor] = {}
        self._scale: Tensor | None = None
        self._found_inf: Tensor | None = None

    def before_update(self, due: bool) -> None:
        """Takes note of what an update will leave no trace of.

        Args:
            due: whether the update will be measured.
        """
        self.has_seen_updates = True
        # What a GradScaler tells optimisers that unscale gradients and skip updates themselves.
        self._scale = getattr(self._optimizer, "grad_scale", None)
        self._found_inf = getattr(self._optimizer, "found_inf", None)
        by_difference = due and self._direction is None
        self._before = {p: p.detach().clone() for p in self._tensors()} if by_difference else {}

    @property
    def rebuilds(self) -> bool:
        """Whether updates are rebuilt from what the optimiser keeps."""
        return self._direction is not None

    @property
    def foresees(self) -> bool:
        """Whether the update that is about to be made can be told."""
        return self.rebuilds and any(p.grad is not None for p in self._tensors())

    @torch.no_grad()
    def observe(self, needs: Sequence[str], made: bool) -> dict[str, Any] | None:
        """What is measured of the last update; None if it was skipped for not being finite.

        Args:
            needs: names in `MEASURED` and `DECAYS`.
            made: whether the update was made already, or is about to be.

        Raises:
            ValueError: if there was no update, or its gradients are gone.
        """
        slopes = any(name.startswith("gradient") for name in needs)
        if not self._can_observe(slopes, made):
            return None
        layers = [group["params"] for group in self._optimizer.param_groups]
        tensors = {"weight": layers, "update": self._updates_of(made)}
        if slopes:
            tensors["gradient"] = (self._gradients(layer, made) for layer in layers)
        measured = {
            f"{what}_{moment}": values
            for what, of in tensors.items()
            for moment, values in moments(of, _moments_of(what, needs)).items()
        }
        weights, *others = (np.isfinite(measured[f"{what}_norm"]).all() for what in tensors)
        if weights and not all(others):
            return None  # had it been made, weights would not be finite
        decays = dict(zip(DECAYS, (self._decays(), self._initial_decay[0]), strict=True))
        return {name: x for name, x in (measured | decays).items() if name in needs}

    def _can_observe(self, slopes: bool, made: bool) -> bool:
        """Whether there is an update to be measured, or a reason to wait for the next one."""
        gradients = [p.grad for p in self._tensors() if p.grad is not None]
        keeps = any(self._optimizer.state.values())
        if made and not self.has_seen_updates and not keeps:
            if all(bool(gradient.isfinite().all()) for gradient in gradients):
                raise ValueError("no update was made yet: call optimizer.step() before step()")
            return False  # it was skipped
        if made and not gradients and (slopes or not keeps):
            raise ValueError("gradients are gone: call step() before optimizer.zero_grad()")
        if self._found_inf is not None and bool(self._found_inf):
            return False
        return self._direction is not None or bool(self._before)

    def _updates_of(self, made: bool) -> Iterator[Iterator[Tensor]]:
        for group in self._optimizer.param_groups:
            updates = (self._update(p, group, made) for p in group["params"])
            yield (update for update in updates if update is not None)

    def _update(self, tensor: Tensor, group: Mapping[str, Any], made: bool) -> Tensor | None:
        state = self._optimizer.state.get(tensor, {})
        if self._direction is None:
            return (wide(self._before[tensor]) - wide(tensor)) / group["lr"]
        if tensor.grad is None and not state:
            return None
        if not made and state.get("step", 1) == 0:
            state = {}  # a first update was skipped
        rate = float(group["lr"]) if made else 0.0
        gradient = None if tensor.grad is None else self._unscaled(tensor.grad, made)
        return self._direction(Parameter(wide(tensor), gradient, state, group, rate))

    def _gradients(self, tensors: Iterable[Tensor], made: bool) -> Iterator[Tensor]:
        return (self._unscaled(p.grad, made) for p in tensors if p.grad is not None)

    def _unscaled(self, gradient: Tensor, made: bool) -> Tensor:
        # An optimiser that is told the scale has taken it out as it made the update.
        return wide(gradient) if made or self._scale is None else wide(gradient) / self._scale

    def _tensors(self) -> Iterator[Tensor]:
        return (p for group in self._optimizer.param_groups for p in group["params"])

    def _decays(self) -> list[float]:
        return [float(group.get("weight_decay", 0.0)) for group in self._optimizer.param_groups]


def _moments_of(what: str, needs: Sequence[str]) -> tuple[str, ...]:
    """Which moments of weights, gradients or updates are needed: norms, always."""
    return tuple(m for m in MOMENTS if m == "norm" or f"{what}_{m}" in needs)
