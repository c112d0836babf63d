"""The one way into every command: what is refused, how, how soon, and what help says."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ganno.options import dotted_names
from ganno_env import ENVIRONMENTS
from ganno_env.actions import JointActions
from ganno_env.datasets import DATASETS
from ganno_env.networks import NETWORKS
from ganno_env.viewer import TrainingViewer
from systems import demo, evaluate, learning, mava, reproduce, train
from systems.command_line import arguments
from systems.command_line.command import Command
from systems.command_line.help import options_below
from systems.loggers import LOGGERS
from systems.ppo.registry import SYSTEMS
from tests.systems.commands import refused

ROOT = Path(__file__).resolve().parents[2]
MODULES = {m.COMMAND.module: m for m in (demo, evaluate, learning, mava, reproduce, train)}
TINY = ["env.train_size=200", "env.validation_size=40", "env.test_size=40", "env.epochs=4"]


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("command", "given", "message"),
    [
        ("train", "epoch=3", "unknown option 'epoch' (did you mean 'env.epochs'?)"),
        ("train", "optimizer=sgd", "did you mean 'env.optimiser'"),
        ("train", "width=3", "did you mean 'env.network_options.width'"),
        ("train", "seeds=3", "did you mean 'seed'"),
        ("train", "+seeds=3", "did you mean 'seed'"),
        ("train", "distributed.timeot=3", "did you mean 'distributed.timeout'"),
        ("train", "env=digts_cnn2", "unknown environment 'digts_cnn2' (did you mean 'digits_cnn2'"),
        ("train", "network=cnn6", "unknown network 'cnn6' (did you mean"),
        ("train", "system=rec_mapo", "unknown system 'rec_mapo' (did you mean 'rec_mappo'?)"),
        ("train", "scale=smok", "unknown scale 'smok' (did you mean 'smoke'?); known: cpu, paper"),
        ("train", "formulation=papr", "unknown formulation 'papr' (did you mean 'paper'?)"),
        ("train", "logger=[consol]", "unknown logger 'consol' (did you mean 'console'?)"),
        ("train", "logger.wandb.mode=offline", "logger.wandb has options, and is not among"),
        ("train", "seed=abc", "seed='abc'; it must be a whole number"),
        ("train", "seed=-1", "seed=-1; it must be a whole number from 0"),
        ("train", "seed=1,2", "Ambiguous value for argument 'seed=1,2'"),
        ("train", "seed=[1", "'seed=[1' cannot be read"),
        ("train", "seed", "'seed' has no value; options are given as NAME=VALUE"),
        ("train", "--seed=3", "unrecognized arguments: --seed=3"),
        ("train", "output_dir=${nowhere}", "output_dir: Interpolation key 'nowhere' not found"),
        ("train", "hydra/launcher=slrm", "unknown hydra/launcher 'slrm'"),
        ("train", "hydra.job.num=abc", "Value 'abc' of type 'str' could not be converted"),
        ("train", "plugins=[no_such]", "plugins: the module 'no_such' cannot be imported"),
        ("evaluate", "env=digits_cnn2", "checkpoint=VALUE is missing; it must be pretrained"),
        ("evaluate", "checkpoint=pretraned", "did you mean 'pretrained'"),
        ("evaluate", f"checkpoint={ROOT / 'README.md'}", "it is no .npz file"),
        ("evaluate", "system.gamma=0.9", "unknown option 'system.gamma'"),
        ("reproduce", "scale=smoke", "You must specify 'experiment'"),
        ("reproduce", "experiment=tabel1", "(did you mean 'table1'?); known: figure1"),
        ("reproduce", "env=digits_cnn2", "You must specify 'experiment'"),
        ("learning", "runs=runs/x", "runs='runs/x'; it must be {NAME: [FOLDER, ...]}"),
        ("learning", "runs={a: [b", "runs='{a: [b'; it cannot be read"),
        ("learning", "seed=1", "unknown option 'seed'; known: plugins, runs, output_dir"),
        ("demo", "steps=3", "unknown option 'steps'"),
        ("demo", "total_timesteps=3", "total_timesteps=3 is less than one rollout"),
        ("mava", "system=rec_ipo", "unknown system 'rec_ipo' (did you mean 'rec_ippo'?)"),
    ],
)
def test_a_mistake_is_answered_in_one_line(capsys, command, given, message):
    assert message in refused(capsys, MODULES[f"systems.{command}"].main, given)


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("checkpoint=pretraned", "did you mean 'pretrained'"),
        ("agents.ganno.checkpont=none", "did you mean 'agents.ganno.checkpoint'"),
        ("methods=[cosin]", "unknown method 'cosin' (did you mean 'cosine'?)"),
        ("network=mlp", "unknown option 'network' (did you mean 'env.network'?)"),
    ],
)
def test_a_mistake_about_an_experiment_is_answered_in_one_line(capsys, given, message):
    said = refused(capsys, reproduce.main, "experiment=table1", "env.dataset=digits", given)
    assert message in said


@pytest.mark.usefixtures("work")
def test_a_missing_package_is_missed_before_data_are_read(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    said = refused(capsys, train.main, "logger=[jsonl,wandb]", "env.data_dir=nowhere")
    assert "this logger needs the package 'wandb'" in said


@pytest.mark.usefixtures("work")
def test_an_error_is_shown_whole_on_request(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="seed='abc'"):
        train.main(["seed=abc"])
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


NOT_EVEN_JAX = """
import sys
from systems import demo, evaluate, mava, reproduce, train
for main, argument in (
    (train.main, "seed=abc"), (train.main, "scale=smok"), (train.main, "system.gama=1"),
    (train.main, "seed"), (train.main, "resume=nowhere"), (evaluate.main, "seeds=0"),
    (reproduce.main, "experiment=tabel1"), (demo.main, "total_timesteps=x"),
    (mava.main, "system=ppo"),
):
    try:
        main([argument])
    except SystemExit as ended:
        assert ended.code == 1
    slow = {"jax", "jumanji", "matplotlib", "scipy", "ganno_env"} & set(sys.modules)
    assert not slow, (argument, slow)
