"""How many devices a CPU is: as many as the user says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compilation import as_users_do

ROOT = Path(__file__).resolve().parents[2]
CODE = "from systems.training.devices import configure; print(configure(3, num_envs=6).size)"
FORCED = {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}


@pytest.mark.parametrize(
    ("chosen", "warning"),
    [
        (FORCED, ""),
        ({"JAX_NUM_CPU_DEVICES": "3"}, ""),
        (
            {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_NUM_CPU_DEVICES": "3"},
            "device_count=2 in XLA_FLAGS is overruled by JAX_NUM_CPU_DEVICES=3",
        ),
    ],
    ids=["XLA", "JAX", "both"],
)
def test_what_the_user_sets_wins_or_is_named(chosen, warning):
    environment = as_users_do()
    del environment["XLA_FLAGS"]
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, cwd=ROOT, check=False,
        env=environment | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)} | chosen,
    )  # fmt: skip
    assert done.stdout == "3\n", done.stderr
    assert warning in done.stderr
