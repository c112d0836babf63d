"""What a training leaves in its folder, and how it goes on from there."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from systems.loggers import LOGGERS
from systems.loggers.jsonl import read_records
from systems.policy.policy import load_policy, save_policy
from systems.ppo import rec_ippo
from systems.training import run as runs
from systems.training.loop import TrainResult
from systems.utils.errors import StorageError
from tests.systems.conftest import small_config
from tests.systems.short_runs import UPDATES, train_for
from tests.toys import Recall

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("compiled_once")


def without_times(records):
    return [{k: v for k, v in r.items() if "second" not in k} for r in records]


def assert_same(a: TrainResult, b: TrainResult) -> None:
    jax.tree.map(np.testing.assert_array_equal, a.state, b.state)
    jax.tree.map(np.testing.assert_array_equal, a.policy.params, b.policy.params)
    assert without_times(a.records) == without_times(b.records)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train_for(UPDATES, tmp_path_factory.mktemp("runs") / "whole", checkpoint_every=4)


def test_leaves_everything_in_its_folder(uninterrupted):
    folder = uninterrupted.folder
    names = {path.name for path in folder.iterdir()}
    assert names == {"checkpoints", "metrics.jsonl", "policy.npz", "training.png"}
    assert {p.name for p in (folder / "checkpoints").iterdir()} == {
        "update_00000004", "update_00000006",
    }  # fmt: skip
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")
    records = read_records(folder / "metrics.jsonl")
    assert records == uninterrupted.records
    assert [r["update"] for r in records] == list(range(1, UPDATES + 1))
    assert [r["env_steps"] for r in records] == [64 * u for u in range(1, UPDATES + 1)]
    assert uninterrupted.stopped_by is None


def test_the_policy_has_the_parameters_after_the_last_update(uninterrupted):
    learned = uninterrupted.state.learned
    loaded = load_policy(uninterrupted.folder, Recall())
    for policy in (uninterrupted.policy, loaded):
        jax.tree.map(np.testing.assert_array_equal, policy.params, learned.params.actor)
        jax.tree.map(
            np.testing.assert_array_equal, policy.statistics, learned.observation_statistics
        )
    cost = loaded.information["training"]
    assert (cost["updates"], cost["env_steps"]) == (UPDATES, 64 * UPDATES)
    assert cost["seconds"] > 0
    assert loaded.information["config"]["gamma"] == 0.99


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(uninterrupted, tmp_path):
    train_for(3, tmp_path, checkpoint_every=2)
    resumed = train_for(UPDATES, tmp_path, resume=True)
    assert_same(resumed, uninterrupted)
    assert without_times(read_records(tmp_path / "metrics.jsonl")) == without_times(
        uninterrupted.records
    )
    again = train_for(UPDATES, tmp_path, resume=True)
    assert_same(again, uninterrupted)


def test_a_run_that_is_stopped_early_is_the_longer_runs_beginning(uninterrupted, tmp_path):
    early = train_for(UPDATES, tmp_path / "early", stop_after_updates=2)
    assert without_times(early.records) == without_times(uninterrupted.records[:2])
    assert early.policy.information["training"]["updates"] == 2
    assert early.stopped_by is None
    assert_same(train_for(UPDATES, tmp_path / "early", resume=True), uninterrupted)
    with pytest.raises(ValueError, match="stop_after_updates=0; it must be a whole number"):
        train_for(UPDATES, stop_after_updates=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_run_after_its_update_and_it_can_go_on(
    uninterrupted, tmp_path, monkeypatch, capfd, number
):
    class Killer:
        def __init__(self, run):
            pass

        def log(self, record):
            if record["update"] == 3:
                os.kill(os.getpid(), number)

        def finish(self, summary):
            pass

    # Under nohup, or in the background of a script, a signal may be ignored; and then it stays so.
    inherited = signal.signal(number, signal.SIG_DFL)
    try:
        monkeypatch.setitem(LOGGERS._members, "killer", Killer)
        stopped = train_for(UPDATES, tmp_path, loggers={"jsonl": None, "killer": None})
        assert stopped.stopped_by is number
        assert len(stopped.records) == 3
        assert "finishing this update" in capfd.readouterr().err
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, inherited)
    assert_same(train_for(UPDATES, tmp_path, resume=True), uninterrupted)


KILLED = f"""
import sys, time
from pathlib import Path
from systems.loggers import LOGGERS
from tests.systems.short_runs import train_for
class Slow:
    def __init__(self, run): pass
    def log(self, record): time.sleep(0.1)
    def finish(self, summary): pass
