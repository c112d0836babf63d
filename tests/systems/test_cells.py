"""Finished runs on disk: whole, found again, and never taken for another's."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest

from ganno_env.evaluation.methods import Listed
from ganno_env.types import RunRecord
from systems.experiments.run_store import FOLDER, MANIFEST, RunKey, RunStore, slug

IDENTITY = {"environment": {"epochs": 4, "network_options": {"width": 0.25}}}
KEY = RunKey("Lion, λ = 0.1", 0.001, 0.1, 2)
DEFINITION = {"optimiser": "one", "trained": {"gamma": 0.99, "greedy": None}}
LISTED = Listed(KEY.method, actions=(("learning_rate", ("noop", "*2")),))


def record(seed: int = 0) -> RunRecord:
    generator = np.random.default_rng(seed)
    curve = generator.random(3).astype(np.float32)
    return RunRecord(
        controls={"learning_rate": generator.random((3, 2)).astype(np.float32)},
        actions=np.zeros((3, 2), np.int32),
        train_loss=curve,
        train_accuracy=curve,
        validation_loss=curve,
        validation_accuracy=curve,
        test_accuracy=curve[-1:],
        seconds=np.array(1.5, np.float32),
    )


def equal(a: RunRecord, b: RunRecord) -> bool:
    names = [field.name for field in dataclasses.fields(a)]
    one, other = ({n: getattr(record, n) for n in names} for record in (a, b))
    same = jax.tree.map(np.array_equal, one, other)
    return all(jax.tree.leaves(same))


def filled(folder) -> RunStore:
    store = RunStore(folder, IDENTITY)
    store.save(KEY, LISTED, DEFINITION, record())
    return store


def test_a_record_is_read_back_bit_for_bit(tmp_path):
    filled(tmp_path)
    store = RunStore(tmp_path, IDENTITY)
    assert equal(store.load(KEY, DEFINITION), record())
    assert store.load(KEY._replace(seed=3), DEFINITION) is None
    assert store.load(KEY._replace(learning_rate=None), DEFINITION) is None
    assert store.load(KEY._replace(learning_rate=0.0010000001), DEFINITION) is None
    (kept,) = store.kept()
    assert (kept.key, kept.listed, kept.definition.value) == (KEY, LISTED, DEFINITION)


@pytest.mark.parametrize(
    "changed",
    [
        {"optimiser": "two"},
        {"trained": {"gamma": 0.5, "greedy": None}},
        {"trained": {"gamma": 0.99, "greedy": False}},
        {"trained": {"gamma": 0.99}},
        {"more": 1},
    ],
)
def test_a_run_of_another_definition_is_another_run_and_both_are_kept(tmp_path, changed):
    store = filled(tmp_path)
    other = DEFINITION | changed
    assert store.load(KEY, other) is None
    store.save(KEY, LISTED, other, record(1))
    assert equal(store.load(KEY, other), record(1))
    assert equal(store.load(KEY, DEFINITION), record())
    assert len(list(store.kept())) == 2


def test_numbers_and_lists_that_are_equal_are_no_difference(tmp_path):
    RunStore(tmp_path, {"epochs": 4, "layers": (1, 2)})
    store = RunStore(tmp_path, {"layers": [1.0, 2.0], "epochs": np.float64(4)})
    store.save(KEY, LISTED, {"rate": 1}, record())
    assert store.load(KEY, {"rate": 1.0}) is not None
    assert store.load(KEY, {"rate": True}) is None


@pytest.mark.parametrize(
    "name", ["lion λ 0.1", "Lion. λ = 0.1", "LION, λ: 0.1", "..", "λ/../x", "n" * 999]
)
def test_any_name_is_kept_beside_any_other(tmp_path, name):
    """Also two whose files begin alike, and one with a dot, a slash or no letter."""
    store = filled(tmp_path)
    twin = KEY._replace(method=name)
    assert store.load(twin, DEFINITION) is None
    store.save(twin, LISTED._replace(name=name), DEFINITION, record(1))
    assert equal(store.load(twin, DEFINITION), record(1))
    assert equal(store.load(KEY, DEFINITION), record())
    assert {path.parent for path in tmp_path.rglob("*.npz")} == {tmp_path / FOLDER}


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_damaged_cell_is_one_that_is_not_there(tmp_path, keep):
    store = filled(tmp_path)
    (file,) = (tmp_path / FOLDER).iterdir()
    file.write_bytes(file.read_bytes()[:keep])
    assert store.load(KEY, DEFINITION) is None
    assert list(store.kept()) == []


def test_a_file_that_holds_another_run_is_not_taken_for_it(tmp_path):
    store = filled(tmp_path)
    (file,) = (tmp_path / FOLDER).iterdir()
    content = file.read_bytes()
    store.save(KEY, LISTED, {"optimiser": "two"}, record(1))
    (other,) = set((tmp_path / FOLDER).iterdir()) - {file}
    other.write_bytes(content)
    assert store.load(KEY, {"optimiser": "two"}) is None


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (
            {"environment": {"epochs": 5, "network_options": {"width": 0.25}}},
            "environment.epochs: 4 there, 5 now",
        ),
        ({"environment": {"epochs": 4}}, "network_options: {'width': 0.25} there, absent now"),
        (IDENTITY | {"split": "test"}, "split: absent there, 'test' now"),
        ({"environment.epochs": 4}, "environment.epochs: absent there, 4 now"),
    ],
)
def test_runs_that_were_made_otherwise_are_refused(tmp_path, identity, message):
    RunStore(tmp_path, IDENTITY)
    with pytest.raises(ValueError, match=f"{message}.*choose another output_dir") as error:
        RunStore(tmp_path, identity)
    assert "\n" not in str(error.value)


def test_a_manifest_that_says_nothing_is_refused(tmp_path):
    filled(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        RunStore(tmp_path, IDENTITY)
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(ValueError, match="is missing; choose another output_dir"):
        RunStore(tmp_path, IDENTITY)


def test_a_folder_of_an_earlier_version_is_refused_in_a_line(tmp_path):
    old = {"format": "ganno-cells-1", "identity": IDENTITY, "makers": {}}
    (tmp_path / MANIFEST).write_text(json.dumps(old))
    with pytest.raises(ValueError, match="format 'ganno-cells-1' of another version") as error:
        RunStore(tmp_path, IDENTITY)
    assert "\n" not in str(error.value)


def test_a_name_as_part_of_a_file_name():
    assert slug("Lion, λ = 0.1") == "lion-λ-0.1"
