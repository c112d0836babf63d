import json
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import hydra
import pytest
from omegaconf import OmegaConf

from ganno_env import make_env
from ganno_env.registration import by_name
from systems import train as command
from systems.loggers import LOGGERS
from systems.options.commands import TrainOptions
from systems.training import loop as training
from systems.utils.files import fresh_folder
from tests.compilation import as_users_do

ROOT = Path(__file__).resolve().parents[2]
FORMULATIONS = sorted(path.stem for path in (ROOT / "configs" / "formulation").glob("*.yaml"))


def compose(*arguments):
    with hydra.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        options = hydra.compose("train", overrides=command.COMMAND.translate(arguments))
        return TrainOptions.parse(OmegaConf.to_container(options, resolve=True))


@pytest.mark.parametrize("scale", ["smoke", "cpu", "paper"])
@pytest.mark.parametrize("system", ["rec_ippo", "rec_mappo"])
def test_scales_and_systems_fit_together(scale, system):
    options = compose(f"scale={scale}", f"system={system}", "env=fashion_mnist_cnn2")
    assert options.system.name == system
    assert options.system.config.num_updates > 0
    assert list(options.loggers) == ["console", "jsonl"]


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_formulations_are_environments_that_a_system_fits(formulation):
    options = compose(f"formulation={formulation}", "env=digits_cnn2")
    assert options.system.config.num_updates > 0
    env = make_env(**command.training_environment(options, []))
    papers = make_env(**by_name(compose("env=digits_cnn2").env))
    assert (env.reward is papers.reward) == (formulation == "paper")


def test_an_option_that_a_formulation_overrules_is_refused():
    options = compose("formulation=absolute_rates_short", "env.epochs=3")
    with pytest.raises(ValueError, match=r"env.epochs=3 has no effect.*give train_on.epochs=3"):
        command.training_environment(
            options, ["formulation=absolute_rates_short", "++env.epochs=3"]
        )
    options = compose("formulation=absolute_rates_short", "train_on.epochs=3", "env.batch_size=16")
    environment = command.training_environment(
        options, ["++train_on.epochs=3", "++env.batch_size=16"]
    )
    assert (environment["epochs"], environment["batch_size"]) == (3, 16)


def test_several_loggers():
    options = compose("logger=[jsonl,marl_eval,wandb]", "logger.wandb.project=other")
    assert list(options.loggers) == ["jsonl", "marl_eval", "wandb"]
    assert options.loggers["wandb"] == {"project": "other"}
    assert compose("logger=console").loggers == {"console": {}}
    with pytest.raises(ValueError, match=r"logger.wandb has options, and is not among"):
        compose("logger.wandb.project=other")


def test_any_option_of_the_system_and_the_environment_is_let_through():
    options = compose("env.features=[progress]", "system.gamma=0.5")
    assert options.env["features"] == ("progress",)
    assert options.system.gamma == 0.5
    with pytest.raises(ValueError, match=r"unknown option 'system.gama' .*'system.gamma'\?"):
        compose("system.gama=0.9")


def test_resuming_brings_back_the_options_that_are_not_given_again(tmp_path):
    begun_with = ["scale=smoke", "++system.gamma=0.5", "seed=3"]
    (tmp_path / command.OVERRIDES).write_text(json.dumps(begun_with))
    completed = command.COMMAND.translate([f"resume={tmp_path}", "system.gamma=0.9"])
    assert completed == ["scale=smoke", "seed=3", f"resume={tmp_path}", "++system.gamma=0.9"]
    assert command.COMMAND.translate(["resume=null"]) == ["resume=null"]


def documented():
    """The training commands in the documents, continued lines joined."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                _, found, arguments = line.partition("-m systems.train")
                if found:
                    yield pytest.param(arguments.strip(" &"), id=f"{path.name}:{arguments.strip()}")


@pytest.mark.parametrize("arguments", list(documented()))
def test_documented_options_exist(arguments):
    given = [a for a in shlex.split(arguments) if a != "-m" and not a.startswith("resume=")]
    ours = [a for a in given if not a.startswith(("hydra/", "hydra."))]
    # A sweep's values, one by one.
    single = [a if "[" in a else a.partition(",")[0] for a in ours]
    assert set(compose(*single).loggers) <= set(LOGGERS)


@pytest.mark.usefixtures("in_process")
def test_a_sweep_gives_each_run_a_folder_and_reports_the_one_that_failed(
    tmp_path, monkeypatch, capsys
):
    ran: list[tuple] = []

    def train(env, config, *, seed, output_dir, resume, **options):
        ran.append((seed, output_dir.name, resume))
        if seed == 1:
            raise ValueError("seed 1 is no good")
        (output_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
        return SimpleNamespace(stopped_by=None)

    monkeypatch.setattr(training, "train", train)
    names = [f"digits_cnn2-rec_ippo-{number}" for number in (0, 1)]
    for resumed in (False, True):
        ran.clear()
        with pytest.raises(SystemExit) as ended:
            command.main(["-m", "seed=1,2", f"hydra.sweep.dir={tmp_path / 'sweep'}"])
        assert ended.value.code == 1
        _, errors = capsys.readouterr()
        assert "error: run 0 (seed=1): seed 1 is no good\n" in errors
        assert "Traceback" not in errors
        assert ran == [(1, names[0], False), (2, names[1], resumed)]


def test_runs_begun_at_once_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        folders = set(pool.map(lambda _: fresh_folder(tmp_path / "runs", "run"), range(16)))
    assert len(folders) == len(list((tmp_path / "runs").iterdir())) == 16


def run(*arguments, env=None):
    return subprocess.run(
        [sys.executable, "-m", "systems.train", *arguments],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("system.gamma=2", "error: system.gamma=2; it must be a number from 0 to 1"),
        ("resume=nowhere", "error: resume=nowhere: there is no run to resume"),
        ("system=ppo", "rec_mappo"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(argument, message):
    done = run(argument)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_trains_and_resumes_on_digits(tmp_path):
    """Compiled as users compile, and as no other test is: what ships is run here too."""
    sizes = [
        "env=digits_cnn2", "scale=smoke", "network=mlp", "env.updates_per_step=2", "env.epochs=1",
        "env.train_size=128", "env.network_options={widths: [16]}", "system.rollout_length=8",
        "system.actor_layers=[16]", "system.post_recurrent_layers=[16]",
        "system.critic_layers=[16]", "num_devices=1",
    ]  # fmt: skip
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "systems.train", *sizes, f"output_dir={folder}"]
    process = subprocess.Popen(
        [*command, "system.total_timesteps=320000", "checkpoint_every=1000"],
        cwd=ROOT, env=as_users_do(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    metrics = folder / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text()):
        time.sleep(0.1)
    process.terminate()
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 128 + signal.SIGTERM, errors
    updates = len(metrics.read_text().splitlines())
    assert f"stopped by SIGTERM after update {updates} of 10000; go on with:" in errors
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "checkpoints", "config.yaml", "metrics.jsonl", "overrides.json", "policy.npz",
        "training.png",
    }  # fmt: skip
    more = f"system.total_timesteps={32 * (updates + 1)}"
    resumed = run(f"resume={folder}", more, env=as_users_do())
    assert resumed.returncode == 0, resumed.stderr
    assert "return, last tenth" in resumed.stderr
    assert len(metrics.read_text().splitlines()) == updates + 1
