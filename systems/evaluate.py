"""Runs a policy zero-shot: `python -m systems.evaluate checkpoint=pretrained env=cifar10_cnn5`.

The environment may be any (another network, another dataset); what agents see and do is taken from
the policy. Any option of the environment may be set, as in `env.epochs=10`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from systems.command import fail, let_through
from systems.devices import configure
from systems.errors import RunError
from systems.files import fresh_folder
from systems.options import AgentsSpec, EvaluateOptions, Experiment
from systems.output import make_console, protect_standard_streams

RESULTS = Path("results")
COMPARED = ("learning_rates", "weight_decay", "seeds", "schedules", "random", "greedy")
"""Options that must be as they were for an evaluation to be gone on with."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; `arguments` are the command line's if not given."""
    protect_standard_streams()
    sys.argv[1:] = let_through(sys.argv[1:] if arguments is None else arguments)
    _hydra_main()


@hydra.main(version_base="1.3", config_path="../configs", config_name="evaluate")
def _hydra_main(options: DictConfig) -> None:
    try:
        _run(options)
    except (ValueError, RunError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        fail(error)
    except MissingMandatoryValue:
        fail(ValueError("checkpoint=PATH is missing: a policy, its run's folder, or pretrained"))


def _run(options: DictConfig) -> None:
    given = EvaluateOptions.parse(
        OmegaConf.to_container(options, resolve=True, throw_on_missing=True)
    )
    configure(given.num_devices)
    # Only now: Jumanji starts JAX as it is imported.
    from ganno_env import make_env
    from ganno_env.evaluation.methods import Setting, make_method
    from ganno_env.registration import check_options
    from systems.agents import AGENTS, as_method, policy_digest, random_name
    from systems.harness import conduct, open_store
    from systems.policy import load_policy

    policy = load_policy(given.checkpoint)
    environment = inherit(given.env, policy.information.get("environment", {}))
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
    ).titled(env.network.name, env.dataset.name)
    setting = Setting(env)
    methods = [make_method(name, setting) for name in given.schedules]
    if given.random:  # in an environment with the policy's actions
        random = make_method("random", setting)
        methods.append(dataclasses.replace(random, name=random_name(spec)))
    methods.append(as_method(spec, policy, env))
    compared = {name: getattr(given, name) for name in COMPARED}
    compared["policy"] = policy_digest(policy)
    store = open_store(_folder(given.output_dir), experiment, environment, env, compared)
    information = {"environment": environment, "policy": dict(policy.information)}
    console = make_console()
    console.print(f"{env}")
    conduct(experiment, env, methods, store, console, information)


def inherit(environment: Mapping[str, Any], trained_on: Mapping[str, Any]) -> dict[str, Any]:
    """The environment's arguments, with what agents see and do as they were trained."""
    from ganno_env.evaluation.rollout import OBSERVED

    inherited = {name: trained_on[name] for name in OBSERVED if name in trained_on}
    return inherited | dict(environment)


def _folder(folder: Path | None) -> Path:
    if folder is None:
        return fresh_folder(RESULTS, f"evaluate-{HydraConfig.get().runtime.choices['env']}")
    from systems.cells import MANIFEST

    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise ValueError(
            f"{folder} has files in it already that are no evaluation's; choose another output_dir"
        )
    return folder


if __name__ == "__main__":
    main()