"""


def test_mistakes_are_answered_before_anything_slow_is_imported(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", NOT_EVEN_JAX], capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 9


def exit_code(main, given):
    """None if the command came to its end."""
    try:
        main(given)
    except SystemExit as ended:
        return ended.code
    return None


ODD = [
    "abc", "-1", "0", "1.5", "inf", "nan", "null", "true", "[]", "[1,2]", "{}", "{a: 1}", "''",
    "1e400", "[", "=", "é", "${x}", "a b", "1,2", "[null]", "{a: [1, {b: 2}]}", "9" * 20,
    "-5", "x(1)", "'", "\\", "0.1", "3", "cosine", "[paper]",
]  # fmt: skip
"""Values that some option takes, and most do not."""


def option_sets(count: int, seed: int = 0):
    """Random options of random commands, most of which have something wrong with them."""
    chosen = random.Random(seed)
    names = {
        module: [
            *module.COMMAND.names,
            *dotted_names(module.COMMAND.options.options()),
            *(row.name for opened in module.COMMAND.open for row in options_below(opened)),
        ]
        for module in (train, evaluate, reproduce, learning)
    }
    needed = {
        train: TINY,
        evaluate: ["checkpoint=pretrained", *TINY],
        reproduce: ["experiment=figure5", "env.dataset=digits", *TINY],
        learning: [],
    }
    modules = [train] * 6 + [evaluate] * 2 + [reproduce] * 2 + [learning]
    for _ in range(count):
        module = chosen.choice(modules)
        given = [
            f"{name if chosen.random() < 0.9 else name[:-1]}={chosen.choice(ODD)}"
            for name in chosen.sample(names[module], chosen.choice([1, 1, 1, 2, 3]))
        ]
        yield module, [*needed[module], *given]


@pytest.mark.slow
def test_any_options_run_or_end_in_one_line(work, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("GANNO_DATA_DIR", raising=False)
    ran = 0
    for number, (module, given) in enumerate(option_sets(100)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        code = exit_code(module.main, given)
        errors = capsys.readouterr().err
        if code is None:
            ran += 1
            continue
        assert (code, errors.count("\n")) == (1, 1), (given, errors)
        assert errors.startswith("error: "), (given, errors)
        assert not list(folder.iterdir()), given
    assert 2 <= ran <= 60
    assert work


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_help_has_every_option_and_choice(capsys, module):
    module.main(["--help"])
    page, errors = capsys.readouterr()
    assert errors == ""
    command: Command = module.COMMAND
    rows = [row for opened in command.open for row in options_below(opened)]
    for row in rows:
        assert row.name.startswith("train_on.") or f"\n  {row.name}=" in page, row.name
        assert row.description, row.name
    for name, option in command.options.options().items():
        assert option.description, name
    shown = {line.partition("=")[0].strip() for line in page.splitlines() if "=" in line}
    for name in command.names:
        opened = name in command.open or name == "env"
        assert name in shown or opened or any(s.startswith(f"{name}.") for s in shown), name
    for choice, registry in (("env", DATASETS), ("network", NETWORKS), ("system", SYSTEMS)):
        assert choice not in command.choices or all(member in page for member in registry)
    assert "logger" not in command.open or all(f"{name}" in page for name in LOGGERS)
    assert "env" not in command.choices or all(name in page for name in ENVIRONMENTS)
    for group in command.groups:
        assert all(f"{path.stem}: " in page for path in (ROOT / "configs" / group).iterdir())
    assert max(map(len, page.splitlines())) <= 120


def test_flags_and_options_come_in_any_order():
    parsed = arguments.parse(["seed=1", "-m", "output_dir=-x=[", "--config-dir", "d", "keep=1"])
    assert parsed.flags == ["-m", "--config-dir", "d"]
    assert parsed.overrides == ["seed=1", "output_dir=-x=[", "keep=1"]
    assert parsed.sweeps
    assert not parsed.help


def test_what_is_no_state_is_not_drawn():
    for odd in ("x", 7, None, [1], {"a": 1}):
        with pytest.raises(ValueError, match="must be a state, or an episode's states in order"):
            TrainingViewer(["layer"], JointActions(())).render(odd)
