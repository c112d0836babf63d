"""An experiment and its agents, as their config describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ganno.options import Count, Fraction, Options, Positive
from systems.options.types import TRAIN, Checkpoint, Environment, Name, Names, Rates, Seeds


class AgentsSpec(Options):
    """Agents as an experiment's config describes them."""

    name: Name
    """Their row's."""
    checkpoint: Checkpoint = TRAIN
    """train, to train them first; a policy's file, its run's folder or pretrained; none, to leave
    their row empty."""
    env: Environment = Field(default_factory=dict)
    """What is not as in the experiment's training environment, such as their features."""
    episodes: Annotated[int, Field(ge=0)] | None = None
    """As they were after so many episodes of the training that the checkpoint is of; 0 for
    untrained agents."""
    learning_rate: Fraction | None = None
    """The initial rate that they always start from, if not the table's."""
    greedy: bool | None = None
    """Whether they take the most probable actions; null is the policy's own way."""


class Multiples(Options):
    """A task's sizes as multiples of the scale's."""

    epochs: Positive = 1.0
    batch_size: Positive = 1.0
    updates_per_step: Positive = 1.0
    width: Positive = 1.0

    def of(self, environment: Mapping[str, Any]) -> dict[str, Any]:
        """An environment's arguments with its sizes multiplied."""
        changed = dict(environment)
        for name in ("batch_size", "updates_per_step"):
            changed[name] = max(round(changed[name] * getattr(self, name)), 1)
        changed["epochs"] = changed["epochs"] * self.epochs
        options = dict(changed.get("network_options") or {})
        options["width"] = options.get("width", 1.0) * self.width
        return changed | {"network_options": options}


class SuiteTask(Options):
    """A task of a suite: what is trained, beside what the scale says."""

    env: Environment
    """What is not as in the experiment's environment, such as the dataset and the network."""
    times: Multiples = Multiples()
    """Its sizes, as multiples of the scale's."""

    def environment(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `make_env`, from the experiment's own."""
        return self.times.of({**base, **self.env})


class Experiment(Options):
    """An experiment: what is run. Checked on construction (`ValueError`)."""

    name: Name
    """The command's word for it, such as table1."""
    report: Name
    """What is made of its runs: a name in `systems.experiments.reports.REPORTS`."""
    title: str
    """Above its tables and pictures; {network}, {dataset} and {split} stand for what is run."""
    methods: Names
    """Rows in order: names of `METHODS`, NAME@WEIGHT_DECAY, NAME@peak=RATE, keys of agents, or
    random:KEY."""
    learning_rates: Rates
    """Initial rates."""
    weight_decays: Rates
    """Every combination with a rate and a seed is a run."""
    seeds: Seeds
    """Of the runs."""
    split: Literal["test", "validation"] = "test"
    """Whose final accuracy tables show; validation, to choose between policies without looking at
    the test split."""
    test_every_step: bool = False
    """Whether the test split is measured along the way."""
    runs_at_once: Count | None = None
    """Runs that are made, and kept, together."""
    shard: Annotated[int, Field(ge=0)] = 0
    """This process makes every num_shards-th run, beginning with this one."""
    num_shards: Count = 1
    """How many processes share the runs."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.shard >= self.num_shards:
            raise ValueError(
                f"shard={self.shard!r} of num_shards={self.num_shards}; choose from 0 to "
                f"{self.num_shards - 1}"
            )
        try:
            self.title.format(network="", dataset="", split="")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"title={self.title!r} has {error} in braces; what can be there is network, "
                "dataset or split"
            ) from error
        return self

    def titled(self, network: str, dataset: str) -> Self:
        """The same experiment, its title naming what is run."""
        title = self.title.format(network=network, dataset=dataset, split=self.split)
        return self.replace(title=title[:1].upper() + title[1:])
