"""The demo and the evaluation command, at the smallest sizes there are."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ganno_env import make_env
from systems import demo, evaluate
from systems.evaluate import inherit
from systems.options.commands import DemoOptions
from systems.policy.policy import load_policy
from systems.ppo.config import PPOConfig
from systems.training import devices
from systems.utils.errors import StorageError
from systems.utils.files import fresh_folder
from tests.small import ARGUMENTS
from tests.systems.commands import refused

ROOT = Path(__file__).resolve().parents[2]
SIZES = [
    *(f"env.{k}={v}" for k, v in ARGUMENTS.items() if isinstance(v, (int, float))),
    "env.network_options.width=0.0625",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, on_one_device):
    """A demo that trains for one rollout, and the shallowest network that is deeper."""
    small = partial(PPOConfig, actor_layers=(16,), post_recurrent_layers=(16,), critic_layers=(16,))
    parent = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.setattr(demo, "ENVIRONMENT", ARGUMENTS)
        patch.setattr(demo, "DEEPER", "cnn3")
        patch.setattr(demo, "PPOConfig", small)
        patch.setattr(devices, "configure", partial(devices.configure, 1))
        patch.setattr(demo, "SEEDS", (0, 1))
        patch.setattr(demo, "LEARNING_RATES", (0.001, 0.01))
        demo.run(DemoOptions(total_timesteps=256, output_dir=parent / "demo"))
    return parent, said.getvalue()


@pytest.mark.slow
def test_the_demo_prints_its_table_and_writes_it_all(folder):
    parent, output = folder
    for method in ("constant", "cosine", "sgdr", "random", "GANNO"):
        assert any(line.split()[:1] == [method] for line in output.splitlines()), method
    assert "Meta-training cost 256 environment steps, 2,560 gradient updates" in output
    for name in ("table.md", "records.json", "comparison.png", "schedule.png"):
        assert (parent / "demo" / name).stat().st_size > 0
    assert load_policy(parent / "demo" / "training").action_names[0] == "noop"
    runs = json.loads((parent / "demo" / "records.json").read_text())["runs"]
    assert len(runs) == 5 * 2 * 2
    assert len(runs[0]["controls"]["learning_rate"][0]) == 3  # an agent for each layer


def test_the_demos_own_deeper_network_has_more_agents():
    trained_on, deeper = (
        make_env(**demo.ENVIRONMENT | {"network": name}).num_agents
        for name in (demo.ENVIRONMENT["network"], demo.DEEPER)
    )
    assert (trained_on, deeper) == (2, 5)


def test_a_second_run_gets_a_folder_of_its_own(tmp_path):
    names = [fresh_folder(tmp_path, "demo").name for _ in range(3)]
    assert names == ["demo", "demo-2", "demo-3"]
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not make"):
        fresh_folder(tmp_path / "file", "demo")


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_evaluation_runs_a_policy_on_another_network(folder, tmp_path, capsys):
    checkpoint = folder[0] / "demo" / "training"
    output_dir = tmp_path / "out"
    arguments = [
        f"checkpoint={checkpoint}", "env=digits_cnn2", "network=mlp", *SIZES,
        "learning_rates=[0,0.01]", "seeds=[0]", "schedules=[rex]", f"output_dir={output_dir}",
    ]  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-m", "systems.evaluate", *arguments],
        cwd=ROOT, env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "random, actions of GANNO" in result.stdout
    text = (output_dir / "table.md").read_text()
    assert text.count("| rex |") == 1
    assert "Test accuracy (%) of mlp on digits" in text
    # As an interruption before the report leaves it; a run that was under way is lost.
    for left in ("table.md", "records.json", "comparison.png"):
        (output_dir / left).unlink()
    next((output_dir / "runs").iterdir()).unlink()
    evaluate.main(arguments)
    assert "6 runs, 5 of them made before" in capsys.readouterr().out
    assert (output_dir / "table.md").read_text() == text
    message = refused(capsys, evaluate.main, *arguments, "greedy=true")
    assert "made otherwise (options.greedy: None there, True now)" in message


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_evaluation_leaves_what_is_not_its_own(folder, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    given = (f"checkpoint={folder[0] / 'demo' / 'training'}", f"output_dir={tmp_path / 'full'}")
    message = refused(capsys, evaluate.main, *given, *SIZES)
    assert "has files in it already that are no evaluation's" in message


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "checkpoint=VALUE is missing; it must be pretrained, a policy's file"),
        (["checkpoint=nowhere"], "there is no policy at nowhere"),
        (["checkpoint={policy}", "schedules=[cosin]"], "did you mean 'cosine'"),
        (["checkpoint={policy}", "learning_rates=[2]"], "numbers from 0 to 1"),
        (["checkpoint={policy}", "seeds=[]"], "it must be a list without repetition"),
        (["checkpoint={policy}", "env.features=log"], "the policy was trained on other features"),
        (["checkpoint={policy}", "env.batchsize=3"], "did you mean 'env.batch_size'"),
    ],
)
def test_bad_arguments_are_one_line(folder, capsys, arguments, message):
    policy = folder[0] / "demo" / "training"
    given = [argument.format(policy=policy) for argument in arguments]
    assert message in refused(capsys, evaluate.main, *given)


def test_what_agents_see_is_the_policys_unless_given():
    trained = {"features": "log", "network": "cnn2", "actions": ["noop", "*2"]}
    assert inherit({"network": "cnn5"}, trained) == {
        "features": "log",
        "actions": ["noop", "*2"],
        "network": "cnn5",
    }
    assert inherit({"features": "paper"}, trained)["features"] == "paper"
