"""Text: windows that are stretches of real files, none of which is in two splits."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import numpy as np
import pytest

from ganno_env.datasets import DatasetError, load, loading, text
from ganno_env.datasets.text import LARGEST_FILE, TEXT, VOCABULARY, WINDOW
from ganno_env.types import Batch

OTHER = len(VOCABULARY)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load("text", data_dir=tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def files() -> dict[bytes, set[str]]:
    """The files that have a window, by its tokens, however they are cut into splits."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    found: dict[bytes, set[str]] = {}
    for path in [
        *folder.glob("*.py"),
        *(p for name in text.PACKAGES for p in (folder / name).rglob("*.py")),
    ]:
        content = path.read_bytes()
        ours = bytes(
            VOCABULARY.find(chr(byte)) if chr(byte) in VOCABULARY else OTHER for byte in content
        )
        for start in range(0, min(len(ours) - WINDOW, LARGEST_FILE * WINDOW), WINDOW):
            found.setdefault(ours[start : start + WINDOW + 1], set()).add(str(path))
    return found


def windows(batch: Batch) -> list[bytes]:
    """Each example's 64 tokens and the one that comes after them."""
    inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    return [bytes(row) for row in np.column_stack([inputs, targets[:, -1:]]).astype(np.uint8)]


def test_windows_are_stretches_of_files_and_no_file_is_in_two_splits(dataset, files):
    owners = []
    for batch in (dataset.train, dataset.validation, dataset.test):
        owned = set()
        for window in windows(batch):
            assert window in files
            # What several files have in common, such as a licence, says nothing about whose it is.
            owned |= files[window] if len(files[window]) == 1 else set()
        owners.append(owned)
    train, validation, test = owners
    assert min(map(len, owners)) > 10
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_what_it_says_of_itself(dataset):
    assert [b.size for b in (dataset.train, dataset.validation, dataset.test)] == [
        38_000,
        2_000,
        4_000,
    ]
    assert dataset.train.inputs.shape == (38_000, WINDOW)
    assert dataset.train.inputs.dtype == np.uint8
    assert dataset.num_classes == 98
    assert dataset.task == "language_modelling"
    assert dataset.source.startswith("source files of Python 3.")


def test_tokens_are_characters_and_all_else_is_one():
    assert len(set(VOCABULARY)) == len(VOCABULARY) == 97
    assert text.tokens(b"\t\n ~").tolist() == [0, 1, 2, 96]
    assert text.tokens("é\r\0\x7f".encode()).tolist() == [OTHER] * 5
    assert "".join(VOCABULARY[i] for i in text.tokens(b"def f():\n\treturn 'A'")) == (
        "def f():\n\treturn 'A'"
    )


@pytest.mark.parametrize(("length", "count"), [(0, 0), (64, 0), (65, 1), (128, 1), (129, 2)])
def test_a_window_needs_the_token_after_it(length, count):
    cut = text._windows(np.arange(length).astype(np.uint8))
    assert cut.shape == (count, WINDOW + 1)
    for i, window in enumerate(cut):
        assert window.tolist() == list(range(WINDOW * i, WINDOW * i + WINDOW + 1))


def test_a_large_file_gives_its_beginning():
    assert len(text._windows(np.zeros(10**6, np.uint8))) == LARGEST_FILE


def test_it_is_the_same_each_time():
    first, again = (text._from_standard_library().splits for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.bincount(first.groups).max() <= LARGEST_FILE
    assert first.groups.shape == (TEXT.num_train,)


def test_a_file_is_for_testing_whatever_the_folder_and_its_content():
    names = ("ast.py", "json/decoder.py", "os.py")
    ranks = [[text._rank(Path(at) / name, Path(at)) for name in names] for at in ("/a", "/b/c")]
    assert ranks[0] == ranks[1]
    assert all(0 <= rank < 1 for rank in ranks[0])


def test_a_library_without_source_files_is_a_reason(tmp_path, monkeypatch):
    (tmp_path / "ast.py").write_text("x = 1\n" * 100)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    loading.clear_cache()
    with pytest.raises(
        DatasetError, match=rf"{tmp_path} has source files of \d+ windows of 64"
    ) as error:
        load("text", data_dir=tmp_path)
    assert "text.npz (keys x_train, y_train, x_test, y_test, groups)" in str(error.value)
    loading.clear_cache()


def test_it_is_read_from_a_file_too(tmp_path):
    splits = text._from_standard_library().splits
    np.savez(tmp_path / "text.npz", **splits.arrays())
    dataset = load("text", data_dir=tmp_path)
    assert dataset.source.startswith("text.npz")
    ours = load("text", data_dir=tmp_path / "none")
    np.testing.assert_array_equal(dataset.validation.inputs, ours.validation.inputs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": np.zeros(TEXT.num_train, np.int32)}, "groups has one of 40255 examples"),
        ({"groups": np.zeros(3, np.int32)}, r"groups is int32 \[3\], not integers \[40255\]"),
        ({"x_test": np.full((4_000, 64), 98, np.uint8)}, "x_test has tokens from 98 to 98"),
        ({"y_test": np.zeros((4_000, 63), np.uint8)}, r"not integers \[4000, 64\]"),
    ],
)
def test_a_file_of_something_else(tmp_path, changes, message):
    arrays = text._from_standard_library().splits.arrays() | changes
    np.savez(tmp_path / "text.npz", **arrays)
    with pytest.raises(DatasetError, match=message):
        load("text", data_dir=tmp_path)


def test_a_file_without_groups_is_refused(tmp_path):
    arrays = text._from_standard_library().splits.arrays()
    del arrays["groups"]
    np.savez(tmp_path / "text.npz", **arrays)
    with pytest.raises(DatasetError, match=r"lacks \['groups'\]"):
        load("text", data_dir=tmp_path)
