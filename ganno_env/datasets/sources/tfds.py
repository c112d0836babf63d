"""TensorFlow Datasets, read through its random-access data sources.

Reading what is prepared on this machine needs neither TensorFlow nor a network. Preparing needs
both: without TensorFlow it downloads everything and fails then; without a network it tries for
minutes. So it is asked to prepare only where TensorFlow is installed and the servers answer.
"""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ganno_env.datasets.base import DatasetSpec, HostArray, LoadResult, RawSplits, SourceUnavailable
from ganno_env.datasets.checks import checked

METADATA_HOST = "storage.googleapis.com"
PROBE_SECONDS = 2.0
VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
SHARD = re.compile(r"(?P<split>.+)\.array_record-[0-9]+-of-(?P<total>[0-9]+)")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def from_tfds(spec: DatasetSpec, folder: Path) -> LoadResult:
    """Reads the dataset from TensorFlow Datasets' own folder, preparing it there if it can.

    Raises:
        SourceUnavailable: if TensorFlow Datasets lacks it, is not installed, is offline, or fails.
    """
    del folder
    if spec.tfds_name is None:
        raise SourceUnavailable("TensorFlow Datasets: not among them")
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise SourceUnavailable("TensorFlow Datasets: not installed")
    prepared = prepared_folder(spec.tfds_name)
    if prepared is None:
        _check_can_prepare(spec)
    try:
        splits, source = _read(spec.tfds_name, prepared)
        return LoadResult(checked(splits, spec), source)
    # Its errors are of many kinds, and their first line is what a reader needs.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceUnavailable(f"TensorFlow Datasets: {reason}") from error


def _check_can_prepare(spec: DatasetSpec) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        raise SourceUnavailable(
            "TensorFlow Datasets: not prepared, and to prepare it needs TensorFlow"
        )
    hosts = [METADATA_HOST, *(urlsplit(file.url).hostname or "" for file in spec.downloads[:1])]
    if silent := unreachable(hosts):
        raise SourceUnavailable(f"TensorFlow Datasets: {' and '.join(silent)} can't be reached")


def prepared_folder(name: str) -> Path | None:
    """Where the dataset lies prepared for random access, the latest version, if it does.

    What an interrupted preparation or copy left is passed over.
    """
    home = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
    versions = {
        tuple(map(int, folder.name.split("."))): folder
        for folder in (home / name).glob("*")
        if VERSION.fullmatch(folder.name) and _is_whole(folder)
    }
    return versions[max(versions)] if versions else None


def _is_whole(folder: Path) -> bool:
    """Whether a folder has files, and of each split as many as their names say that there are."""
    shards = [match for path in folder.glob("*") if (match := SHARD.fullmatch(path.name))]
    counts = Counter((match["split"], int(match["total"])) for match in shards)
    return bool(counts) and all(count == total for (_, total), count in counts.items())


def unreachable(hosts: Sequence[str], timeout: float = PROBE_SECONDS) -> list[str]:
    """Those of the hosts that don't accept a connection in time; none, if there is a proxy."""
    if any(os.environ.get(name) for name in PROXIES):
        return []
    answered: set[str] = set()

    def connect(host: str) -> None:
        try:
            socket.create_connection((host, 443 if host == METADATA_HOST else 80), timeout).close()
        except OSError:
            return
        answered.add(host)

    # In threads, because looking up a name has no time limit of its own.
    threads = [threading.Thread(target=connect, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    return [host for host in hosts if host not in answered]


def _read(name: str, prepared: Path | None) -> LoadResult:
    import tensorflow_datasets as tfds

    if prepared is None:
        builder = tfds.builder(name, file_format="array_record")
        builder.download_and_prepare()
    else:
        builder = tfds.builder_from_directory(prepared)
    train, test = (_arrays(builder.as_data_source(split)) for split in ("train", "test"))
    source = f"TensorFlow Datasets {builder.info.full_name}, which verifies its downloads"
    return LoadResult(RawSplits(*train, *test), source)


def _arrays(examples: Any) -> tuple[HostArray, HostArray]:
    """All images and labels of a data source."""
    pairs = [(example["image"], example["label"]) for example in examples]
    images, labels = zip(*pairs, strict=True)
    return np.stack(images), np.asarray(labels)
