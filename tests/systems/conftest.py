"""A small learner on a toy, compiled once for all the tests that only read from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from ganno_env.evaluation import GridRunner, statistics
from systems.ppo import rec_ippo
from systems.ppo.config import PPOConfig
from systems.ppo.mesh import make_mesh
from systems.ppo.registry import SYSTEMS
from systems.ppo.types import Learner
from systems.training import loop as training
from tests.systems.logged import make_run
from tests.toys import Recall


def small_config(**changes: Any) -> PPOConfig:
    sizes: dict[str, Any] = {
        "total_timesteps": 64 * 1000,
        "num_envs": 4,
        "rollout_length": 16,
        "actor_layers": (16,),
        "recurrent_size": 16,
        "post_recurrent_layers": (16,),
        "critic_layers": (16,),
    }
    return PPOConfig(**{**sizes, **changes})


def mesh_of(num_devices: int) -> jax.sharding.Mesh:
    if len(jax.devices()) < num_devices:
        pytest.skip(f"needs {num_devices} devices")
    return make_mesh(jax.devices(), num_devices)


@pytest.fixture(scope="module", autouse=True)  # other tests are in the same process
def few_repetitions() -> Iterator[None]:
    """Reports here are looked at for all but the bounds of their intervals, which take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "REPETITIONS", 20)
        yield


@pytest.fixture(scope="module")
def on_one_device() -> Iterator[None]:
    """Grids are made on one device: every other one would compile all that they take again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GridRunner, "num_devices", 1)
        yield


class Once:
    """Systems whose learners are made once, if they differ in nothing but how long they train."""

    def __init__(self) -> None:
        self._made: dict[Any, Learner] = {}

    @staticmethod
    def _key(name: str, env: Any, config: PPOConfig, mesh: jax.sharding.Mesh) -> Any:
        options = config.model_dump(exclude={"total_timesteps"})
        return name, type(env), tuple(options.items()), mesh.size

    def __getitem__(self, name: str) -> Callable[..., Learner]:
        make = SYSTEMS[name]

        def once(env: Any, config: PPOConfig, mesh: jax.sharding.Mesh) -> Learner:
            key = self._key(name, env, config, mesh)
            if key not in self._made:
                self._made[key] = make(env, config, mesh)
            return self._made[key]

        return once


ONCE = Once()
"""This process's."""


@pytest.fixture(scope="session")
def learner() -> rec_ippo.Learner:
    return ONCE["rec_ippo"](Recall(), small_config(), mesh_of(1))


@pytest.fixture(scope="module")
def compiled_once() -> Iterator[None]:
    """Trainings in this process share what they compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SYSTEMS", ONCE)
        yield


@pytest.fixture
def run(tmp_path):
    """What loggers are told of a run that is made up."""
    return make_run(tmp_path)


@pytest.fixture
def in_process(monkeypatch, tmp_path):
    """Commands run in this process, in an empty folder, and leave pytest its streams."""
    monkeypatch.setattr("systems.command_line.command.protect_standard_streams", lambda: None)
    # Hydra's logging would close streams that pytest captures.
    monkeypatch.setattr("hydra._internal.logging_config.configure_logging", lambda *_: None)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")


@pytest.fixture
def work(in_process, monkeypatch):
    """Commands check all that they are given, in an empty folder, and then do nothing."""
    done: list[dict] = []

    def train_nothing(env, config, **options):
        (options["output_dir"] / "checkpoints").mkdir(parents=True, exist_ok=True)
        (options["output_dir"] / "overrides.json").write_text(
            options["documents"]["overrides.json"]
        )
        done.append({"env": env, "config": config, **options})
        return SimpleNamespace(stopped_by=None)

    def run_nothing(experiment, env, methods, store, *rest, **options):
        done.append({"experiment": experiment, "env": env, "methods": methods, "store": store})

    monkeypatch.setattr(training, "train", train_nothing)
    monkeypatch.setattr("systems.experiments.experiment.run_experiment", run_nothing)
    return done
