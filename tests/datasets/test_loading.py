"""From a name to splits on the device: what they hold, where they are from, and what goes wrong."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import platformdirs
import pytest

from ganno_env.datasets import DATASETS, data_folder, load, loading
from ganno_env.tasks.image_classification import channel_statistics
from ganno_env.types import Batch, Dataset
from tests.datasets.conftest import toy_arrays


def numbers(batch: Batch) -> set[int]:
    """Which of the toy images these are."""
    return set(np.asarray(batch.inputs)[:, 0, 0, 0].tolist())


def test_splits_hold_images_of_their_own(toy_folder: Path) -> None:
    dataset = load("toy", data_dir=toy_folder)
    train, validation, test = map(numbers, (dataset.train, dataset.validation, dataset.test))
    assert train | validation == set(range(60))
    assert not train & validation
    assert test == set(range(100, 130))
    assert (len(train), len(validation)) == (48, 12)


def test_images_keep_their_labels(toy_folder: Path) -> None:
    dataset = load("toy", data_dir=toy_folder, train_size=20, test_size=10)
    arrays = toy_arrays()
    by_number = dict(enumerate(arrays["y_train"])) | dict(enumerate(arrays["y_test"], start=100))
    for batch in (dataset.train, dataset.validation, dataset.test):
        expected = [by_number[number] for number in np.asarray(batch.inputs)[:, 0, 0, 0].tolist()]
        assert batch.targets.tolist() == expected


def test_what_a_dataset_says_of_itself(toy_folder: Path) -> None:
    dataset = load("toy", data_dir=toy_folder)
    assert dataset.name == "toy"
    assert dataset.num_classes == 3
    assert dataset.task == "image_classification"
    assert dataset.source == "toy.npz: not compared with the official images"
    for batch in (dataset.train, dataset.validation, dataset.test):
        assert isinstance(batch.inputs, jax.Array)
        assert batch.inputs.dtype == jnp.uint8
        assert batch.targets.dtype == jnp.int32
        assert batch.inputs.shape == (batch.size, 4, 4, 1)


def test_validation_does_not_depend_on_how_much_is_trained_on(toy_folder: Path) -> None:
    whole = load("toy", data_dir=toy_folder)
    part = load("toy", data_dir=toy_folder, train_size=5)
    np.testing.assert_array_equal(whole.validation.inputs, part.validation.inputs)
    assert numbers(part.train) < numbers(whole.train)


def test_the_seed_chooses_who_is_held_out(toy_folder: Path) -> None:
    first, second = (load("toy", data_dir=toy_folder, seed=seed) for seed in (0, 1))
    assert numbers(first.validation) != numbers(second.validation)
    with pytest.raises(ValueError, match="seed=-1; it must be a whole number from 0"):
        load("toy", data_dir=toy_folder, seed=-1)


def test_loaded_twice_alike_it_is_one_copy(
    toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load("toy", data_dir=toy_folder)
    assert load("toy", data_dir=str(toy_folder)) is first
    monkeypatch.setenv("GANNO_DATA_DIR", str(toy_folder))
    assert load("toy") is first
    assert load("toy", train_size=5) is not first


def test_loaded_while_tracing_it_is_not_traced(toy_folder: Path) -> None:
    @jax.jit
    def mean_label(key: jax.Array) -> jax.Array:
        del key
        return load("toy", data_dir=toy_folder).test.targets.mean()

    assert mean_label(jax.random.key(0)) == 1.0
    assert not isinstance(load("toy", data_dir=toy_folder).test.targets, jax.core.Tracer)


def test_the_folder_is_the_argument_then_the_variable_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANNO_DATA_DIR", str(tmp_path / "variable"))
    assert data_folder(tmp_path / "argument") == tmp_path / "argument"
    assert data_folder() == tmp_path / "variable"
    monkeypatch.delenv("GANNO_DATA_DIR")
    assert data_folder() == Path(platformdirs.user_cache_dir("ganno"))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown dataset 'digit' \(did you mean 'digits'\?\)"):
        load("digit")


def test_sizes_are_checked_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SOURCES", ())
    with pytest.raises(ValueError, match="train_size=50000 is more than there are"):
        load("cifar10", train_size=50_000)


def check_real(dataset: Dataset, sizes: tuple[int, int, int], mean: tuple[float, ...]) -> None:
    """Counts, every class in every split, and the published mean of the pixels."""
    batches = (dataset.train, dataset.validation, dataset.test)
    assert tuple(batch.size for batch in batches) == sizes
    for batch in batches:
        assert set(np.asarray(batch.targets).tolist()) == set(range(10))
    measured, _ = channel_statistics(np.asarray(dataset.train.inputs))
    assert measured == pytest.approx(mean, abs=0.002)


def test_digits_need_no_download(tmp_path: Path) -> None:
    dataset = load("digits", data_dir=tmp_path)
    check_real(dataset, (1200, 233, 364), (0.3055,))
    assert dataset.train.inputs.shape[1:] == (8, 8, 1)
    assert dataset.source == "shipped in scikit-learn"
    assert int(dataset.train.inputs.min()) == 0
    assert int(dataset.train.inputs.max()) == 255


def test_digits_in_three_splits_are_all_of_them(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    dataset = load("digits", data_dir=tmp_path)
    batches = (dataset.train, dataset.validation, dataset.test)
    ours = np.concatenate([np.asarray(batch.inputs).reshape(-1, 64) for batch in batches])
    labels = np.concatenate([np.asarray(batch.targets) for batch in batches])
    pixels, targets = load_digits(return_X_y=True)
    theirs = np.round(pixels * (255 / 16)).astype(np.uint8)
    assert sorted(zip(labels, map(bytes, ours), strict=True)) == sorted(
        zip(targets, map(bytes, theirs), strict=True)
    )


def real(name: str) -> Dataset:
    """The real dataset, from files; skips the test where there are none."""
    folder = data_folder()
    spec = DATASETS[name]
    if not (folder / f"{name}.npz").is_file() and not (folder / name).is_dir():
        pytest.skip(f"{spec.name}.npz is not in {folder}; $GANNO_DATA_DIR names another folder")
    return load(name)


def test_real_fashion_mnist() -> None:
    dataset = real("fashion_mnist")
    check_real(dataset, (50_000, 10_000, 10_000), (0.286,))
    assert dataset.source.endswith("the official images")


def test_real_cifar10() -> None:
    dataset = real("cifar10")
    check_real(dataset, (45_000, 5_000, 10_000), (0.4914, 0.4822, 0.4465))
    assert "images" in dataset.source or "JPEG" in dataset.source


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "100"])
@pytest.mark.parametrize("name", ["train_size", "validation_size", "test_size"])
def test_a_size_is_a_positive_whole_number(name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r}; it must be a whole number"):
        load("digits", **{name: value})
