"""Regenerates a table or figure of the paper: `python -m systems.reproduce experiment=table1`.

Writes `results/NAME/` with `table.md`, `records.json` and pictures; of `experiment=suite`, which
runs all methods on many tasks, a folder of these for each task, and `suite.md`. Finished runs are
kept: the same command goes on where an interrupted one stopped. Any option of the environment or
the system may be set, as in `env.epochs=10`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ganno import plugins
from ganno.names import unknown
from systems.command_line.command import Command
from systems.options.commands import ReproduceOptions
from systems.options.experiment import AgentsSpec, Experiment
from systems.options.types import NONE, TRAIN
from systems.utils.output import make_console

if TYPE_CHECKING:  # they start JAX as they are imported
    from ganno_env import NetworkTraining
    from ganno_env.evaluation import Method
    from ganno_env.evaluation.methods import Setting
    from systems.experiments.agents import Training
    from systems.experiments.outcome import Outcome
    from systems.experiments.run_store import RunStore

RESULTS = Path("results")
COMMAND = Command(
    module="systems.reproduce",
    config="reproduce",
    options=ReproduceOptions,
    choices=("system",),
    groups=("experiment", "scale", "formulation"),
    open=("env", "system", "train_on", "agents", "tasks"),
    named_by="experiment",
    interrupted="interrupted; the same command goes on from here",
)
main = COMMAND.main
RANDOM = "random:"
"""Before agents' key: agents that act at random, with the same actions."""


def run(given: ReproduceOptions) -> Path:
    """Makes an experiment's runs and its report; returns the folder.

    Raises:
        ValueError: for whatever is wrong with the options, before anything is compiled.
        StorageError: if something cannot be written; what was written before is kept.
        KeyboardInterrupt: if a signal ended the training of its agents.
    """
    from systems.training.devices import configure

    configure(given.num_devices)
    # Only now: Jumanji starts JAX as it is imported.
    from ganno_env.evaluation.methods import Setting
    from systems.experiments.experiment import run_experiment
    from systems.experiments.reports import REPORTS
    from systems.experiments.suite import TABLE, write_suite
    from systems.ppo.registry import SYSTEMS

    plugins.load(given.plugins)
    SYSTEMS[given.system.name]  # an unknown one is refused here
    console = make_console()
    REPORTS[given.report]  # and here
    specs = _agents(given.agents, given.experiment)
    rows = _rows(given.experiment, specs)
    _check_environments(given, specs)
    folder = given.output_dir or RESULTS / given.name
    training = _training(given, folder)
    _check_agents(given.experiment, specs, training)
    information = {"options": given.model_dump(mode="json")}
    outcomes: dict[str, Outcome] = {}
    jobs = _jobs(given, folder)
    for number, job in enumerate(jobs, start=1):
        part = f"task {number} of {len(jobs)}, {job.task}: " if given.tasks else ""
        console.print(f"{part}{job.experiment.title}\n{job.env}")
        setting = Setting(job.env, {"velo": given.velo_weights, "celo": given.celo_weights})
        methods, unavailable = _methods(job.experiment, specs, training, setting)
        made = {method.name for method in methods}
        order = [row for row in rows if row in made or row in unavailable]
        outcome = run_experiment(
            job.experiment, job.env, methods, job.store, console, information, order, unavailable,
            show=not given.tasks,
        )  # fmt: skip
        if outcome is not None:
            outcomes[job.task] = outcome
    if given.tasks and len(outcomes) == len(jobs):
        if missing := [task for task, made in outcomes.items() if not made.has_hand_made]:
            console.print(
                f"no {TABLE}: regret is measured from hand-made methods, and {missing[0]} has no "
                "runs of one; run one in the same folder, such as methods=[constant]"
            )
            return folder
        title = f"Regret over {len(jobs)} tasks"
        for path in write_suite(outcomes, folder, title, information, console):
            console.print(f"  {path}", highlight=False, soft_wrap=True)
    return folder


class Job(NamedTuple):
    """An experiment on one task.

    Attributes:
        task: its name in a suite, or the experiment's.
        experiment, env: what is run, and where.
        store: where its runs are kept.
    """

    task: str
    experiment: Experiment
    env: NetworkTraining
    store: RunStore


def _jobs(given: ReproduceOptions, folder: Path) -> list[Job]:
    """What is to be run: the experiment, or that on each task of a suite.

    Raises:
        ValueError: for an unknown task, or a folder that holds another experiment's runs.
    """
    if not given.tasks:
        if given.only is not None:
            raise ValueError(f"only={list(given.only)}; the experiment {given.name} has no tasks")
        return [_job(given.name, given.experiment, given.env, folder)]
    for name in given.only or ():
        if name not in given.tasks:
            raise ValueError(unknown("task", name, given.tasks))
    return [
        _job(
            name,
            given.experiment.replace(name=f"{given.name}/{name}"),
            task.environment(given.env),
            folder / name,
        )
        for name, task in given.tasks.items()
        if given.only is None or name in given.only
    ]


