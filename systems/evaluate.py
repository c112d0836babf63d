"""Runs a policy zero-shot: `python -m systems.evaluate checkpoint=pretrained env=cifar10_cnn5`.

The environment may be any (another network, another dataset); what agents see and do is taken from
the policy. Any option of the environment may be set, as in `env.epochs=10`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganno import plugins
from systems.command_line.command import Command
from systems.options.commands import EvaluateOptions
from systems.options.experiment import AgentsSpec, Experiment
from systems.utils.files import fresh_folder
from systems.utils.output import make_console

if TYPE_CHECKING:  # it starts JAX as it is imported
    from ganno_env import NetworkTraining

RESULTS = Path("results")
COMMAND = Command(
    module="systems.evaluate",
    config="evaluate",
    options=EvaluateOptions,
    choices=("env", "network"),
    groups=("scale",),
    open=("env",),
)
main = COMMAND.main
COMPARED = ("learning_rates", "weight_decay", "seeds", "schedules", "random", "greedy")
"""Options that must be as they were for an evaluation to be continued."""


def run(given: EvaluateOptions) -> None:
    """Runs the policy and what it is compared with, and writes the report.

    Raises:
        ValueError: for whatever is wrong with the options, before anything is compiled.
        StorageError: if something cannot be written.
    """
    from systems.training.devices import configure

    configure(given.num_devices)
    # Only now: Jumanji starts JAX as it is imported.
    from ganno_env import make_env
    from ganno_env.evaluation.methods import Setting, make_method, row_name
    from ganno_env.registration import by_name, check_options
    from systems.experiments.agents import AGENTS, as_method, policy_digest, random_name, variant_of
    from systems.experiments.experiment import run_experiment
    from systems.experiments.run_store import open_store
    from systems.policy.policy import load_policy

    plugins.load(given.plugins)
    for name in given.schedules:
        row_name(name)  # an unknown one is refused here
    policy = load_policy(given.checkpoint)
    environment = inherit(by_name(given.env), policy.information.get("environment", {}))
    check_options(environment, "env.")
    env = make_env(**environment)
    policy.check_fits(env)
    spec = AgentsSpec(name=AGENTS, greedy=given.greedy)
    experiment = Experiment(
        name="evaluation",
        report="table",
        title="{split} accuracy (%) of {network} on {dataset}",
        methods=(*given.schedules, *(["random"] if given.random else []), AGENTS),
        learning_rates=given.learning_rates,
        weight_decays=(given.weight_decay,),
        seeds=given.seeds,
        split=given.split,
        runs_at_once=given.runs_at_once,
    ).titled(env.network.name, env.task.name)
    setting = Setting(env)
    methods = [make_method(name, setting) for name in given.schedules]
    if given.random:  # in an environment with the policy's actions
        random = make_method("random", setting)
        around = variant_of(policy)
        methods.append(dataclasses.replace(random, name=random_name(spec), variant=around))
    methods.append(as_method(spec, policy, env))
    compared = {name: getattr(given, name) for name in COMPARED}
    compared["policy"] = policy_digest(policy)
    store = open_store(_folder(given.output_dir, env), experiment, environment, env, compared)
    information = {"environment": environment, "policy": dict(policy.information)}
    console = make_console()
    console.print(f"{env}")
    run_experiment(experiment, env, methods, store, console, information)


def inherit(environment: Mapping[str, Any], trained_on: Mapping[str, Any]) -> dict[str, Any]:
    """The environment's arguments, with what agents see and do as they were trained."""
    from ganno_env.config import INTERFACE_OPTIONS

    inherited = {name: trained_on[name] for name in INTERFACE_OPTIONS if name in trained_on}
    return inherited | dict(environment)


def _folder(folder: Path | None, env: NetworkTraining) -> Path:
    if folder is None:
        return fresh_folder(RESULTS, f"evaluate-{env.task.name}_{env.network.name}")
    from systems.experiments.run_store import MANIFEST

    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise ValueError(
            f"{folder} has files in it already that are no evaluation's; choose another output_dir"
        )
    return folder


if __name__ == "__main__":
    main()
