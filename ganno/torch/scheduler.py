"""A scheduler of PyTorch's by which agents set each layer's learning rate."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from ganno.agent import Agent
from ganno.decisions import decision_times
from ganno.history import History
from ganno.policy import PRETRAINED, Policy
from ganno.torch.directions import DIFFERENCE, Direction, direction_of
from ganno.torch.groups import trainable
from ganno.torch.measures import DECAYS, MEASURED, Observer

Metric = Callable[[], float | Tensor]


class GannoLR(LRScheduler):
    """Sets the learning rate of each layer by a trained policy: a param group has an agent.

    Call `step()` after each of the optimiser's updates, before gradients are set to zero. The first
    decision is taken as the optimiser is about to make its first update, of the gradients that
    there are; where there are none yet, as with a closure (Lightning's loops), after that update.
    Between decisions nothing is measured and nothing is copied from the device.

    A decision sees the update that the optimiser made last (`ganno.torch.directions`). Where a
    `GradScaler` skips an update that is due for a decision, the next one is waited for. In a
    distributed training every process takes the same decisions, as it has the same weights and
    gradients; `metrics`, if there are any, must then be the same in all.

    Example:
        >>> model = torch.nn.Linear(4, 2)
        >>> optimizer = torch.optim.AdamW(layer_groups(model), lr=0.5)
        >>> scheduler = GannoLR(optimizer, model, total_steps=600)
        >>> scheduler.get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        model: torch.nn.Module,
        total_steps: int,
        decisions: int | None = None,
        policy: Policy | str = PRETRAINED,
        *,
        every: int | None = None,
        metrics: Mapping[str, Metric] | None = None,
        direction: Direction | str | None = None,
        bounds: tuple[float, float] | None = None,
        greedy: bool | None = None,
        seed: int = 0,
        replay: History | None = None,
    ) -> None:
        """Changes no rate before the first decision.

        Args:
            optimizer: of the param groups that `layer_groups(model)` makes. Its rates are where
                agents begin, as if they were within the bounds.
            model: what it trains.
            total_steps: the updates of the whole training.
            decisions: how many are taken, spread evenly; by default as many as in the policy's
                training.
            policy: a policy, its file, the folder of the run that trained it, or "pretrained".
            every: the number of updates from one decision to the next, instead of `decisions`.
            metrics: functions, called at decisions, of what this loop can tell beyond its layers,
                by the names that policies have for it, such as {"train_loss": lambda: mean_loss}.
            direction: how the optimiser's updates are found where it is none of
                `ganno.torch.directions.DIRECTIONS`: "difference", or a function.
            bounds: the least and the greatest learning rate, if not the policy's.
            greedy: whether to take the most probable actions, or samples, if not as the policy was
                made to.
            seed: of samples.
            replay: the `history` of another training, whose actions are to be taken again.

        Raises:
            ValueError: for groups that are not the layers of the model, an optimiser that is not
                known, a policy that wants what this loop does not tell, or numbers out of range.
        """
        groups = _checked(optimizer, model)
        self.agent = Agent(
            policy,
            [group["kind"] for group in groups],
            [float(group["lr"]) for group in groups],
            names=[group["name"] for group in groups],
            bounds=bounds,
            greedy=greedy,
            seed=seed,
            replay=replay,
        )
        self._metrics = dict(metrics or {})
        self.agent.rules.check_given(
            [*MEASURED, *DECAYS, *self._metrics], "say metrics={{{!r}: a function that returns it}}"
        )
        self.total_steps = total_steps
        self._times = decision_times(self.agent.rules.policy, total_steps, decisions, every)
        self._decided = -1
        self._observer = Observer(optimizer, direction_of(optimizer, direction))
        if direction == DIFFERENCE and not all(group["lr"] > 0 for group in groups):
            raise ValueError("direction='difference' needs initial learning rates above 0")
        _separate(groups)
        super().__init__(optimizer)
        self._hook = optimizer.register_step_pre_hook(torch.compiler.disable(self._before_update))

    @property
    def history(self) -> History:
        """What agents saw and did so far."""
        return self.agent.history

    def plot(self, path: Path | str) -> Any:
        """Draws each layer's learning rate over training to a file; needs matplotlib."""
        return self.history.plot(path)

    def get_lr(self) -> list[float]:
        """Each group's learning rate."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def step(self, epoch: None = None) -> None:
        """Counts an update that was made, and takes a decision if that is due.

        Raises:
            ValueError: if the optimiser has made no update yet, its gradients are gone, or its
                groups are others than at first.
        """
        if epoch is not None:
            raise ValueError("GannoLR counts updates itself: call step() after each, without epoch")
        self.last_epoch += 1
        if self.last_epoch == self.total_steps + 1:
            warnings.warn(
                f"training goes on beyond total_steps={self.total_steps}; rates stay as they are",
                stacklevel=2,
            )
        if self.last_epoch == 0:  # by PyTorch's constructor
            self._last_lr = self.get_lr()
        elif self._number(self.last_epoch) > self._decided:
            self._decide(made=True)

    def state_dict(self) -> dict[str, Any]:
        """All that the scheduler goes on from, and its history, as plain data."""
        return {
            "last_epoch": self.last_epoch,
            "decided": self._decided,
            "last_lr": list(self._last_lr),
            "agent": self.agent.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from `state_dict`, and gives the optimiser its rates.

        The optimiser's own state is restored before or after.

        Raises:
            ValueError: if it is of other layers.
        """
        self.agent.load_state_dict(state_dict["agent"])
        self.last_epoch = state_dict["last_epoch"]
        self._decided = state_dict["decided"]
        self._observer.has_seen_updates = self.last_epoch > 0
        self._set(state_dict["last_lr"])

    def _number(self, update: int) -> int:
        """The number of the last decision that is due before an update, both counted from 0."""
        return int(np.searchsorted(self._times, update, side="right")) - 1

    def _before_update(self, *_: Any) -> None:
        self._observer.before_update(due=self._number(self.last_epoch + 1) > self._decided)
        if self._decided < 0 and self._observer.foresees:
            self._decide(made=False)

    def _decide(self, made: bool) -> None:
        names = [group.get("name") for group in self.optimizer.param_groups]
        if names != list(self.agent.layers):
            raise ValueError(
                f"the optimiser has {len(names)} param groups, and there were "
                f"{len(self.agent.layers)} as the scheduler was made; make another one"
            )
        needs = self.agent.needs
        if (measured := self._observer.observe(needs, made)) is None:
            return
        told = {name: float(metric()) for name, metric in self._metrics.items() if name in needs}
        rates = self.agent.decide(self.last_epoch / self.total_steps, **(measured | told))
        self._decided = self._number(self.last_epoch)
        self._set(rates.tolist())
        if self._observer.rebuilds:  # and has nothing more to note before an update
            self._hook.remove()

    def _set(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)  # what is compiled or captured holds on to it
            else:
                group["lr"] = rate
        self._last_lr = list(rates)


def _separate(groups: list[dict[str, Any]]) -> None:
    """Gives each group a tensor of its own, where one is the learning rate of several."""
    seen: list[Tensor] = []
    for group in groups:
        if isinstance(group["lr"], Tensor):
            if any(group["lr"] is tensor for tensor in seen):
                group["lr"] = group["lr"].clone()
            seen.append(group["lr"])


def _checked(optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> list[dict[str, Any]]:
    """An optimiser's groups, if they are layers and have all that the model trains."""
    remedy = "build the optimiser of ganno.torch.layer_groups(model)"
    groups: list[dict[str, Any]] = optimizer.param_groups
    names = [group.get("name") for group in groups if "kind" in group]
    if len(set(names)) != len(groups):
        raise ValueError(
            f"the optimiser's {len(groups)} param groups are not layers of different names, each "
            f"with its kind; {remedy}"
        )
    there = {id(parameter) for group in groups for parameter in group["params"]}
    for parameter, tensor in trainable(model):
        if id(tensor) not in there:
            raise ValueError(f"the optimiser does not train {parameter.path}; {remedy}")
    return groups