LOGGERS.add("slow", Slow)
folder, loggers = Path(sys.argv[1]), {{"jsonl": None, "slow": None}}
resume = (folder / "checkpoints").exists()
train_for({UPDATES}, folder, checkpoint_every=1, loggers=loggers, resume=resume)
"""


@pytest.mark.slow
def test_a_run_killed_at_random_points_goes_on_as_if_nothing_had_happened(uninterrupted, tmp_path):
    checkpoints, delays = tmp_path / "checkpoints", []
    for _ in range(2):
        before = set(checkpoints.glob("update_*"))
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT)
        deadline = time.monotonic() + 120
        while not set(checkpoints.glob("update_*")) - before:
            assert process.poll() is None, "it should not have ended yet"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        delays.append(random.uniform(0.0, 0.4))
        time.sleep(delays[-1])
        process.kill()
        assert process.wait() == -signal.SIGKILL, delays
    assert_same(train_for(UPDATES, tmp_path, resume=True), uninterrupted)
    assert without_times(read_records(tmp_path / "metrics.jsonl")) == without_times(
        uninterrupted.records
    )


def test_resuming_writes_again_what_a_crash_left_out(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted.folder, folder)
    for name in ("policy.npz", "training.png"):
        (folder / name).unlink()
    resumed = train_for(UPDATES, folder, resume=True)
    assert_same(resumed, uninterrupted)
    policy = load_policy(folder, Recall())
    jax.tree.map(np.testing.assert_array_equal, policy.params, uninterrupted.policy.params)
    assert policy.information == load_policy(uninterrupted.folder).information
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("stale", ["earlier", "damaged", "absent"])
def test_a_policy_is_the_one_of_the_checkpoint_that_a_run_goes_on_from(
    uninterrupted, learner, tmp_path, stale
):
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted.folder, folder)
    run = runs.TrainingRun(
        env=Recall(), environment={"name": "Recall"}, system="rec_ippo", config=small_config(),
        seed=0, folder=folder, keep=3, num_devices=1, documents={},
    )  # fmt: skip
    path, state = folder / "policy.npz", learner.init(jax.random.PRNGKey(0))
    if stale == "damaged":
        path.write_bytes(path.read_bytes()[:100])
    elif stale == "absent":
        path.unlink()
    else:
        at = runs.Progress(state=state, update=0, seconds=0.0, records=[])
        save_policy(run.policy(at), path, overwrite=True)
    at = run.start(run.open(resume=True), state)
    assert at.update == UPDATES
    policy = load_policy(folder)
    jax.tree.map(np.testing.assert_array_equal, policy.params, uninterrupted.policy.params)
    assert policy.information["training"]["updates"] == UPDATES


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path, capfd):
    (tmp_path / "metrics.jsonl").write_text('{"update": 1, "env_steps": 64, "half')
    (tmp_path / "checkpoints" / ".writing_1" / "state").mkdir(parents=True)
    assert runs.has_run(tmp_path)
    with pytest.raises(ValueError, match="or resume that run"):
        train_for(1, tmp_path)
    assert [r["update"] for r in train_for(1, tmp_path, resume=True).records] == [1]
    assert "ended before its first checkpoint and begins anew" in capfd.readouterr().err
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(ValueError, match="no checkpoint to resume from"):
        train_for(1, tmp_path, resume=True)


def test_a_damaged_newest_checkpoint_costs_only_time(uninterrupted, tmp_path, capfd):
    train_for(4, tmp_path, checkpoint_every=2)
    manifest = tmp_path / runs.CHECKPOINTS / "update_00000004" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:50])
    assert_same(train_for(UPDATES, tmp_path, resume=True), uninterrupted)
    assert "update_00000004 is damaged" in capfd.readouterr().err


def test_only_the_same_run_is_resumed(uninterrupted):
    with pytest.raises(ValueError, match="seed: 0 in the checkpoint, 1 now"):
        train_for(UPDATES, uninterrupted.folder, resume=True, seed=1)


def test_a_folder_with_a_run_is_not_written_to(uninterrupted):
    before = {p: p.stat().st_mtime_ns for p in uninterrupted.folder.rglob("*")}
    with pytest.raises(ValueError, match="has a run in it already"):
        train_for(UPDATES, uninterrupted.folder)
    assert before == {p: p.stat().st_mtime_ns for p in uninterrupted.folder.rglob("*")}


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_is_read_only_is_refused_before_training(
    uninterrupted, tmp_path, monkeypatch, resume
):
    # Root may write anywhere; what a read-only disk answers is put in its place.
    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(runs.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(rec_ippo, "init", lambda *args: pytest.fail("it should not have begun"))
    folder = uninterrupted.folder if resume else tmp_path
    with pytest.raises(StorageError, match=r"could not write .*: Read-only file system; nothing"):
        train_for(UPDATES, folder, resume=resume, loggers={})
