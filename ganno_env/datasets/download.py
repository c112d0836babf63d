"""Downloads datasets' official files: `python -m ganno_env.datasets.download cifar10`."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path

import numpy as np

from ganno import plugins
from ganno_env.datasets.base import DatasetError, Download, RawSplits
from ganno_env.datasets.catalogue import DATASETS
from ganno_env.datasets.checks import checked
from ganno_env.datasets.loading import data_folder

SILENCE_SECONDS = 10.0


def download(name: str, folder: Path | None = None) -> Path:
    """Writes `NAME.npz`, made of the official files; does nothing if it is there already.

    Args:
        name: a name in `DATASETS`.
        folder: where to; without it, where `load` looks.

    Returns:
        the file's path.

    Raises:
        ValueError: for an unknown name, or a dataset that needs no download.
        DatasetError: if a server does not answer, or sends something else.
    """
    spec, unpack = DATASETS[name], _unpacker(name)
    folder = data_folder() if folder is None else folder
    path = folder / f"{name}.npz"
    if not path.exists():
        files = [fetch(file) for file in spec.downloads]
        _write(path, checked(unpack(files), spec))
    return path


def fetch(file: Download) -> bytes:
    """The bytes at an address; raises `DatasetError` if they can't be had, or are others."""
    _tell(f"downloading {file.url}")
    try:
        with urllib.request.urlopen(file.url, timeout=SILENCE_SECONDS) as response:
            data: bytes = response.read()
    except (OSError, HTTPException) as error:
        raise DatasetError(f"{file.url} can't be downloaded: {error}") from error
    if (found := hashlib.sha256(data).hexdigest()) != file.sha256:
        raise DatasetError(
            f"{file.url} sent {len(data)} bytes with SHA-256 {found}, not {file.sha256}; try again"
        )
    return data


def _tell(message: str) -> None:
    # A closed terminal is no reason to stop.
    with contextlib.suppress(OSError, ValueError):
        print(message, file=sys.stderr, flush=True)


def _write(path: Path, splits: RawSplits) -> None:
    """Writes all of the file or, whatever happens, nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, ignore_cleanup_errors=True) as workspace:
        part = Path(workspace) / path.name
        np.savez(part, allow_pickle=False, **splits.arrays())
        os.replace(part, path)
    if Path(workspace).exists():
        _tell(f"warning: {workspace} could not be removed; it may be removed by hand")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; `arguments` are the command line's if not given. Exits with 1 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m ganno_env.datasets.download",
        description="Downloads the official files of datasets, and makes of each a NAME.npz in the "
        "folder where datasets are looked for. One that is there already is left alone.",
    )
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help=f"one or more of {', '.join(_downloadable())}"
    )
    where = str(data_folder()).replace("%", "%%")
    parser.add_argument("--folder", type=Path, help=f"where to; without it, {where}")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="MODULE",
        help="a module that registers more datasets; may be repeated",
    )  # fmt: skip
    given = parser.parse_intermixed_args(arguments)
    try:
        plugins.load(given.plugin)
        for name in given.names:
            _unpacker(name)  # before anything is downloaded
        for name in given.names:
            print(download(name, given.folder), flush=True)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what was downloaded whole is kept")


def _downloadable() -> list[str]:
    return [name for name, spec in DATASETS.items() if spec.downloads]


def _unpacker(name: str) -> Callable[[list[bytes]], RawSplits]:
    unpack = DATASETS[name].unpack
    if unpack is None:
        raise ValueError(
            f"dataset {name!r} needs no download; those that do: {', '.join(_downloadable())}"
        )
    return unpack


if __name__ == "__main__":
    main()
