"""Damaged, wrong and missing files, each answered in one message; and sources beside the folder."""

import gzip
import importlib.util
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ganno_env.datasets import DATASETS, DatasetError, RawSplits, load
from ganno_env.datasets.base import SourceUnavailable
from ganno_env.datasets.idx import IDX_FILES, parse_idx
from ganno_env.datasets.sources import from_package, from_tfds, tfds
from tests.datasets.conftest import toy_arrays

FAST = 5.0  # seconds within which a dataset is had or not


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def prepare(folder: Path) -> None:
    """Files as TensorFlow Datasets names them."""
    folder.mkdir(parents=True)
    for name in (
        "train.array_record-00000-of-00001",
        *(f"test.array_record-{shard:05d}-of-00002" for shard in range(2)),
    ):
        (folder / f"toy-{name}").touch()


def check_refused(folder: Path, match: str) -> None:
    """One message, soon, that names the dataset, the file and what would help."""
    start = time.monotonic()
    with pytest.raises(DatasetError, match=match) as caught:
        load("toy", data_dir=folder)
    assert time.monotonic() - start < FAST
    message = str(caught.value)
    for part in ("'toy'", str(folder), "toy.npz (keys x_train, y_train, x_test, y_test)"):
        assert part in message
    assert "GANNO_DATA_DIR" in message


@pytest.mark.parametrize("kept", [0, 1, 30, 100, 1000, -1000, -100, -22, -1])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_truncated_file(toy_folder: Path, kept: int, save: Callable[..., None]) -> None:
    path = toy_folder / "toy.npz"
    save(path, **toy_arrays())
    path.write_bytes(path.read_bytes()[:kept])
    check_refused(toy_folder, "can't be used")


@pytest.mark.parametrize("where", np.linspace(0.01, 0.99, 12))
def test_overwritten_bytes_are_refused_or_harmless(toy_folder: Path, where: float) -> None:
    path = toy_folder / "toy.npz"
    data = bytearray(path.read_bytes())
    start = int(where * len(data))
    data[start : start + 16] = b"\xa5" * 16
    path.write_bytes(data)
    try:
        dataset = load("toy", data_dir=toy_folder)
    except DatasetError:
        return
    # Only what the archive does not use, such as a time stamp, may have been hit.
    official = toy_arrays()
    np.testing.assert_array_equal(dataset.test.inputs[..., 0], official["x_test"])


def test_overwritten_pixels(toy_folder: Path) -> None:
    path = toy_folder / "toy.npz"
    pixels = toy_arrays()["x_train"][10].tobytes()
    data = path.read_bytes()
    assert data.count(pixels) == 1
    path.write_bytes(data.replace(pixels, bytes(16)))
    check_refused(toy_folder, "CRC")


@pytest.mark.parametrize(
    "data", [b"", b"not an archive", b"\x80\x04K\x01.", b"PK\x03\x04", b"\0" * 999]
)
def test_a_file_of_another_kind(toy_folder: Path, data: bytes) -> None:
    (toy_folder / "toy.npz").write_bytes(data)
    check_refused(toy_folder, "can't be used")


