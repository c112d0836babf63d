"""From a name to three splits on the device."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import platformdirs

from ganno.options import Count, Fraction, PathLike, Seed, typed
from ganno_env.datasets.base import (
    DatasetError,
    DatasetSpec,
    HostArray,
    LoadResult,
    SourceUnavailable,
)
from ganno_env.datasets.catalogue import DATASETS
from ganno_env.datasets.label_noise import with_wrong
from ganno_env.datasets.sources import SOURCES
from ganno_env.datasets.splits import Sizes, resolve_sizes, split_groups, split_indices
from ganno_env.types import Batch, Dataset

DATA_DIR_VARIABLE = "GANNO_DATA_DIR"


@typed
def load(
    name: str,
    *,
    data_dir: PathLike | None = None,
    train_size: Count | None = None,
    validation_size: Count | None = None,
    test_size: Count | None = None,
    label_noise: Fraction = 0.0,
    seed: Seed = 0,
) -> Dataset:
    """Returns the dataset called `name`, in three splits that never mix.

    It is looked for in the data folder (`NAME.npz`, or the IDX files of Fashion-MNIST), in
    TensorFlow Datasets, and in the packages that ship one. Loaded twice alike, it is the same
    object, so that any number of environments share one copy.

    Args:
        name: a name in `DATASETS`.
        data_dir: the data folder; without it $GANNO_DATA_DIR, else the user's cache folder.
        train_size: takes a part of what validation leaves; without it, all of that.
        validation_size: how many official training examples to hold out.
        test_size: takes a part of the official test set; without it, all.
        label_noise: what part of the training targets is wrong, each another class at random;
            validation and test are as published.
        seed: fixes which examples are held out, taken, or wrong.

    Returns:
        inputs uint8 [N, ...] and targets int32 [N, ...], for each split.

    Raises:
        ValueError: for an unknown name, or a size or seed that can't be.
        DatasetError: if it can't be had, or its files are not what they should be.
    """
    spec = DATASETS[name]
    sizes = resolve_sizes(spec, train_size, validation_size, test_size)
    return _load(name, data_folder(data_dir), sizes, label_noise, seed)


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Where files of datasets are looked for: the argument, $GANNO_DATA_DIR, or the cache."""
    chosen = data_dir or os.environ.get(DATA_DIR_VARIABLE) or platformdirs.user_cache_dir("ganno")
    return Path(chosen).expanduser().absolute()


@functools.lru_cache(maxsize=8)
def _load(name: str, folder: Path, sizes: Sizes, label_noise: float, seed: int) -> Dataset:
    spec = DATASETS[name]
    raw, source = find(spec, folder)
    if raw.groups is None:
        indices = split_indices(raw.y_train, raw.y_test, sizes, seed)
    else:
        indices = split_groups(raw.groups, len(raw.y_test), sizes, seed)
    targets = with_wrong(raw.y_train[indices.train], spec.num_classes, label_noise, seed)
    return Dataset(
        name=name,
        train=_to_device(raw.x_train[indices.train], targets),
        validation=_to_device(raw.x_train[indices.validation], raw.y_train[indices.validation]),
        test=_to_device(raw.x_test[indices.test], raw.y_test[indices.test]),
        num_classes=spec.num_classes,
        source=source,
        task=spec.task,
    )


def clear_cache() -> None:
    """Forgets what was loaded, so that changed files are read again."""
    _load.cache_clear()


def find(spec: DatasetSpec, folder: Path) -> LoadResult:
    """Asks each source in turn; raises `DatasetError` with all their answers if none has it."""
    answers = []
    for source in SOURCES:
        try:
            return source(spec, folder)
        except SourceUnavailable as answer:
            answers.append(str(answer))
        except DatasetError as error:
            answers = [str(error), "remove that first, so that it is not found again"]
            # The message has all that the errors before it say.
            raise DatasetError(_message(spec, folder, "can't be used", answers)) from None
    raise DatasetError(_message(spec, folder, "can't be found", answers))


def _message(spec: DatasetSpec, folder: Path, problem: str, details: list[str]) -> str:
    keys = ", ".join(spec.keys)
    remedies = [
        f"put {spec.name}.npz (keys {keys}) into {folder}",
        f"name the folder that has it: export {DATA_DIR_VARIABLE}=FOLDER",
    ]
    if spec.downloads:
        command = f"python -m ganno_env.datasets.download {spec.name}"
        remedies.append(f"download the official files, where there is a network: {command}")
    lines = [f"dataset {spec.name!r} {problem}"]
    lines += [f"  {detail}" for detail in details]
    lines += ["Any one of these helps:", *(f"  {remedy}" for remedy in remedies)]
    return "\n".join(lines)


def _to_device(inputs: HostArray, targets: HostArray) -> Batch:
    # An environment may be built inside a traced function; its data must not be traced.
    with jax.ensure_compile_time_eval():
        return Batch(inputs=jnp.asarray(inputs), targets=jnp.asarray(targets))
