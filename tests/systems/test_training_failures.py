"""Trainings that are refused before they begin, and some that fail on their way."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.loggers import LOGGERS
from systems.loggers.jsonl import read_records
from systems.policy.policy import load_policy
from systems.training import run as runs
from systems.training.loop import train
from systems.utils.errors import StorageError, TrainingDivergedError
from tests.systems.conftest import small_config
from tests.systems.short_runs import UPDATES, train_for
from tests.toys import Recall

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resume": True}, "resume needs output_dir"),
        ({"loggers": {"jsonl": None}}, r"loggers \['jsonl'\] write files"),
        ({"loggers": {"consol": None}}, r"\['consol'\]"),
        ({"keep": 0}, "keep=0; it must be a whole number of at least 1"),
        ({"seed": -1}, "seed=-1; it must be a whole number from 0"),
        ({"seed": "abc"}, "seed='abc'; it must be a whole number from 0"),
        ({"resume": 1}, "resume=1; it must be true or false"),
        ({"checkpont_every": 1}, "'checkpont_every' .*mean 'checkpoint_every'"),
        ({"checkpoint_every": 0}, "checkpoint_every=0"),
        ({"system": "ppo"}, "unknown system 'ppo'"),
    ],
)
def test_bad_arguments_are_refused_before_training(options, message):
    with pytest.raises(ValueError, match=message):
        train_for(UPDATES, **options)


def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"could not write .*file/run: Not a directory"):
        train_for(UPDATES, tmp_path / "file" / "run")


@pytest.mark.skipif(not Path("/proc/self/fdinfo").is_dir(), reason="needs Linux's /proc")
def test_a_folder_in_which_nothing_can_be_made_is_refused_before_training():
    with pytest.raises(StorageError, match=r"could not write /proc/self/fdinfo: "):
        train_for(UPDATES, Path("/proc/self/fdinfo"), loggers={})


def test_a_disk_that_fills_up_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    real = runs.checkpoints._digests

    def full(path):
        if "00000004" in str(path):
            raise OSError(28, "No space left on device")
        return real(path)

    monkeypatch.setattr(runs.checkpoints, "_digests", full)
    with pytest.raises(StorageError, match="No space left on device"):
        train_for(UPDATES, tmp_path, checkpoint_every=2)
    monkeypatch.undo()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["update_00000002"]
    assert train_for(UPDATES, tmp_path, resume=True).records[-1]["update"] == UPDATES


def test_gives_up_after_too_many_updates_that_are_not_finite(tmp_path, monkeypatch):
    class Poison(Recall):
        def step(self, state, action):
            state, timestep = super().step(state, action)
            return state, timestep.replace(reward=jnp.full_like(timestep.reward, jnp.nan))

    finished = []

    class Open:
        def __init__(self, run):
            pass

        def log(self, record):
            assert not finished

        def finish(self, summary):
            finished.append(summary["status"])

    monkeypatch.setitem(LOGGERS._members, "open", Open)
    loggers = {"jsonl": None, "open": None}
    with pytest.raises(TrainingDivergedError, match=r"3 updates in a row .* are in .*Try lower"):
        train(Poison(), small_config(), output_dir=tmp_path, max_skipped_updates=3, loggers=loggers)
    assert [status.partition(":")[0] for status in finished] == ["failed"]
    assert "TrainingDivergedError" in finished[0]
    records = read_records(tmp_path / "metrics.jsonl")
    assert [r["skipped_updates"] for r in records] == [1, 2, 3]
    assert np.isnan(records[0]["reward"])
    json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0], parse_constant=pytest.fail)
    policy = load_policy(tmp_path)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(policy.params))
