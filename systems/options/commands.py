"""The options of each command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ganno.options import Allowed, Count, Fraction, Options, Seed
from systems.options.experiment import AgentsSpec, Experiment, SuiteTask
from systems.options.types import (
    AUTO,
    TRAIN,
    Checkpoint,
    Devices,
    Environment,
    Folder,
    Name,
    Names,
    Rates,
    Seeds,
    as_groups,
)
from systems.ppo.config import PPOConfig


class Distributed(Options):
    """Which processes train together; one by default. Checked on construction (`ValueError`)."""

    coordinator: str | None = None
    """HOST:PORT, where the first process listens for the others; or "auto", where SLURM, Open MPI
    or a TPU says which processes there are."""
    num_processes: Count | None = None
    """How many."""
    process_id: Annotated[int, Field(ge=0)] | None = None
    """Which of them this one is, from 0."""
    timeout: Count = 300
    """Seconds to wait for the others at the start."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        given = {"num_processes": self.num_processes, "process_id": self.process_id}
        if self.coordinator in (None, AUTO):
            for name, value in given.items():
                if value is not None:
                    raise ValueError(
                        f"distributed.{name}={value!r} needs distributed.coordinator=HOST:PORT, "
                        f"where the first process listens, not {self.coordinator!r}"
                    )
            return self
        if not re.fullmatch(r".+:\d{1,5}", str(self.coordinator)):
            raise ValueError(
                f"distributed.coordinator={self.coordinator!r}; it must be HOST:PORT of the first "
                f"process, or {AUTO!r} under SLURM or Open MPI"
            )
        for name, value in given.items():
            if value is None:
                raise ValueError(f"distributed.{name} is missing; it must be a whole number")
        if not self.process_id < self.num_processes:  # type: ignore[operator]
            raise ValueError(
                f"distributed.process_id={self.process_id} of "
                f"distributed.num_processes={self.num_processes}; processes are numbered from 0"
            )
        return self


class System(PPOConfig):
    """A system by its name, with its options."""

    name: Name = "rec_ippo"
    """A name in `systems.ppo.registry.SYSTEMS`."""

    @property
    def config(self) -> PPOConfig:
        """The options alone."""
        return PPOConfig(**{name: getattr(self, name) for name in PPOConfig.model_fields})


class CommandOptions(Options):
    """The options of every command."""

    plugins: Annotated[
        Name | tuple[Name, ...], Allowed("the name of a module, or a list of them")
    ] = ()
    """Modules of your own to import first, for what they register."""


class SuiteSizes(Options):
    """What a scale says of suites."""

    learning_rates: Rates = (0.0001, 0.0003, 0.001, 0.003, 0.01)
    """Initial rates."""
    weight_decays: Rates = (0.1, 0.0001)
    """Every combination with a rate and a seed is a run."""
    seeds: Seeds = (0, 1, 2)
    """Of the runs."""
    digits_epochs: Count = 100
    """Of digits, which has the same few images at every scale."""


class Scaled(CommandOptions):
    """Options that a scale sets beside the sizes of environment and system."""

    runs_at_once: Count | None = None
    """Runs of a grid that are made, and kept, together."""
    residual_width: Annotated[float, Field(gt=0)] = 1.0
    """Width of ResNets, where an experiment is about them."""
    suite: Mapping[str, Any] = Field(default_factory=dict)
    """What a scale says of suites, which is of use to `systems.reproduce` alone."""


