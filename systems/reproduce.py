"""Regenerates a table or figure of the paper: `python -m systems.reproduce experiment=table1`.

Writes `results/NAME/` with `table.md`, `records.json` and pictures. Finished runs are kept: the
same command goes on where an interrupted one stopped. Any option of the environment or the system
may be set, as in `env.epochs=10`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import jax
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from systems.command import fail, let_through
from systems.devices import configure, make_mesh
from systems.errors import RunError
from systems.options import NONE, AgentsSpec, Experiment, ReproduceOptions
from systems.output import echo, make_console, protect_standard_streams

if TYPE_CHECKING:  # they start JAX as they are imported
    from ganno_env import NetworkTraining
    from ganno_env.evaluation import Method
    from systems.agents import Training

RESULTS = Path("results")
INTERRUPTED = 130
"""The exit code of what a signal ended."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; `arguments` are the command line's if not given."""
    protect_standard_streams()
    sys.argv[1:] = let_through(sys.argv[1:] if arguments is None else arguments)
    _hydra_main()


@hydra.main(version_base="1.3", config_path="../configs", config_name="reproduce")
def _hydra_main(options: DictConfig) -> None:
    try:
        reproduce(OmegaConf.to_container(options, resolve=True), _name())
    except (ValueError, RunError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        fail(error)
    except KeyboardInterrupt:
        echo("interrupted; the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)


def _name() -> str:
    return str(HydraConfig.get().runtime.choices["experiment"])


def reproduce(values: Any, name: str) -> Path:
    """Runs an experiment's config, of plain lists and dictionaries; returns its folder.

    Raises:
        ValueError: for whatever is wrong with it, before anything is compiled.
        StorageError: if something cannot be written; what was written before is kept.
        KeyboardInterrupt: if a signal ended the training of its agents.
    """
    given = ReproduceOptions.parse({**values, "name": name})
    configure(given.num_devices)
    # Only now: Jumanji starts JAX as it is imported.
    from ganno_env import make_env
    from ganno_env.evaluation.methods import row_name
    from systems.cells import CellStore
    from systems.harness import conduct
    from systems.reports import REPORTS

    console = make_console()
    experiment = given.experiment
    REPORTS[experiment.report]  # an unknown one is refused here
    specs = _agents(given.agents, experiment)
    env = make_env(**given.env)
    folder = given.output_dir or RESULTS / name
    training = _training(given, folder)
    velo_weights = given.velo_weights
    store = CellStore(
        folder,
        _identity(given.env, env, experiment),
        _makers(experiment, specs, training, velo_weights),
    )
    console.print(f"{experiment.title}\n{env}")
    methods, unavailable = _methods(experiment, specs, training, env, velo_weights)
    order = [specs[text].name if text in specs else row_name(text) for text in experiment.methods]
    information = {"options": values}
    conduct(experiment, env, methods, store, console, information, order, unavailable)
    return folder


def _agents(agents: Mapping[str, AgentsSpec], experiment: Experiment) -> dict[str, AgentsSpec]:
    """The agents among the experiment's methods, by their keys; refuses a name of nobody's."""
    from ganno_env.evaluation.methods import row_name

    for text in experiment.methods:
        if text not in agents:
            try:
                row_name(text)
            except ValueError as error:
                raise ValueError(f"{error}; and agents: {', '.join(agents)}") from error
    return {key: agents[key] for key in experiment.methods if key in agents}


def _training(given: ReproduceOptions, folder: Path) -> Training:
    from systems.agents import Training

    config = given.system.config
    return Training(
        environment={**given.env, **given.train_on},
        system=given.system.name,
        config=config,
        seed=given.training_seed,
        folder=folder / "agents",
        mesh=make_mesh(jax.devices(), given.num_devices, num_envs=config.num_envs),
    )


def _identity(environment: Mapping[str, Any], env: NetworkTraining, experiment: Experiment) -> Any:
    """What every run depends on."""
    return {
        "experiment": experiment.name,
        "environment": dict(environment),
        "images": env.dataset.source,
        "test_every_step": experiment.test_every_step,
    }


def _makers(
    experiment: Experiment,
    specs: Mapping[str, AgentsSpec],
    training: Training,
    velo_weights: Path | None,
) -> dict[str, Any]:
    """What some runs depend on: the agents' training or policies, and VeLO's weights."""
    from systems import agents

    makers: dict[str, Any] = {
        spec.name: agents.identity(spec, training)
        for spec in specs.values()
        if spec.checkpoint != NONE
    }
    if velo_weights is not None and velo_weights.is_file():
        makers["VeLO"] = hashlib.sha256(velo_weights.read_bytes()).hexdigest()
    to_train = [key for key, spec in specs.items() if agents.must_train(key, spec, training)]
    if experiment.num_shards > 1 and to_train:
        raise ValueError(
            f"num_shards={experiment.num_shards}, and {to_train} are still to be trained; train "
            "them with one process first (the same command without shards), or name policies "
            "(checkpoint=PATH)"
        )
    return makers


def _methods(
    experiment: Experiment,
    specs: Mapping[str, AgentsSpec],
    training: Training,
    env: NetworkTraining,
    velo_weights: Path | None,
) -> tuple[list[Method], dict[str, str]]:
    """The rows that can be filled, and why the others cannot."""
    from ganno_env.evaluation.methods import NotAvailableError, Setting, make_method, row_name
    from systems.agents import as_method, find_policy

    methods: list[Method] = []
    unavailable: dict[str, str] = {}
    for text in experiment.methods:
        spec = specs.get(text)
        try:
            if spec is None:
                methods.append(make_method(text, Setting(env, velo_weights)))
            else:
                methods.append(as_method(spec, find_policy(text, spec, training), env))
        except NotAvailableError as reason:
            unavailable[row_name(text) if spec is None else spec.name] = str(reason)
    return methods, unavailable


if __name__ == "__main__":
    main()
