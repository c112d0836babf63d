"""The options of the commands, as Hydra's plain containers hold them.

They are read before anything slow is imported, so that a mistake is answered at once; so this
module imports neither JAX nor Jumanji. What only a registry knows (the environment's options, names
of methods and loggers) is checked where the registry is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ganno.options import (
    LARGEST_SEED,
    Allowed,
    Count,
    FilePath,
    Fraction,
    Options,
    Seed,
    plain,
)
from systems.config import PPOConfig

AUTO: Final = "auto"
TRAIN, NONE, PRETRAINED = "train", "none", "pretrained"


def _distinct(values: Sequence[Any]) -> Sequence[Any]:
    if not values or len(set(values)) != len(values):
        raise ValueError("it must be a list without repetition, and not empty")
    return values


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_groups(value: Any) -> Any:
    """From YAML, names and paths as they are written, also where they are numbers."""
    if not isinstance(value, str):
        return value
    try:
        groups = yaml.load(value, yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"it cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(groups, dict):
        return groups
    return {k: (v,) if isinstance(v, str) else plain(v) for k, v in groups.items()}


Name = Annotated[str, BeforeValidator(_as_text), Field(min_length=1), Allowed("a name")]
Folder = Annotated[FilePath, BeforeValidator(_as_text)]
"""A folder's name may be a number, which YAML takes for one."""
Checkpoint = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(min_length=1),
    Allowed(f"{PRETRAINED}, a policy's file or its run's folder"),
]
Devices = Annotated[Count | Literal["auto"], Allowed(f"a whole number of at least 1, or {AUTO}")]
Environment = Annotated[Mapping[str, Any], Allowed("a mapping of ganno_env.make_env's options")]
Distinct = AfterValidator(_distinct)
Names = Annotated[tuple[Name, ...], Distinct, Allowed("a list of different names")]
Rates = Annotated[
    tuple[Fraction, ...], Distinct, Allowed("a list of different numbers from 0 to 1")
]
Seeds = Annotated[
    tuple[Seed, ...],
    Distinct,
    Allowed(f"a list of different whole numbers from 0 to {LARGEST_SEED}"),
]


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
    """A name in `systems.registry.SYSTEMS`."""

    @property
    def config(self) -> PPOConfig:
        """The options alone."""
        return PPOConfig(**{name: getattr(self, name) for name in PPOConfig.model_fields})


class CommandOptions(Options):
    """Of every command."""

    plugins: Annotated[
        Name | tuple[Name, ...], Allowed("the name of a module, or a list of them")
    ] = ()
    """Modules of your own to import first, for what they register."""


class Scaled(CommandOptions):
    """What a scale sets beside the sizes of environment and system, for those that need it."""

    runs_at_once: Count | None = None
    """Runs of a grid that are made, and kept, together."""
    residual_width: Annotated[float, Field(gt=0)] = 1.0
    """Width of ResNets, where an experiment is about them."""


class TrainOptions(Scaled):
    """Of `systems.train`."""

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
    """Of `systems.evaluate`."""

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
    """An empty folder, or that of the same evaluation, which is gone on with; by default a new one
    in results/."""


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
    """As they were after so many episodes of the training that the checkpoint is of; 0 for agents
    as they are born."""
    learning_rate: Fraction | None = None
    """The initial rate that they always start from, if not the table's."""
    greedy: bool | None = None
    """Whether they take the most probable actions; null is the policy's own way."""


class Experiment(Options):
    """What is run, checked on construction (`ValueError`)."""

    name: Name
    """The command's word for it, such as table1."""
    report: Name
    """What is made of its runs: a name in `systems.reports.REPORTS`."""
    title: str
    """Above its tables and pictures; {network}, {dataset} and {split} stand for what is run."""
    methods: Names
    """Rows in order: names of `METHODS`, NAME@WEIGHT_DECAY, keys of agents, or random:KEY."""
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
        """The same, its title naming what is run."""
        title = self.title.format(network=network, dataset=dataset, split=self.split)
        return self.replace(title=title[:1].upper() + title[1:])


class ReproduceOptions(Scaled, Experiment):
    """Of `systems.reproduce`."""

    env: Environment
    """The environment's."""
    train_on: Environment = Field(default_factory=dict)
    """Where agents are trained on another environment, what is other."""
    system: System = System()
    """The system that is trained, with its options."""
    agents: Mapping[Name, AgentsSpec] = Field(default_factory=dict)
    """The agents among the methods, by their keys."""
    checkpoint: Checkpoint = TRAIN
    """The agents: train them first; or pretrained, a policy's file, a run's folder, none."""
    velo_weights: Folder | None = None
    """The file of VeLO's public weights."""
    training_seed: Seed = 0
    """Of the agents' training."""
    num_devices: Devices = AUTO
    """How many devices to use."""
    output_dir: Folder | None = None
    """By default results/NAME."""

    @property
    def experiment(self) -> Experiment:
        """What is run."""
        return Experiment(**{name: getattr(self, name) for name in Experiment.model_fields})


class LearningOptions(CommandOptions):
    """Of `systems.learning`."""

    runs: Annotated[
        Mapping[Name, tuple[Folder, ...]] | None,
        BeforeValidator(_as_groups),
        Allowed("{NAME: [FOLDER, ...]}: by name, the folders of runs that differ in their seed"),
    ] = None
    """By name, the folders of trainings that differ in their seed alone."""
    output_dir: Folder | None = None
    """A folder without these files in it; by default a new one in results/."""


class DemoOptions(CommandOptions):
    """Of `systems.demo`."""

    total_timesteps: Count = 50_000
    """Environment steps that the agents are trained for."""
    output_dir: Folder | None = None
    """A folder without files in it; by default a new one in results/."""
