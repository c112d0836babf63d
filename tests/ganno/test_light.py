"""`import ganno` brings NumPy alone, and what is missing says which extra has it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("jax", "optax", "torch", "pydantic", "jumanji", "matplotlib", "hydra", "rich")

WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {blocked}:
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
"""
"""What makes a process that has not got some packages, whatever is installed."""


def run(code, blocked=()):
    """What a fresh process says; its last line on standard error, if it fails."""
    program = WITHOUT.format(blocked=tuple(blocked)) + code
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def test_it_imports_numpy_alone_and_decides():
    code = (
        "import ganno, json\n"
        "agent = ganno.Agent('pretrained', ['convolutional', 'linear'], 1e-3)\n"
        "agent.decide(0.0, weight_norm=[8.0, 4.0], update_norm=[20.0, 15.0])\n"
        "ours = {'ganno', 'numpy'} | sys.stdlib_module_names\n"
        "print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules} - ours)))"
    )
    others = [name for name in json.loads(run(code, HEAVY)) if not name.startswith("_")]
    assert not set(others) & set(HEAVY), others


@pytest.mark.parametrize(
    ("module", "blocked", "extra"),
    [
        ("ganno_env", "jumanji", "env"),
        ("systems.train", "hydra", "systems"),
        ("ganno.torch", "torch", "torch"),
        ("ganno.optax", "optax", "optax"),
    ],
)
def test_what_is_missing_says_which_extra_has_it(module, blocked, extra):
    said = run(f"import {module}", [blocked])
    assert said == (
        f"ModuleNotFoundError: not installed: {blocked}; for all that is needed: "
        f"pip install 'ganno[{extra}]'"
    )
