"""The way into Mava, without Mava; and, where it is installed, Mava itself."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jumanji
import pytest

from ganno_env.wrappers import GlobalObservation
from systems import mava as command
from systems.integrations import import_stubs, mava
from systems.utils.errors import RunError

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = {"name": "rec_ippo", "total_timesteps": 50_000, "rollout_length": 64}
INSTALLED = importlib.util.find_spec("mava") is not None

# What of Mava the way in goes by: a registry, a type, a system's entry point and its configs.
# The system makes its environments as Mava's `make_jumanji_env` does, and plays a step.
FAKE = {
    "utils/__init__.py": "",
    "utils/make_env.py": "import jaxmarl\nfrom gigastep import ScenarioBuilder\n"
    "_jumanji_registry = {}\n",
    "types.py": """
        from typing import Any, NamedTuple
        from jaxmarl.environments import spaces

        def _is_box(space: spaces.Box) -> bool: ...

        class ObservationGlobalState(NamedTuple):
            agents_view: Any
            action_mask: Any
            global_state: Any
            step_count: Any
        """,
    "systems/__init__.py": "",
    "systems/ppo/__init__.py": "",
    "systems/ppo/anakin/__init__.py": "",
    "systems/ppo/anakin/rec_mappo.py": """
        import hydra, jax, jumanji
        from jumanji.environments.routing.connector import MaConnector
        from mava.types import ObservationGlobalState
        from mava.utils import make_env
        from tensorboard_logger import configure, log_value

        @hydra.main(config_path="../../../configs/default", config_name="rec_mappo.yaml",
                    version_base="1.2")
        def hydra_entry_point(cfg):
            name = cfg.env.scenario.name
            entry = make_env._jumanji_registry[name]
            generator = entry["generator"](**cfg.env.scenario.task_config)
            arguments = {**cfg.env.kwargs, **cfg.env.scenario.env_kwargs}
            envs = [jumanji.make(name, generator=generator, **arguments) for _ in range(2)]
            assert envs[0] is envs[1]
            env = entry["wrapper"](envs[0], add_global_state=True)
            state, timestep = jax.jit(env.reset)(jax.random.PRNGKey(cfg.system.seed))
            assert isinstance(timestep.observation, ObservationGlobalState)
            jax.jit(env.step)(state, env.action_spec().generate_value())
            print("played", env, cfg.env.scenario.task_name, env.network.layers[0].kind,
                  cfg.arch.num_envs, cfg.system.actor_lr, cfg.system.rollout_length,
                  list(cfg.network.actor_network.pre_torso.layer_sizes))
        """,
    "configs/default/rec_mappo.yaml": """
        defaults: [arch: anakin, system: ppo/rec_mappo, network: rnn, env: rware, _self_]
        hydra:
          searchpath: [file://mava/configs]
        """,
    "configs/arch/anakin.yaml": "{num_envs: 16, num_evaluation: 200, num_eval_episodes: 32, "
    "absolute_metric: true}",
    "configs/env/rware.yaml": "env_name: RobotWarehouse",
    "configs/system/ppo/rec_mappo.yaml": "{seed: 42, total_timesteps: null, rollout_length: 128, "
    "update_batch_size: 2, ppo_epochs: 4, num_minibatches: 2, actor_lr: 0.1, critic_lr: 0.1, "
    "gamma: 0.9, gae_lambda: 0.9, clip_eps: 0.1, ent_coef: 0.1, vf_coef: 0.1, max_grad_norm: 1}",
    "configs/network/rnn.yaml": "{hidden_state_dim: 128, "
    "actor_network: {pre_torso: {layer_sizes: [1]}, post_torso: {layer_sizes: [1]}}, "
    "critic_network: {pre_torso: {layer_sizes: [1]}, post_torso: {layer_sizes: [1]}}}",
}


def run_command(*arguments: str, path: Path | None = None, cwd: Path = ROOT):
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(map(str, [ROOT, path or ""]))}
    command = [sys.executable, "-m", "systems.mava", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=300, check=False
    )


@pytest.fixture
def fake_mava(tmp_path) -> Path:
    for name, text in FAKE.items():
        file = tmp_path / "site" / "mava" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    (tmp_path / "site" / "mava" / "__init__.py").touch()
    return tmp_path / "site"


@pytest.mark.skipif(INSTALLED, reason="Mava is installed")
def test_without_mava_one_line_says_how_to_get_it():
    done = run_command("system=rec_ippo", "env=digits_cnn2")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: Mava is not installed; install it with: {mava.INSTALL}"
    ]
    assert (ROOT / mava.INSTALL.split()[-1]).is_file()


@pytest.mark.slow
@pytest.mark.skipif(INSTALLED, reason="Mava is installed")
def test_the_way_in_leads_to_mavas_own_entry_point(fake_mava, tmp_path):
    done = run_command(
        "system=rec_mappo", "env=digits_cnn2", "scale=smoke", "network=mlp", "env.epochs=1",
        "env.updates_per_step=2", "system.rollout_length=8", "arch.num_envs=2",
        path=fake_mava, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "played MavaWrapper(NetworkTraining(mlp on digits, num_agents=3, time_limit=15)) "
        "digits_mlp linear 2 0.001 8 [128, 128]"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["site"]


@pytest.mark.skipif(INSTALLED, reason="Mava is installed")
def test_what_mava_itself_misses_is_named(fake_mava):
    (fake_mava / "mava" / "types.py").write_text("import a_package_that_is_not_there\n")
    done = run_command("system=rec_mappo", path=fake_mava)
    assert done.returncode == 1
    assert "a_package_that_is_not_there" in done.stderr
    assert mava.INSTALL in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_package_without_configs_is_refused(fake_mava, monkeypatch):
    (fake_mava / "mava" / "configs" / "default").rename(fake_mava / "elsewhere")
    monkeypatch.syspath_prepend(fake_mava)
    monkeypatch.delitem(sys.modules, "mava", raising=False)
    with pytest.raises(mava.MavaMissingError, match="has no configs"):
        mava.mava_folder()
    assert issubclass(mava.MavaMissingError, RunError)


def test_arguments_go_where_they_are_meant_for():
    arguments = ["env=digits_cnn5", "system=ff_ippo", "env.epochs=2", "scale=cpu", "network=mlp",
                 "system.gamma=0.9", "arch.num_envs=2", "logger.use_json=True"]  # fmt: skip
    name, ours, theirs = command.split(arguments)
    assert name == "ff_ippo"
    assert ours == ["env=digits_cnn5", "env.epochs=2", "scale=cpu", "network=mlp"]
    assert theirs == ["system.gamma=0.9", "arch.num_envs=2", "logger.use_json=True"]


@pytest.mark.parametrize("name", ["rec_ipo", "sac", ""])
def test_unknown_systems_are_refused(name):
    with pytest.raises(ValueError, match=r"unknown system .*rec_ippo, rec_mappo, ff_ippo"):
        command.split([f"system={name}"])


def test_the_environment_is_the_one_that_train_would_make():
    options = command.compose_options(["env=fashion_mnist_cnn2", "scale=cpu", "env.epochs=3"])
    assert options["env"]["dataset"] == "fashion_mnist"
    assert options["env"]["epochs"] == 3
    assert options["system"]["total_timesteps"] == 50_000


def test_the_papers_sizes_are_said_in_mavas_words():
    words = dict(word.split("=", 1) for word in mava.mava_overrides("rec_ippo", SYSTEM, []))
    assert words["system.rollout_length"] == "64"
    assert words["system.actor_lr"] == words["system.critic_lr"] == "0.001"
    assert words["network.hidden_state_dim"] == "64"
    assert words["network.actor_network.pre_torso.layer_sizes"] == "[128, 128]"
    assert words["network.actor_network.post_torso.layer_sizes"] == "[64]"
    feedforward = mava.mava_overrides("ff_ippo", SYSTEM, [])
    assert "network.actor_network.pre_torso.layer_sizes=[128, 128, 64]" in feedforward
    assert not any("hidden_state" in word or "post_torso" in word for word in feedforward)


def test_what_is_given_is_not_given_twice():
    given = ["system.actor_lr=0.5", "arch.num_evaluation=3"]
    words = mava.mava_overrides("rec_ippo", SYSTEM, given)
    keys = [word.partition("=")[0] for word in words]
    assert len(keys) == len(set(keys))
    assert words[-2:] == given


@pytest.mark.parametrize(
    ("given", "evaluations"),
    [([], 5), (["system.total_timesteps=512"], 1), (["system.total_timesteps=1024"], 2),
     (["system.total_timesteps=5120"], 10), (["system.rollout_length=1"], 10)],
)  # fmt: skip
def test_evaluations_divide_updates_and_are_fewer(given, evaluations):
    """195 updates of 256 steps are 5 times 39; Mava refuses as many evaluations as updates."""
    assert f"arch.num_evaluation={evaluations}" in mava.mava_overrides("rec_ippo", SYSTEM, given)


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="is 1 updates of 256 environment steps; Mava needs"):
        mava.mava_overrides("rec_ippo", SYSTEM, ["system.total_timesteps=511"])


def test_the_environment_can_be_made_by_its_id(monkeypatch):
    registry, types = type(sys)("mava.utils.make_env"), type(sys)("mava.types")
    registry._jumanji_registry = {}
    types.ObservationGlobalState = type("ObservationGlobalState", (GlobalObservation,), {})
    for module in (registry, types):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for _ in range(2):
        mava.register({"dataset": "digits", "network": "mlp"})
    assert mava.ENVIRONMENT_ID in jumanji.registered_environments()
    env = mava.make_for_mava(generator=None, dataset="digits", network="mlp", epochs=9)
    assert (env.network.name, env.training.epochs) == ("mlp", 9)
    entry = registry._jumanji_registry[mava.ENVIRONMENT_ID]
    assert entry["generator"]() is None
    observed = entry["wrapper"](env, add_global_state=True).observation_spec().generate_value()
    assert isinstance(observed, types.ObservationGlobalState)


@pytest.fixture
def no_traces():
    """Leaves imports as they were."""
    path, modules = list(sys.meta_path), dict(sys.modules)
    yield
    sys.meta_path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


@pytest.mark.usefixtures("no_traces")
def test_import_stubs_take_the_place_of_what_is_absent_alone():
    assert import_stubs.install(["json", "absent_package"]) == ["absent_package"]
    from absent_package.deep.down import Thing, spaces  # type: ignore[import-not-found]

    assert isinstance(Thing, type)
    assert isinstance(spaces.Box, type)
    with pytest.raises(ImportError, match=r"absent_package\.deep\.down\.Thing is needed"):
        Thing()
    with pytest.raises(ImportError, match=r"spaces\.Box is needed"):
        spaces.Box(3)
    assert importlib.util.find_spec("another_absent_package") is None


@pytest.mark.usefixtures("no_traces")
def test_a_package_that_fails_to_import_is_absent(tmp_path, monkeypatch):
    broken = tmp_path / "broken_package"
    broken.mkdir()
    (broken / "__init__.py").write_text("from . import part\nraise TypeError('protobuf')\n")
    (broken / "part.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert import_stubs.install(["broken_package"]) == ["broken_package"]
    from broken_package.part import log_value  # type: ignore[import-not-found]

    with pytest.raises(ImportError, match="log_value is needed"):
        log_value()


def test_names_are_added_where_they_are_missing(monkeypatch):
    module = type(sys)("renamed")
    module.There = there = object()
    monkeypatch.setitem(sys.modules, "renamed", module)
    import_stubs.add_names("renamed", ["There", "Gone"])
    assert module.There is there
    with pytest.raises(ImportError, match=r"renamed\.Gone is needed"):
        module.Gone()


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason=f"Mava is not installed; {mava.INSTALL}")
@pytest.mark.parametrize("name", ["rec_ippo", "rec_mappo", "ff_ippo"])
def test_mavas_own_systems_train(name, tmp_path):
    done = run_command(
        f"system={name}", "env=digits_cnn2", "scale=smoke", "network=mlp", "env.train_size=256",
        "system.total_timesteps=128", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "experiment completed" in done.stdout