def _job(task: str, experiment: Experiment, environment: Mapping[str, Any], folder: Path) -> Job:
    from ganno_env import make_env
    from systems.experiments.run_store import open_store

    env = make_env(**environment)
    experiment = experiment.titled(env.network.name, env.task.name)
    return Job(task, experiment, env, open_store(folder, experiment, environment, env))


def _agents(agents: Mapping[str, AgentsSpec], experiment: Experiment) -> dict[str, AgentsSpec]:
    """The agents among the experiment's methods, by their keys.

    Raises:
        ValueError: for a name that is neither agents' nor a method's.
    """
    from ganno_env.evaluation.methods import row_name

    keys = [text.removeprefix(RANDOM) for text in experiment.methods]
    for key, text in zip(keys, experiment.methods, strict=True):
        if key not in agents:
            try:
                row_name(text)
            except ValueError as error:
                raise ValueError(f"{error}; and agents: {', '.join(agents)}") from error
    return {key: agents[key] for key in keys if key in agents}


def _rows(experiment: Experiment, specs: Mapping[str, AgentsSpec]) -> list[str]:
    """The names of the methods' rows in order; raises `ValueError` if two have one name."""
    rows = [row_of(text, specs) for text in experiment.methods]
    for number, row in enumerate(rows):
        if row in rows[:number]:
            first = experiment.methods[rows.index(row)]
            raise ValueError(
                f"methods {first!r} and {experiment.methods[number]!r} are both called {row!r}; "
                "give each agents' name= its own"
            )
    return rows


def row_of(text: str, specs: Mapping[str, AgentsSpec]) -> str:
    """The name of a method's row, by the method's text in the config."""
    from ganno_env.evaluation.methods import row_name
    from systems.experiments.agents import random_name

    if text in specs:
        return specs[text].name
    if text.removeprefix(RANDOM) in specs:
        return random_name(specs[text.removeprefix(RANDOM)])
    return row_name(text)


def _check_environments(given: ReproduceOptions, specs: Mapping[str, AgentsSpec]) -> None:
    from ganno_env.registration import check_options

    check_options(given.env, "env.")
    for name, task in given.tasks.items():
        check_options(task.env, f"tasks.{name}.env.")
    network = {**given.env, **given.train_on}.get("network")
    check_options(given.train_on, "train_on.", network)
    for key, spec in specs.items():
        check_options(spec.env, f"agents.{key}.env.", network)


def _training(given: ReproduceOptions, folder: Path) -> Training:
    import jax

    from systems.experiments.agents import Training
    from systems.ppo.mesh import make_mesh

    config = given.system.config
    return Training(
        environment={**given.env, **given.train_on},
        system=given.system.name,
        config=config,
        seed=given.training_seed,
        folder=folder / "agents",
        mesh=make_mesh(jax.devices(), given.num_devices, num_envs=config.num_envs),
    )


def _check_agents(
    experiment: Experiment, specs: Mapping[str, AgentsSpec], training: Training
) -> None:
    """Raises `ValueError` for a file that is no policy, or agents that shards would train."""
    from systems.experiments.agents import must_train
    from systems.policy.policy import load_policy

    for spec in specs.values():
        if spec.checkpoint not in (TRAIN, NONE):
            load_policy(spec.checkpoint)
    if experiment.num_shards == 1:
        return
    if to_train := [key for key, spec in specs.items() if must_train(key, spec, training)]:
        raise ValueError(
            f"num_shards={experiment.num_shards}, and {to_train} are still to be trained; train "
            "them with one process first (the same command without shards), or name policies "
            "(checkpoint=PATH)"
        )


def _methods(
    experiment: Experiment,
    specs: Mapping[str, AgentsSpec],
    training: Training,
    setting: Setting,
) -> tuple[list[Method], dict[str, str]]:
    """The rows that can be filled, and why the others cannot."""
    from ganno_env.evaluation.methods import NotAvailableError, make_method
    from systems.experiments.agents import as_method, as_random, get_policy

    methods: list[Method] = []
    unavailable: dict[str, str] = {}
    for text in experiment.methods:
        key = text.removeprefix(RANDOM)
        try:
            if key not in specs:
                methods.append(make_method(text, setting))
                continue
            policy = get_policy(key, specs[key], training)
            if key == text:
                methods.append(as_method(specs[key], policy, setting.env))
            elif (random := as_random(specs[key], policy, setting.env)) is not None:
                methods.append(random)
        except NotAvailableError as reason:
            unavailable[row_of(text, specs)] = str(reason)
    return methods, unavailable


if __name__ == "__main__":
    main()