def test_a_single_array(toy_folder: Path) -> None:
    with (toy_folder / "toy.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    check_refused(toy_folder, "a single array")


def test_wrong_keys(toy_folder: Path) -> None:
    arrays = toy_arrays()
    arrays["images"] = arrays.pop("x_train")
    np.savez(toy_folder / "toy.npz", **arrays)
    check_refused(toy_folder, r"lacks \['x_train'\]; its keys are \[.*'images'")


def test_pickled_objects_are_not_unpickled(toy_folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("a pickle was run",))

    bomb = np.array([Bomb()], object)
    np.savez(toy_folder / "toy.npz", **(toy_arrays() | {"x_train": bomb}))
    check_refused(toy_folder, "allow_pickle=False")


@pytest.mark.parametrize(
    ("key", "array", "match"),
    [
        (
            "x_train",
            np.zeros((60, 4, 4), np.float32),
            r"x_train is float32 \[60, 4, 4\], not uint8",
        ),
        ("x_train", np.zeros((60, 4, 5), np.uint8), r"not uint8 \[60, 4, 4, 1\]"),
        ("x_train", np.zeros((59, 4, 4), np.uint8), r"x_train is uint8 \[59, 4, 4\]"),
        ("x_test", np.zeros((30, 4, 4, 3), np.uint8), r"x_test is uint8 \[30, 4, 4, 3\]"),
        ("y_train", np.zeros(59, np.uint8), r"y_train is uint8 \[59\], not integers \[60\]"),
        ("y_train", np.zeros(60), r"y_train is float64 \[60\], not integers"),
        ("y_test", np.full(30, 3), "y_test has labels from 3 to 3, not from 0 to 2"),
        ("y_test", np.full(30, -1), "y_test has labels from -1 to -1"),
    ],
)
def test_arrays_of_another_dataset(
    toy_folder: Path, key: str, array: np.ndarray, match: str
) -> None:
    np.savez(toy_folder / "toy.npz", **(toy_arrays() | {key: array}))
    check_refused(toy_folder, match)


def test_arrays_as_keras_has_them(toy_folder: Path) -> None:
    plain = load("toy", data_dir=toy_folder)
    arrays = toy_arrays()
    other = toy_folder / "other"
    other.mkdir()
    np.savez(
        other / "toy.npz",
        x_train=arrays["x_train"][..., None],
        y_train=arrays["y_train"][:, None].astype(np.int64),
        x_test=arrays["x_test"],
        y_test=arrays["y_test"][:, None],
    )
    same = load("toy", data_dir=other)
    np.testing.assert_array_equal(plain.train.inputs, same.train.inputs)
    np.testing.assert_array_equal(plain.train.targets, same.train.targets)


def test_a_missing_file(toy_folder: Path) -> None:
    (toy_folder / "toy.npz").unlink()
    check_refused(toy_folder, "can't be found")
    check_refused(toy_folder / "nowhere", "no toy.npz, no IDX files")


@pytest.mark.parametrize("place", [".", "toy"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(toy_folder: Path, toy_splits: RawSplits, place: str, suffix: str) -> None:
    expected = load("toy", data_dir=toy_folder)
    folder = toy_folder / "files"
    (folder / place).mkdir(parents=True)
    for name, array in zip(IDX_FILES, toy_splits.arrays().values(), strict=True):
        write_idx(folder / place / f"{name}{suffix}", array)
    dataset = load("toy", data_dir=folder)
    np.testing.assert_array_equal(dataset.train.inputs, expected.train.inputs)
    assert dataset.source.startswith("IDX files")

    last = folder / place / f"{IDX_FILES[-1]}{suffix}"
    last.write_bytes(last.read_bytes()[:-3])
    with pytest.raises(DatasetError, match="toy"):
        load("toy", data_dir=folder, seed=1)
    last.unlink()
    with pytest.raises(DatasetError, match=f"lacks .*{IDX_FILES[-1]}"):
        load("toy", data_dir=folder, seed=1)


@pytest.mark.parametrize("data", [b"\0\0\x0d\x01\0\0\0\1\0", b"\1\0\x08\x01\0\0\0\1\0", b"<html>"])
def test_other_bytes_are_not_idx(data: bytes) -> None:
    with pytest.raises(DatasetError, match="not an IDX file"):
        parse_idx(data)


class TestOffline:
    """Without a network, or without packages, in seconds."""

    @pytest.fixture(autouse=True)
    def nothing_prepared(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
        for name in tfds.PROXIES:
            monkeypatch.delenv(name, raising=False)

    @pytest.fixture
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(name=name))

    def test_a_dataset_that_can_not_be_had(self, tmp_path: Path) -> None:
        start = time.monotonic()
        with pytest.raises(DatasetError, match="dataset 'cifar10' can't be found") as caught:
            load("cifar10", data_dir=tmp_path)
        assert time.monotonic() - start < FAST
        assert f"folder {tmp_path}: no cifar10.npz" in str(caught.value)
        assert "python -m ganno_env.datasets.download cifar10" in str(caught.value)

    @pytest.mark.usefixtures("installed")
    def test_servers_that_refuse(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError("no route")

        monkeypatch.setattr(socket, "create_connection", refuse)
        with pytest.raises(
            SourceUnavailable, match=r"storage.* and www\.cs\.toronto\.edu can't be reached"
        ):
            from_tfds(DATASETS["cifar10"], tmp_path)

    def test_names_that_take_for_ever_to_look_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def late(*_: object) -> SimpleNamespace:
            time.sleep(1)
            return SimpleNamespace(close=lambda: None)

        monkeypatch.setattr(socket, "create_connection", late)
        start = time.monotonic()
        assert tfds.unreachable(["slow", "slower"], timeout=0.05) == ["slow", "slower"]
        assert time.monotonic() - start < 0.8

    def test_servers_that_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = SimpleNamespace(close=lambda: None)
        monkeypatch.setattr(socket, "create_connection", lambda *_: connection)
        assert tfds.unreachable(["a", "b"]) == []

    def test_a_proxy_is_trusted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
        assert tfds.unreachable(["a"]) == []

    def test_without_the_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        with pytest.raises(SourceUnavailable, match="not installed"):
            from_tfds(DATASETS["cifar10"], tmp_path)

    @pytest.mark.usefixtures("installed")
    def test_what_is_prepared_is_read_without_asking(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepared = tmp_path / "tfds" / "cifar10" / "3.0.2"
        prepared.mkdir(parents=True)
        (prepared / "cifar10-train.array_record-00000-of-00001").touch()
        monkeypatch.setattr(tfds, "unreachable", lambda *_: pytest.fail("asked"))
        monkeypatch.setattr(tfds, "_read", lambda name, folder: 1 / 0 if folder == prepared else 1)
        with pytest.raises(SourceUnavailable, match="TensorFlow Datasets: division by zero"):
            from_tfds(DATASETS["cifar10"], tmp_path)

    def test_the_latest_version_is_the_one_of_the_greatest_numbers(self, tmp_path: Path) -> None:
        for version in ("1.9.0", "1.10.0", "1.2.11"):
            prepare(tmp_path / "tfds" / "toy" / version)
        assert tfds.prepared_folder("toy") == tmp_path / "tfds" / "toy" / "1.10.0"

    @pytest.mark.parametrize("name", ["2.0.0.incompleteAB12", "incomplete.AB12_2.0.0", ".2.0.0"])
    def test_half_made_folders_do_not_count(self, tmp_path: Path, name: str) -> None:
        home = tmp_path / "tfds" / "toy"
        prepare(home / name)
        assert tfds.prepared_folder("toy") is None
        prepare(home / "1.0.0")
        assert tfds.prepared_folder("toy") == home / "1.0.0"
        (home / "3.0.0").mkdir()
        prepare(home / "4.0.0")
        (home / "4.0.0" / "toy-test.array_record-00001-of-00002").unlink()
        assert tfds.prepared_folder("toy") == home / "1.0.0"

    @pytest.mark.parametrize("name", ["a[b]", "*", "x\\y", "é ü", "a=b"])
    def test_the_folder_may_have_any_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / name))
        prepare(tmp_path / name / "toy" / "1.0.0")
        assert tfds.prepared_folder("toy") == tmp_path / name / "toy" / "1.0.0"

    def test_nothing_is_asked_for_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SourceUnavailable, match="not among them"):
            from_tfds(DATASETS["digits"], tmp_path)
        with pytest.raises(SourceUnavailable, match="none ships it"):
            from_package(DATASETS["cifar10"], tmp_path)
