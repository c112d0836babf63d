"""Choices that follow the registries, what runs are called, and modules of one's own."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ganno import plugins
from ganno_env import ENVIRONMENTS
from ganno_env.datasets import DATASETS
from ganno_env.networks import NETWORKS
from ganno_env.registration import by_name
from systems import train
from tests.inputs import dataset_for

ROOT = Path(__file__).resolve().parents[2]
TINY = ["env.train_size=200", "env.validation_size=40", "env.test_size=40", "env.epochs=4"]


IMAGES = [name for name, spec in DATASETS.items() if spec.task == "image_classification"]


@pytest.mark.parametrize("name", [f"{d}_{n}" for d in IMAGES for n in ("mlp", "vit")])
def test_any_images_go_with_any_network_of_images(name):
    dataset, _, network = name.rpartition("_")
    assert by_name({"name": name}) == {"dataset": dataset, "network": network}
    assert by_name({"name": name, "network": "cnn5"})["network"] == "cnn5"


def test_a_dataset_goes_only_with_networks_that_take_it():
    assert by_name({"name": "text_transformer"}) == {"dataset": "text", "network": "transformer"}
    for name, message in (
        ("digits_transformer", r"'transformer' takes sequences of tokens, not \[8, 8, 1\] numbers"),
        ("text_cnn2", r"'cnn2' takes images .*, not \[64\] tokens.*that do take them: transformer"),
        ("text_mlp", "'mlp' takes arrays of numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            by_name({"name": name})
    # With a task of one's own, or a network instead of the named one, nothing is known beforehand.
    by_name({"name": "text_mlp", "task": "mine"})
    by_name({"name": "text_mlp", "network": "transformer"})


def test_ids_are_environments_too():
    for name, made_of in ENVIRONMENTS.items():
        assert by_name({"name": name, "batch_size": 8}) == made_of | {"batch_size": 8}


@pytest.mark.parametrize("network", list(NETWORKS))
def test_every_network_is_found_and_its_run_named_after_it(work, network):
    dataset = dataset_for(network)
    train.main([*TINY, f"env.dataset={dataset}", f"network={network}", "system=rec_mappo"])
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith(f"{dataset}_{network}-rec_mappo-")
    assert work[0]["env"].network.name == network
    assert work[0]["environment"]["network"] == network


def test_a_sweep_takes_networks_by_name_and_names_its_runs_after_them(work):
    given = ["-m", "network=mlp,cnn3", "env=digits_cnn2", "hydra.sweep.dir=a,[b]=", *TINY]
    for resumes in (False, True):
        train.main(given)
        ran = work[-2:]
        assert [run["env"].network.name for run in ran] == ["mlp", "cnn3"]
        assert [run["output_dir"].relative_to(Path("a,[b]=").absolute()).name for run in ran] == [
            "digits_mlp-rec_ippo-0",
            "digits_cnn3-rec_ippo-1",
        ]
        assert [run["resume"] for run in ran] == [resumes, resumes]


def test_a_run_of_a_sweep_that_fails_is_named_and_the_others_go_on(work, capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(["-m", "seed=-1,1", "hydra.sweep.dir=sweep", *TINY])
    assert ended.value.code == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("error: run 0 (")
    assert "seed=-1; it must be a whole number" in errors[0]
    assert not any("Traceback" in line for line in errors)
    assert [run["seed"] for run in work] == [1]


PLUGIN = """
    from ganno_env.networks import NETWORKS, mlp
    from ganno_env.observations import FEATURES
    from ganno_env.rewards import REWARDS
    from ganno_env.schedules import SCHEDULES
    from systems.ppo import rec_ippo
    from systems.ppo.registry import SYSTEMS

    NETWORKS.add("own_net", mlp)
    FEATURES.add("own_feature", FEATURES["progress"])
    REWARDS.add("own_reward", REWARDS["accuracy"])
    SCHEDULES.add("own_schedule", SCHEDULES["constant"])
    SYSTEMS.add("own_system", rec_ippo.make_learner)
"""


@pytest.mark.slow
def test_a_module_of_ones_own_is_trained_with(tmp_path):
    (tmp_path / "my_module.py").write_text(textwrap.dedent(PLUGIN))
    done = subprocess.run(
        [
            sys.executable, "-m", "systems.train", "plugins=[my_module]", "env=digits_own_net",
            "system=own_system", "env.reward=own_reward", "env.features=[own_feature,progress]",
            *TINY, "env.updates_per_step=2", "system.rollout_length=8", "num_devices=1",
            "system.total_timesteps=32", "env.network_options.widths=[4]",
            "system.actor_layers=[16]", "system.post_recurrent_layers=[16]",
            "system.critic_layers=[16]",
        ],
        capture_output=True, text=True, cwd=tmp_path, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("digits_own_net-own_system-")
    assert (folder / "policy.npz").is_file()


def test_plugins_are_imported_wherever_they_are_named(tmp_path, monkeypatch):
    (tmp_path / "one_of_mine.py").write_text("seen = True")
    (tmp_path / "broken_of_mine.py").write_text("raise RuntimeError('no luck')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    point = importlib.metadata.EntryPoint("mine", "one_of_mine", plugins.GROUP)
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [point] if group == plugins.GROUP else []
    )
    plugins.load()
    assert sys.modules.pop("one_of_mine").seen
    plugins.load("one_of_mine")
    assert sys.modules.pop("one_of_mine").seen
    with pytest.raises(
        ValueError, match=r"'broken_of_mine' cannot be imported \(RuntimeError: no l"
    ):
        plugins.load(["one_of_mine", "broken_of_mine"])
