"""Finished runs on disk: whole, found again, and never mixed."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from ganno_env.types import RunRecord
from systems.cells import FOLDER, MANIFEST, Cell, CellStore, slug

IDENTITY = {"environment": {"epochs": 4, "network_options": {"width": 0.25}}}
CELL = Cell("Lion, λ = 0.1", 0.001, 0.1, 2)


def record(seed: int = 0) -> RunRecord:
    generator = np.random.default_rng(seed)
    curve = generator.random(3).astype(np.float32)
    return RunRecord(
        learning_rates=generator.random((3, 2)).astype(np.float32),
        actions=np.zeros((3, 2), np.int32),
        train_loss=curve,
        train_accuracy=curve,
        validation_loss=curve,
        validation_accuracy=curve,
        test_accuracy=curve[-1:],
        seconds=np.float32(1.5),
    )


def equal(a: RunRecord, b: RunRecord) -> bool:
    names = [field.name for field in dataclasses.fields(a)]
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in names)


def test_a_record_is_read_back_bit_for_bit(tmp_path):
    CellStore(tmp_path, IDENTITY, {}).save(CELL, record())
    store = CellStore(tmp_path, IDENTITY, {})
    assert equal(store.load(CELL), record())
    assert store.load(CELL._replace(seed=3)) is None
    assert store.load(CELL._replace(learning_rate=None)) is None


def test_cells_of_one_file_name_are_told_apart(tmp_path):
    store = CellStore(tmp_path, IDENTITY, {})
    store.save(CELL, record())
    twin = CELL._replace(method="lion λ 0.1")
    assert slug(twin.method) == slug(CELL.method)
    assert store.load(twin) is None


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_damaged_cell_is_one_that_is_not_there(tmp_path, keep):
    store = CellStore(tmp_path, IDENTITY, {})
    store.save(CELL, record())
    (file,) = (tmp_path / FOLDER).iterdir()
    file.write_bytes(file.read_bytes()[:keep])
    assert store.load(CELL) is None


@pytest.mark.parametrize(
    ("identity", "makers", "message"),
    [
        (
            {"environment": {"epochs": 5, "network_options": {"width": 0.25}}},
            {},
            "identity.environment.epochs: 4 there, 5 now",
        ),
        ({"environment": {"epochs": 4}}, {}, "network_options.width: 0.25 there, 'absent' now"),
        (IDENTITY, {"GANNO": {"policy": "b"}}, "makers.GANNO.policy: 'a' there, 'b' now"),
    ],
)
def test_runs_that_were_made_otherwise_are_refused(tmp_path, identity, makers, message):
    CellStore(tmp_path, IDENTITY, {"GANNO": {"policy": "a"}})
    with pytest.raises(ValueError, match=f"{message}.*choose another output_dir"):
        CellStore(tmp_path, identity, makers)


def test_what_makes_other_cells_may_come_and_go(tmp_path):
    for makers in ({"GANNO": 1}, {}, {"VeLO": 2}, {"GANNO": 1}):
        CellStore(tmp_path, IDENTITY, makers)
    assert json.loads((tmp_path / MANIFEST).read_text())["makers"] == {"GANNO": 1, "VeLO": 2}


def test_a_manifest_that_says_nothing_is_refused(tmp_path):
    store = CellStore(tmp_path, IDENTITY, {})
    store.save(CELL, record())
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        CellStore(tmp_path, IDENTITY, {})
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(ValueError, match="is missing; choose another output_dir"):
        CellStore(tmp_path, IDENTITY, {})
    (tmp_path / MANIFEST).write_text(json.dumps({"format": "x", "identity": {}, "makers": {}}))
    with pytest.raises(ValueError, match="format: 'x' there"):
        CellStore(tmp_path, IDENTITY, {})