class TrainOptions(Scaled):
    """The options of `systems.train`."""

    env: Environment
    """The environment's."""
    train_on: Environment = Field(default_factory=dict)
    """What the formulation changes in the environment."""
    system: System = System()
    """The system, with its options."""
    logger: Annotated[
        Name | tuple[Name, ...], Allowed("the name of a logger, or a list of them")
    ] = ("console", "jsonl")
    """Where figures go: names in `systems.loggers.LOGGERS`."""
    logger_options: Mapping[Name, Mapping[str, Any]] = Field(default_factory=dict)
    """Each logger's own options, by its name; given as logger.NAME.OPTION."""
    seed: Seed = 0
    """What all randomness follows from."""
    num_devices: Devices = AUTO
    """How many devices to use; the environments must divide evenly among them."""
    distributed: Distributed = Distributed()
    """Several processes, each with its devices."""
    output_dir: Folder | None = None
    """A folder without a run in it; by default a new one in runs/."""
    resume: Folder | None = None
    """The folder of a run to go on with."""
    checkpoint_every: Count = 10
    """Updates between two checkpoints."""
    keep: Count = 3
    """Newest checkpoints to keep, beside the best."""
    max_skipped_updates: Count = 10
    """Updates in a row that may fail to be finite before the run is given up."""

    @model_validator(mode="after")
    def _check_loggers_options(self) -> Self:
        for name in self.logger_options:
            if name not in self.loggers:
                raise ValueError(
                    f"logger.{name} has options, and is not among logger=[{','.join(self.loggers)}]"
                    "; add it, or leave them out"
                )
        return self

    @property
    def loggers(self) -> dict[str, Mapping[str, Any]]:
        """The options of each logger."""
        names = [self.logger] if isinstance(self.logger, str) else self.logger
        return {name: self.logger_options.get(name, {}) for name in names}


class EvaluateOptions(Scaled):
    """The options of `systems.evaluate`."""

    env: Environment
    """The environment's."""
    system: Mapping[str, Any] = Field(default_factory=dict)
    """What a scale says of systems, which is of no use here."""
    checkpoint: Checkpoint
    """The policy: pretrained, its file, or the folder of the run that trained it."""
    learning_rates: Rates = (0.0001, 0.0003, 0.001, 0.003, 0.01)
    """Initial rates, as in the paper's table 1."""
    weight_decay: Fraction = 0.1
    """Of every run."""
    seeds: Seeds = (0, 1, 2)
    """Every rate is run with each."""
    split: Literal["test", "validation"] = "test"
    """Whose accuracy the table shows; validation, to choose between policies."""
    schedules: tuple[Name, ...] = ("constant", "cosine", "sgdr")
    """Hand-made schedules to compare with."""
    random: bool = True
    """Whether to compare with agents that act at random."""
    greedy: bool | None = None
    """Whether agents take the most probable actions or sample; null is the policy's own way."""
    num_devices: Devices = AUTO
    """How many devices to use."""
    output_dir: Folder | None = None
    """An empty folder, or that of the same evaluation, which then continues; by default a new one
    in results/."""


class ReproduceOptions(Scaled, Experiment):
    """The options of `systems.reproduce`."""

    env: Environment
    """The environment's."""
    train_on: Environment = Field(default_factory=dict)
    """Where agents are trained on another environment, what is other."""
    system: System = System()
    """The system that is trained, with its options."""
    agents: Mapping[Name, AgentsSpec] = Field(default_factory=dict)
    """The agents among the methods, by their keys."""
    suite: SuiteSizes = SuiteSizes()  # type: ignore[assignment]
    """Sizes of `experiment=suite`, as the scale has them."""
    tasks: Mapping[Name, SuiteTask] = Field(default_factory=dict)
    """Of a suite, by their names: all methods are run on each."""
    only: Names | None = None
    """Of a suite's tasks, those to run; all of them by default."""
    checkpoint: Checkpoint = TRAIN
    """The agents: train them first; or pretrained, a policy's file, a run's folder, none."""
    velo_weights: Folder | None = None
    """The file of VeLO's public weights."""
    celo_weights: Folder | None = None
    """The file of Celo's public weights."""
    training_seed: Seed = 0
    """Of the agents' training."""
    num_devices: Devices = AUTO
    """How many devices to use."""
    output_dir: Folder | None = None
    """By default results/NAME."""

    @property
    def experiment(self) -> Experiment:
        """The experiment that is run."""
        return Experiment(**{name: getattr(self, name) for name in Experiment.model_fields})


class LearningOptions(CommandOptions):
    """The options of `systems.learning`."""

    runs: Annotated[
        Mapping[Name, tuple[Folder, ...]] | None,
        BeforeValidator(as_groups),
        Allowed("{NAME: [FOLDER, ...]}: by name, the folders of runs that differ in their seed"),
    ] = None
    """By name, the folders of trainings that differ in their seed alone."""
    output_dir: Folder | None = None
    """A folder without these files in it; by default a new one in results/."""


class DemoOptions(CommandOptions):
    """The options of `systems.demo`."""

    total_timesteps: Count = 50_000
    """Environment steps that the agents are trained for."""
    output_dir: Folder | None = None
    """A folder without files in it; by default a new one in results/."""
