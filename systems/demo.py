"""The demo: trains agents on digits and runs them zero-shot on a deeper network.

`python -m systems.demo`. The paper's own formulation and number of environment steps, on real
handwritten digits and a two-layered CNN; then a five-layered CNN, from three initial learning rates
and three seeds, beside hand-made schedules and agents that act at random.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from ganno import plugins
from systems.command_line.command import Command
from systems.options.commands import DemoOptions
from systems.ppo.config import PPOConfig
from systems.utils.files import fresh_folder
from systems.utils.output import make_console

ENVIRONMENT: dict[str, Any] = {
    "dataset": "digits",
    "network": "cnn2",
    "network_options": {"width": 0.25},
    "batch_size": 32,
    "epochs": 40,
    "updates_per_step": 50,
}
RESULTS = Path("results")
COMMAND = Command(module="systems.demo", config="demo", options=DemoOptions)
main = COMMAND.main
DEEPER = "cnn5"
LEARNING_RATES = (0.0001, 0.001, 0.01)
WEIGHT_DECAY = 0.001
SEEDS = (0, 1, 2)
METHODS = ("constant", "cosine", "sgdr", "random")


def run(given: DemoOptions) -> Path:
    """Trains, compares, prints and writes; returns the folder with all that was written.

    Raises:
        ValueError: for too few steps, or an `output_dir` with a run in it.
        StorageError: if something cannot be written.
    """
    from systems.training.devices import configure

    began = time.monotonic()
    config = PPOConfig(total_timesteps=given.total_timesteps)
    mesh = configure(num_envs=config.num_envs)
    # Only now: Jumanji starts JAX as it is imported.
    from ganno_env import make_env
    from ganno_env.evaluation.methods import Setting, make_method
    from systems.experiments.agents import AGENTS, as_method
    from systems.experiments.experiment import run_experiment
    from systems.experiments.run_store import open_store
    from systems.options.experiment import AgentsSpec, Experiment
    from systems.training.loop import train

    plugins.load(given.plugins)
    console = make_console()
    folder = given.output_dir or fresh_folder(RESULTS, "demo")
    env = make_env(**ENVIRONMENT)
    console.rule("1. training agents")
    console.print(f"{env}, {config.num_updates} updates of {config.timesteps_per_update} steps")
    loggers: dict[str, Any] = {"console": {}, "jsonl": {}}
    trained = train(
        env,
        config,
        mesh=mesh,
        output_dir=folder / "training",
        environment=ENVIRONMENT,
        loggers=loggers,
        checkpoint_every=50,
        keep=1,
    )
    if trained.stopped_by is not None:
        sys.exit(128 + trained.stopped_by)
    seconds = trained.records[-1]["seconds"]
    console.rule("2. running them, untouched, on a deeper network")
    environment = ENVIRONMENT | {"network": DEEPER}
    deeper = make_env(**environment)
    console.print(f"{deeper}, initial learning rates {LEARNING_RATES}, {len(SEEDS)} seeds")
    experiment = Experiment(
        name="demo",
        report="table",
        title="{split} accuracy (%) of {network} on {dataset}, by initial learning rate",
        methods=(*METHODS, AGENTS),
        learning_rates=LEARNING_RATES,
        weight_decays=(WEIGHT_DECAY,),
        seeds=SEEDS,
    ).titled(deeper.network.name, deeper.task.name)
    methods = [make_method(name, Setting(deeper)) for name in METHODS]
    methods.append(as_method(AgentsSpec(name=AGENTS), trained.policy, deeper))
    information = {"environment": environment, "training_seconds": seconds}
    store = open_store(folder, experiment, environment, deeper)
    run_experiment(experiment, deeper, methods, store, console, information)
    console.print(f"  {folder / 'training' / 'policy.npz'}", highlight=False)
    steps = trained.records[-1]["env_steps"]
    updates = 2 * steps * env.updates_per_step
    console.print(
        f"{AGENTS} had never seen {DEEPER}.\nMeta-training cost {steps:,} environment steps, "
        f"{updates:,} gradient updates of {env.network.name}, {seconds:.0f} s on {mesh.size} "
        f"device(s).\nEverything took {time.monotonic() - began:.0f} s.",
        soft_wrap=True,
    )
    return folder


if __name__ == "__main__":
    main()
