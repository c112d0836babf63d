"""The examples run, at a size that shows no more than that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compilation import ROOT

WAYS = {"pytorch_cifar10": ("torch", "GannoLR"), "optax_text": ("optax", "schedule_by_agents")}


@pytest.mark.slow
@pytest.mark.parametrize("example", WAYS)
def test_an_example_runs(example: str, tmp_path: Path):
    package, way = WAYS[example]
    pytest.importorskip(package, reason=f"{package} is an extra")
    command = [sys.executable, str(ROOT / "examples" / f"{example}.py"), "--smoke"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "table.md").read_text()
    assert table in done.stdout
    assert f"| {way} |" in table
    assert {file.name for file in tmp_path.iterdir()} == {
        "table.md", "runs.csv", "by_rate.png", "rates_from_0.001.png",
    }  # fmt: skip
