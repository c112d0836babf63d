"""The console command, `ganno`."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ganno_env.datasets import download
from systems import cli

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, cwd, code="from systems.cli import main; main()", **variables):
    """`ganno` in a process of its own, from another folder, as an installed one is used."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
    )


def completions(line, cwd):
    done = run("-sc", "query=bash", cwd=cwd, COMP_LINE=line)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_it_is_installed_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"ganno": "systems.cli:main"}


def test_every_command_of_the_package_is_listed_and_there():
    modules = {entry.module for entry in cli.COMMANDS.values()}
    commands = {
        f"systems.{path.stem}"
        for path in (ROOT / "systems").glob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    assert modules == commands - {"systems.cli"} | {"ganno_env.datasets.download"}
    assert all(callable(importlib.import_module(module).main) for module in modules)


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_the_commands_are_listed(arguments, capsys):
    cli.main(arguments)
    page = capsys.readouterr().out
    assert all(f"\n  {name} " in page for name in cli.COMMANDS)


@pytest.mark.parametrize("arguments", [["--help"], ["trian"]])
def test_what_needs_nothing_imports_nothing_slow(arguments, tmp_path):
    code = (
        "import sys; from systems.cli import main\n"
        "try: main()\n"
        "finally: print([n for n in ('hydra', 'jax', 'numpy') if n in sys.modules])"
    )
    done = run(*arguments, code=code, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_answered_in_one_line(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["trian"])
    assert exit_.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: unknown command 'trian' (did you mean 'train'?); known: train, ")


@pytest.mark.parametrize("name", ["train", "evaluate", "reproduce", "learning", "demo", "mava"])
def test_a_command_gets_the_arguments_after_its_name(name, monkeypatch):
    given = []
    module = importlib.import_module(cli.COMMANDS[name].module)
    monkeypatch.setattr(module, "main", given.append)
    cli.main([name, "seed=1", "--help"])
    assert given == [["seed=1", "--help"]]


def test_data_downloads(monkeypatch, capsys):
    monkeypatch.setattr(download, "download", lambda name, folder: folder / f"{name}.npz")
    cli.main(["data", "cifar10", "--folder", "here"])
    assert capsys.readouterr().out == f"{Path('here') / 'cifar10.npz'}\n"


def test_it_works_from_any_folder(tmp_path):
    arguments = ("train", "env=digits_mlp", "scale=smoke", "--cfg", "job")
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  name: digits_mlp\n" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["train"], ["evaluate"], []])
def test_hydras_completion_can_be_installed_for_the_shell(command, tmp_path):
    done = run(*command, "-sc", "install=bash", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip().endswith("-F hydra_bash_completion ganno")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ganno ", [*cli.COMMANDS]),
        ("ganno re", ["reproduce"]),
        ("ganno nothing ", []),
        ("ganno data ", []),
        ("ganno train scale=", ["scale=cpu", "scale=paper", "scale=smoke"]),
        ("ganno train env=cifar10_cnn5 network=mlp num_", ["num_devices="]),
        ("ganno train output_dir=a=b checkpoint_", ["checkpoint_every="]),
        ("ganno train resume=no_such_run checkpoint_", ["checkpoint_every="]),
        ("ganno reproduce scale=cpu experiment=table", [f"experiment=table{n}" for n in "12345"]),
    ],
)  # fmt: skip
def test_commands_and_options_are_completed(line, expected, tmp_path):
    assert completions(line, tmp_path) == expected
