"""Whatever a folder is called, what is kept in it is found again."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from systems.experiments.run_store import RunStore
from systems.loggers import Run, make_loggers
from systems.loggers.jsonl import read_records
from systems.policy.policy import load_policy, make_policy, policy_file, save_policy
from systems.training import checkpoint
from systems.training.run import CHECKPOINTS, TrainingRun
from systems.utils import arrays
from systems.utils.files import fresh_folder, write_atomically
from tests.systems import test_cells
from tests.systems.conftest import small_config
from tests.toys import Recall

ODD = [
    "actor_layers=[8,8]", "[", "[!a]", "x\\y", "*", "?", "a b", " ", "é", "λ", "gs:", "s3:", "a:b",
    "~", "$HOME", "%20", "#", "{a}", "{}", "-x", "a\nb", "'\"", "123", "\udcff", "x" * 255,
    ".hidden",
]  # fmt: skip
CHARACTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
NAMES = st.text(CHARACTERS, min_size=1, max_size=80).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 256
)
STATE = {"a": np.arange(4, dtype=np.float32), "b": np.ones((2, 3), np.float32)}


@pytest.fixture(scope="module")
def policy(learner):
    learned = learner.init(jax.random.PRNGKey(0)).learned
    statistics = learned.observation_statistics
    return make_policy(small_config(), Recall(), learned.params.actor, statistics, {"a": 1})


def on_devices():
    return {name: jnp.zeros_like(x) for name, x in STATE.items()}


def keep(folder, update=1):
    checkpoint.save(folder, {}, STATE, update=update, seconds=0.0, score=None, keep=3)


def assert_found(folder, update=1):
    found = checkpoint.newest(folder, pytest.fail)
    assert found.update == update
    restored = checkpoint.restore(found, on_devices())
    for name, x in STATE.items():
        np.testing.assert_array_equal(restored[name], x)


def with_examples(test):
    for name in ODD:
        test = example(name)(test)
    return test


@with_examples
@given(NAMES)
@settings(max_examples=10)
def test_what_is_kept_in_a_folder_of_any_name_is_found_again(policy, name):
    with tempfile.TemporaryDirectory() as parent:
        folder = fresh_folder(Path(parent), name)
        run = TrainingRun(
            env=Recall(), environment={"name": name}, system="rec_ippo", config=small_config(),
            seed=0, folder=folder, keep=1, num_devices=1, documents={"config.yaml": "a: 1"},
        )  # fmt: skip
        assert run.open(resume=False) is None
        checkpoint.save(
            folder / CHECKPOINTS, run.identity, STATE, update=2, seconds=0.0, score=None, keep=1
        )
        found = run.open(resume=True)
        assert found is not None
        restored = checkpoint.restore(found, on_devices())
        np.testing.assert_array_equal(restored["b"], STATE["b"])

        save_policy(policy, folder / "policy.npz")
        assert policy_file(folder) == folder / "policy.npz"
        assert load_policy(folder).information == policy.information
        logged = Run(
            name=name, folder=folder, system="s", environment="e", seed=0, config={},
            num_updates=1, timesteps_per_update=1,
        )  # fmt: skip
        sink = make_loggers({"console": None, "jsonl": None, "marl_eval": None}, logged)
        sink.log({"update": 1, "env_steps": 1, "seconds": 0.0, "episode_return": 1.0})
        sink.finish({"written to": str(folder)})
        assert len(read_records(folder / "metrics.jsonl")) == 1

        test_cells.filled(folder / "table")
        store = RunStore(folder / "table", test_cells.IDENTITY)
        kept = store.load(test_cells.KEY, test_cells.DEFINITION)
        assert kept is not None
        assert test_cells.equal(kept, test_cells.record())
        assert not list(folder.rglob(".writing_*"))


@pytest.mark.parametrize("name", ["x" * 255, "[a]", "λ"])
def test_a_file_may_have_any_name(tmp_path, name):
    write_atomically(tmp_path / name, b"content")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["actor_layers=[8,8]", "x\\y"])
def test_checkpoints_that_orbax_was_given_by_such_a_name_are_read(tmp_path, monkeypatch, name):
    """Until they were written through a link, Orbax lost track of a part of them."""

    def write(folder, values):
        save = arrays.ocp.args.StandardSave(dict(values))
        arrays._orbax().save(folder, args=save)

    monkeypatch.setattr(arrays, "write_arrays", write)
    folder = tmp_path / name / "checkpoints"
    keep(folder)
    assert not (folder / "update_00000001" / "state" / arrays.INDEX).exists()
    before = sorted(folder.rglob("*"))
    assert_found(folder)
    assert sorted(folder.rglob("*")) == before
    if "\\" not in name:
        assert_found((tmp_path / name).rename(tmp_path / "clean") / "checkpoints")


def test_arrays_that_are_not_all_written_are_an_error(tmp_path, monkeypatch):
    lost = SimpleNamespace(save=lambda folder, args: folder.mkdir())
    monkeypatch.setattr(arrays, "_orbax", lambda: lost)
    with pytest.raises(OSError, match="Orbax left no"):
        arrays.write_arrays(tmp_path / "state", STATE)


def test_a_temporary_folder_of_an_odd_name_does_no_harm(tmp_path, monkeypatch):
    odd = tmp_path / "[tmp]"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    keep(tmp_path / "checkpoints")
    assert_found(tmp_path / "checkpoints")
