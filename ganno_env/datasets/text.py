"""Text: the source files of Python's standard library, in windows of characters.

Every machine that runs this has them. They differ from one version of Python to the next, which
the dataset's source names.
"""

from __future__ import annotations

import hashlib
import platform
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ganno_env.datasets.base import (
    DatasetSpec,
    HostArray,
    LoadResult,
    RawSplits,
    SourceUnavailable,
)

VOCABULARY = "\t\n" + "".join(map(chr, range(32, 127)))
"""The characters that are tokens of their own; one more stands for any other byte."""
WINDOW = 64
LARGEST_FILE = 256
"""Windows of one file, at most, so that no file weighs much more than others."""
TEST_FRACTION = 1 / 8
PACKAGES = (
    "asyncio", "collections", "concurrent", "email", "html", "http", "importlib", "json", "logging",
    "multiprocessing", "re", "tomllib", "unittest", "urllib", "wsgiref", "xml", "xmlrpc",
    "zoneinfo",
)  # fmt: skip
"""Beside the modules that are single files; none is generated or often left out by builders."""


def _from_standard_library() -> LoadResult:
    folder = Path(sysconfig.get_paths()["stdlib"])
    version = f"Python {platform.python_version()}'s standard library"
    train: list[HostArray] = []
    test: list[HostArray] = []
    for path in sorted(_files(folder), key=lambda path: _rank(path, folder)):
        windows = _windows(tokens(path.read_bytes()))
        (test if _rank(path, folder) < TEST_FRACTION else train).append(windows)
    groups = np.repeat(np.arange(len(train)), [len(windows) for windows in train])
    arrays = []
    for files, wanted in ((train, TEXT.num_train), (test, TEXT.num_test)):
        windows = np.concatenate([np.empty((0, WINDOW + 1), np.uint8), *files])
        if len(windows) < wanted:
            raise SourceUnavailable(
                f"{version}: {folder} has source files of {len(windows)} windows of {WINDOW} "
                f"characters for a split, not {wanted}"
            )
        arrays += [windows[:wanted, :-1], windows[:wanted, 1:]]
    splits = RawSplits(*arrays)._replace(groups=groups[: TEXT.num_train])
    return LoadResult(splits, f"source files of {version}")


def _files(folder: Path) -> Iterable[Path]:
    """Single-file modules and `PACKAGES`, without tests or what a builder or user has added."""
    yield from (path for path in folder.glob("*.py") if path.stem in sys.stdlib_module_names)
    for package in PACKAGES:
        for path in (folder / package).rglob("*.py"):
            if not {"test", "tests"} & set(path.relative_to(folder).parts):
                yield path


def _rank(path: Path, folder: Path) -> float:
    """A number in [0, 1) for a file, from its name within the library alone."""
    name = path.relative_to(folder).as_posix().encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:6]) / 2**48


def tokens(text: bytes) -> HostArray:
    """Each byte's token: its place in `VOCABULARY`, or the one after. uint8 [len(text)]."""
    table = np.full(256, len(VOCABULARY), np.uint8)
    table[list(VOCABULARY.encode())] = np.arange(len(VOCABULARY))
    return table[np.frombuffer(text, np.uint8)]


def _windows(text: HostArray) -> HostArray:
    """A file's stretches of 64 tokens, each with the one after it. [N, 65]."""
    count = min(max(len(text) - 1, 0) // WINDOW, LARGEST_FILE)
    return text[WINDOW * np.arange(count)[:, None] + np.arange(WINDOW + 1)]


TEXT = DatasetSpec(
    name="text",
    input_shape=(WINDOW,),
    target_shape=(WINDOW,),
    num_classes=len(VOCABULARY) + 1,
    num_tokens=len(VOCABULARY) + 1,
    num_train=40_000 + LARGEST_FILE - 1,  # 38,000 of which are left to train on
    num_test=4_000,
    validation_size=2_000,
    task="language_modelling",
    group_size=LARGEST_FILE,
    package=_from_standard_library,
)
