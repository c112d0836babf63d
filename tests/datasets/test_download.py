"""The official files, by their checksums, or nothing."""

import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ganno_env.datasets import DATASETS, DatasetError, RawSplits
from ganno_env.datasets import download as downloading
from ganno_env.datasets.base import Download
from tests.datasets.conftest import toy_arrays


def serve(folder: Path, data: bytes) -> Download:
    (folder / "file").write_bytes(data)
    return Download((folder / "file").as_uri(), hashlib.sha256(data).hexdigest())


def test_the_very_bytes(tmp_path: Path) -> None:
    assert downloading.fetch(serve(tmp_path, b"data")) == b"data"


def test_other_bytes(tmp_path: Path) -> None:
    file = serve(tmp_path, b"data")
    (tmp_path / "file").write_bytes(b"dat")
    with pytest.raises(DatasetError, match=r"sent 3 bytes with SHA-256 .* try again"):
        downloading.fetch(file)


def test_no_answer(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="can't be downloaded"):
        downloading.fetch(Download((tmp_path / "none").as_uri(), ""))


def test_a_temporary_folder_that_cannot_be_removed_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "rmdir", busy)
    downloading._write(tmp_path / "toy.npz", RawSplits(**toy_arrays()))
    assert (tmp_path / "toy.npz").is_file()
    assert "could not be removed" in capsys.readouterr().err


def test_nobody_who_reads_what_is_printed_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=gone, flush=gone))
    assert downloading.fetch(serve(tmp_path, b"data")) == b"data"


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="no space"):
        downloading._write(tmp_path / "toy.npz", RawSplits(**toy_arrays()))
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cifar10.npz").write_bytes(b"mine")
    assert downloading.download("cifar10", tmp_path).read_bytes() == b"mine"


def test_digits_need_none() -> None:
    with pytest.raises(ValueError, match="'digits' needs no download"):
        downloading.download("digits")


def test_the_layout_of_cifar10() -> None:
    """Red, then green, then blue, row by row, after the label."""
    record = np.arange(1 + 3072).astype(np.uint8)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = record.size
            archive.addfile(info, io.BytesIO(record.tobytes()))
    unpack = DATASETS["cifar10"].unpack
    assert unpack is not None
    splits = unpack([buffer.getvalue()])
    assert splits.x_train.shape == (5, 32, 32, 3)
    assert splits.y_train.tolist() == [0] * 5
    for row, column, channel in ((0, 0, 0), (0, 1, 2), (31, 7, 1)):
        expected = record[1 + 1024 * channel + 32 * row + column]
        assert splits.x_test[0, row, column, channel] == expected


def test_several_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("fashion_mnist", "cifar10"):
        (tmp_path / f"{name}.npz").write_bytes(b"mine")
    downloading.main(["fashion_mnist", "--folder", str(tmp_path), "cifar10"])
    paths = [str(tmp_path / f"{name}.npz") for name in ("fashion_mnist", "cifar10")]
    assert capsys.readouterr().out.splitlines() == paths


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cifar10", "fashon_mnist"], "unknown dataset 'fashon_mnist' (did you mean 'fashion_mni"),
        (["digits"], "dataset 'digits' needs no download; those that do: fashion_mnist, cifar10"),
        (["cifar10", "--plugin", "no_such_module"], "'no_such_module' cannot be imported"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_fetched(
    names: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "fetch", None)
    with pytest.raises(SystemExit) as ended:
        downloading.main([*names, "--folder", str(tmp_path)])
    assert str(ended.value.code).startswith("error: ")
    assert message in str(ended.value.code)
    assert "\n" not in str(ended.value.code)


def test_help_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        downloading.main(["--help"])
    assert ended.value.code == 0
    assert "one or more of fashion_mnist, cifar10" in capsys.readouterr().out
