"""`systems.reproduce`: every experiment's config, and one experiment at the smallest sizes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf

from systems import reproduce as command
from systems.experiments.reports import REPORTS
from systems.experiments.run_store import FOLDER
from systems.options.commands import ReproduceOptions
from systems.policy.policy import FILE_NAME, load_policy
from systems.training.run import CHECKPOINTS
from tests.small import ARGUMENTS

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "configs" / "experiment").glob("*.yaml"))
SIZES = [
    *(f"++env.{k}={v}" for k, v in ARGUMENTS.items() if isinstance(v, (int, float))),
    "++env.dataset=digits",
    "++env.network=mlp",
    "++env.network_options.width=0.125",
    "++train_on.dataset=digits",
    "++system.actor_layers=[16]",
    "++system.post_recurrent_layers=[16]",
    "++system.critic_layers=[16]",
    "++system.num_envs=2",
    "++system.rollout_length=16",
    "++system.num_minibatches=2",
    "++system.total_timesteps=32",
]
RUN = [
    "experiment=table1",
    *SIZES,
    "methods=[constant,lion@0.01,ganno,velo]",
    "learning_rates=[0.001,0.01]",
    "seeds=[0,1]",
    "runs_at_once=2",
]


def compose(*overrides):
    with hydra.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = hydra.compose("reproduce", overrides=list(overrides))
    return OmegaConf.to_container(config, resolve=True)


def run(folder, *overrides):
    values = compose(*RUN, f"output_dir={folder}", *overrides)
    return command.run(ReproduceOptions.parse({**values, "name": "table1"}))


def records(folder):
    runs = json.loads((folder / "records.json").read_text())["runs"]
    return [{k: v for k, v in run.items() if k != "seconds"} for run in runs]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, on_one_device):
    return run(tmp_path_factory.mktemp("reproduce") / "table1")


def test_the_papers_tables_and_figures_are_there():
    expected = {f"table{i}" for i in range(1, 6)} | {f"figure{i}" for i in (1, 2, 3, 5, 6, 7)}
    assert set(EXPERIMENTS) == expected | {"peaks", "suite"}


@pytest.mark.parametrize("scale", ["smoke", "cpu", "paper"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_well_formed(name, scale):
    values = compose(f"experiment={name}", f"scale={scale}")
    options = ReproduceOptions.parse({**values, "name": name})
    experiment, agents = options.experiment, options.agents
    assert set(agents) <= set(experiment.methods)
    assert len(command._rows(experiment, agents)) == len(experiment.methods)
    assert not re.search("cnn|resnet|cifar|mnist", experiment.title, re.IGNORECASE)
    assert experiment.report in REPORTS


@pytest.mark.slow
def test_a_table_has_every_row_and_what_it_was_made_of(finished):
    text = (finished / "table.md").read_text()
    for name in ("constant", "Lion, λ = 0.01", "GANNO", "VeLO"):
        assert f"| {name} |" in text, text
    assert "not available" in text
    assert (finished / "comparison.png").stat().st_size > 10_000
    runs = records(finished)
    assert len(runs) == 3 * 2 * 2
    assert {run["weight_decay"] for run in runs if run["method"].startswith("Lion")} == {0.01}
    assert {run["weight_decay"] for run in runs if run["method"] == "constant"} == {0.1}
    (agents,) = (finished / "agents").iterdir()
    assert load_policy(agents).information["training"]["env_steps"] == 32
    timed = json.loads((finished / "records.json").read_text())["runs"]
    assert all(run["seconds"] > 0 for run in timed)


@pytest.mark.slow
def test_finished_runs_are_not_made_again(finished, monkeypatch, capsys):
    before = records(finished)
    monkeypatch.setattr("ganno_env.evaluation.rollout.GridRunner._episodes", None)
    run(finished)
    assert "12 runs, 12 of them made before" in capsys.readouterr().out
    assert records(finished) == before


@pytest.mark.slow
def test_shards_share_the_runs(finished, tmp_path, capsys):
    for shard in (1, 0):
        run(tmp_path / "out", "methods=[constant]", f"shard={shard}", "num_shards=2")
        assert "table1: 2 runs" in capsys.readouterr().out
    alone = [run for run in records(finished) if run["method"] == "constant"]
    assert records(tmp_path / "out") == alone


@pytest.mark.slow
def test_a_killed_experiment_goes_on_and_its_records_are_the_same(finished, tmp_path):
    folder = tmp_path / "killed"
    shutil.copytree(finished / "agents", folder / "agents")
    options = [*RUN, f"output_dir={folder}"]
    command = [sys.executable, "-m", "systems.reproduce", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"})
    deadline = time.monotonic() + 120
    while not list(folder.glob(f"{FOLDER}/*.npz")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(list(folder.glob(f"{FOLDER}/*.npz")))
    assert 0 < kept < 12
    run(folder)
    assert records(folder) == records(finished)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointed", [True, False])
def test_a_training_that_was_interrupted_is_finished(finished, tmp_path, checkpointed):
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    (agents,) = (folder / "agents").iterdir()
    shutil.rmtree(folder / FOLDER)
    (agents / FILE_NAME).unlink()
    if not checkpointed:  # killed after its first metrics and before its first checkpoint
        shutil.rmtree(agents / CHECKPOINTS)
    run(folder, "methods=[ganno]")
    assert records(folder) == [r for r in records(finished) if r["method"] == "GANNO"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["methods=[constnt]"], "unknown method 'constnt'.*and agents: ganno"),
        (["methods=[lion@x]"], "write NAME, NAME@DECAY"),
        (["methods=[]"], "methods=.*without repetition"),
        (["learning_rates=[2]"], r"learning_rates=\[2\]; .*numbers from 0 to 1"),
        (["seeds=[-1]"], r"seeds=\[-1\]; .*whole numbers from 0"),
        (["checkpoint=nowhere"], "there is no policy at nowhere"),
        (["++env.epochs=3"], "made otherwise.*epochs: 1.7 there, 3 now"),
        (["split=validation"], "made otherwise.*split: 'test' there, 'validation' now"),
        (["test_every_step=true"], "test_every_step: False there, True now"),
        (["title='{x}'"], "title='{x}' has 'x' in braces"),
        (["agents.ganno.name=constant"], "'constant' and 'ganno' are both called 'constant'"),
        (["shard=2", "num_shards=2"], "choose from 0 to 1"),
        (["report=tabel"], "unknown report 'tabel'.*did you mean 'table'"),
        (["++env.dataset=nothing"], "unknown dataset 'nothing'"),
        (
            ["+agents.ganno.polcy=x"],
            "unknown option 'agents.ganno.polcy'.*agents.ganno.name",
        ),
        (["runs_at_once=0"], "runs_at_once=0; it must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_one_clear_error(finished, overrides, message):
    with pytest.raises(ValueError, match=message):
        run(finished, *overrides)


def test_agents_still_to_be_trained_are_not_trained_by_every_shard(tmp_path):
    with pytest.raises(ValueError, match=r"\['ganno'\] are still to be trained"):
        run(tmp_path / "out", "num_shards=2")


@pytest.mark.slow
@pytest.mark.usefixtures("on_one_device")
def test_without_agents_their_row_says_so(tmp_path):
    folder = run(tmp_path / "out", "methods=[constant,ganno]", "checkpoint=none", "seeds=[0]")
    assert "train agents (checkpoint=train)" in (folder / "table.md").read_text()
    assert {run["method"] for run in records(folder)} == {"constant"}
