"""The update that an optimiser makes of a parameter, before the learning rate: u of w - rate u.

It is rebuilt from what the optimiser keeps; where that is nothing yet, it is the update that the
optimiser would make of the gradient that there is. With Adam's moments m and v after t updates,

    u = (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon) + decay w,

and before any, m / (1 - beta_1^t) is the gradient and v / (1 - beta_2^t) its square. AdamW's decay
is of the weights before the update, w, which are w' + rate u if w' are those after it. The decay of
Adam, SGD and RMSprop is part of the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from ganno.names import nearest

DIFFERENCE = "difference"
"""Stands for weights before an update less those after it, over the rate: of any optimiser."""


def wide(tensor: Tensor) -> Tensor:
    """A tensor in single precision, or in its own if that is double."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


class Parameter(NamedTuple):
    """A parameter as its optimiser knows it, in single precision or double.

    Attributes:
        weights: its values now.
        gradient: the last minibatch's; None where it is gone.
        state: what the optimiser keeps of it; empty before its first update.
        group: the optimiser's options for it.
        rate: the learning rate of the update that made the weights; 0 before the first one.
    """

    weights: Tensor
    gradient: Tensor | None
    state: Mapping[str, Any]
    group: Mapping[str, Any]
    rate: float

    @property
    def ascent(self) -> Tensor:
        """The gradient of what is minimised; raises `ValueError` if it is gone."""
        if self.gradient is None:
            raise ValueError("gradients are gone: call step() before optimizer.zero_grad()")
        return -self.gradient if self.group.get("maximize") else self.gradient

    def decayed(self, direction: Tensor) -> Tensor:
        """A direction with the decay of the weights that there were before the update."""
        if not (decay := float(self.group["weight_decay"])):
            return direction
        return torch.add(direction, self.weights, alpha=decay).div_(1.0 - self.rate * decay)


Direction: TypeAlias = Callable[[Parameter], Tensor]
"""From a parameter to u, of its shape."""


def adam(parameter: Parameter, decoupled: bool = False) -> Tensor:
    """`torch.optim.Adam` (Kingma and Ba, 2015)."""
    state, group = parameter.state, parameter.group
    decoupled = group.get("decoupled_weight_decay", decoupled)
    if state:
        corrections = (1.0 - float(beta) ** float(state["step"]) for beta in group["betas"])
        of_mean, of_root = next(corrections), math.sqrt(next(corrections))
        square = wide(state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"])
        # m / c and sqrt(v) / d: as c and d are numbers, they need no pass of their own.
        root = square.sqrt().add_(group["eps"] * of_root)
        direction = torch.div(wide(state["exp_avg"]), root, out=root).mul_(of_root / of_mean)
    else:
        mean = parameter.ascent if decoupled else parameter.decayed(parameter.ascent)
        direction = mean / mean.abs().add_(group["eps"])
    return parameter.decayed(direction) if decoupled else direction


def adamw(parameter: Parameter) -> Tensor:
    """`torch.optim.AdamW` (Loshchilov and Hutter, 2019)."""
    return adam(parameter, decoupled=True)


def sgd(parameter: Parameter) -> Tensor:
    """`torch.optim.SGD`, with momentum or without."""
    momentum = parameter.group["momentum"]
    buffer = parameter.state.get("momentum_buffer")
    if momentum and buffer is not None:
        buffer = wide(buffer)
        if parameter.group["nesterov"]:
            return parameter.decayed(parameter.ascent + momentum * buffer)
        return buffer
    direction = parameter.decayed(parameter.ascent)
    return direction * (1.0 + momentum) if parameter.group["nesterov"] else direction


def rmsprop(parameter: Parameter) -> Tensor:
    """`torch.optim.RMSprop`, with momentum or without."""
    state, group = parameter.state, parameter.group
    decay = group["weight_decay"]
    if state and group["momentum"]:
        return wide(state["momentum_buffer"])
    gradient = parameter.ascent + decay * parameter.weights
    if state:
        mean = wide(state["grad_avg"]) if group["centered"] else 0.0
        square = wide(state["square_avg"]) - mean**2
    else:
        fresh = 1.0 - group["alpha"]
        square = fresh * gradient**2 - ((fresh * gradient) ** 2 if group["centered"] else 0.0)
    # Of weights before the update, gradient / root; in those after it, where there is a decay:
    return gradient / (square.sqrt() + group["eps"] - parameter.rate * decay)


DIRECTIONS: dict[type[torch.optim.Optimizer], Direction] = {
    torch.optim.Adam: adam,
    torch.optim.AdamW: adamw,
    torch.optim.SGD: sgd,
    torch.optim.RMSprop: rmsprop,
}
"""The optimisers whose updates are rebuilt from what they keep."""


def direction_of(
    optimizer: torch.optim.Optimizer, given: Direction | str | None
) -> Direction | None:
    """How an optimiser's updates are found; None by the difference of weights.

    Args:
        optimizer: whose.
        given: a function, "difference", or nothing: then the optimiser must be a known one.

    Raises:
        ValueError: for one that is not known.
    """
    if given == DIFFERENCE:
        return None
    if isinstance(given, str):
        raise ValueError(
            f"direction={given!r}; it must be {DIFFERENCE!r} or a function of a parameter"
            + (f" (did you mean {DIFFERENCE!r}?)" if nearest(given, [DIFFERENCE]) else "")
        )
    if given is not None:
        return given
    if type(optimizer) not in DIRECTIONS:
        raise ValueError(
            f"the updates of {type(optimizer).__name__} are not known as those of "
            f"{', '.join(kind.__name__ for kind in DIRECTIONS)} are; say direction={DIFFERENCE!r}, "
            "which finds them from the weights before and after an update, or a function of a "
            "ganno.torch.directions.Parameter"
        )
    return DIRECTIONS[type(optimizer)]
