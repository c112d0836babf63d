import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.training import checkpoint
from systems.utils.errors import StorageError

IDENTITY = {"seed": 0, "config": {"gamma": 0.99, "layers": (8, 8)}}
KEY = jax.random.PRNGKey(0)


@pytest.fixture(scope="module")
def states(learner):
    first = learner.init(KEY)
    second, _ = learner.update(learner.init(KEY))
    return first, second


@pytest.fixture(scope="module")
def two(states, tmp_path_factory):
    """A folder with two checkpoints."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for update, state in enumerate(states, start=1):
        save(folder, state, update)
    return folder


def save(folder, state, update, score=None, keep=3):
    return checkpoint.save(
        folder, IDENTITY, state, update=update, seconds=1.5, score=score, keep=keep
    )


def updates(folder):
    return sorted(int(path.name.removeprefix(checkpoint.PREFIX)) for path in folder.iterdir())


def test_restores_every_number_onto_its_devices(two, states):
    found = checkpoint.newest(two, pytest.fail)
    assert (found.update, found.seconds, found.score) == (2, 1.5, None)
    restored = checkpoint.restore(found, states[0])
    assert jax.tree.structure(restored) == jax.tree.structure(states[1])
    for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(states[1]), strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a.dtype, a.sharding) == (b.dtype, b.sharding)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize("point", range(20))
def test_a_truncated_checkpoint_is_reported_and_the_one_before_it_used(
    two, states, tmp_path, point
):
    folder = tmp_path / "copy"
    shutil.copytree(two, folder)
    files = files_of(folder / f"{checkpoint.PREFIX}{2:08d}")
    victim = files[point % len(files)]
    content = victim.read_bytes()
    victim.write_bytes(content[: (point * 7919) % len(content)])
    reports: list[str] = []
    found = checkpoint.newest(folder, reports.append)
    assert found.update == 1
    assert len(reports) == 1
    assert "damaged" in reports[0]
    restored = checkpoint.restore(found, states[1])
    jax.tree.map(np.testing.assert_array_equal, restored, states[0])
    shutil.rmtree(found.path)
    with pytest.raises(ValueError, match="all 1 checkpoints in it are damaged"):
        checkpoint.newest(folder, lambda message: None)


def test_a_changed_or_missing_file_is_damage_too(two, tmp_path):
    for number, damage in enumerate(
        (lambda f: f.write_bytes(b"x" * f.stat().st_size), Path.unlink)
    ):
        folder = tmp_path / str(number)
        shutil.copytree(two, folder)
        for path in list(folder.iterdir()):
            damage(max(files_of(path), key=lambda file: file.stat().st_size))
        with pytest.raises(ValueError, match="all 2 checkpoints in it are damaged"):
            checkpoint.newest(folder, lambda message: None)


@pytest.mark.parametrize("change", [{"files": None}, {"files": 3}, {"format": None}, None])
def test_a_manifest_that_lacks_something_is_damage(two, tmp_path, change):
    folder = tmp_path / "copy"
    shutil.copytree(two, folder)
    path = folder / f"{checkpoint.PREFIX}{2:08d}" / checkpoint.MANIFEST
    content = [] if change is None else json.loads(path.read_text()) | change
    if change == {"files": None}:
        del content["files"]
    path.write_text(json.dumps(content))
    reports = []
    assert checkpoint.newest(folder, reports.append).update == 1
    assert "damaged" in reports[0]


def test_nothing_to_resume_from(tmp_path):
    with pytest.raises(ValueError, match="it has none"):
        checkpoint.newest(tmp_path / "absent", pytest.fail)


def test_keeps_the_newest_and_the_best(states, tmp_path):
    for update, score in enumerate((1.0, 5.0, None, 2.0, 3.0, 4.0), start=1):
        save(tmp_path, states[0], update, score, keep=2)
    assert updates(tmp_path) == [2, 5, 6]


def test_what_came_after_the_point_of_resuming_is_removed(states, tmp_path):
    for update in (10, 20, 30):
        save(tmp_path, states[0], update)
    damaged = tmp_path / f"{checkpoint.PREFIX}{30:08d}"
    max(files_of(damaged), key=lambda file: file.stat().st_size).write_bytes(b"")
    assert checkpoint.newest(tmp_path, lambda message: None).update == 20
    save(tmp_path, states[0], 25, keep=1)
    assert updates(tmp_path) == [25]


def test_a_failed_save_leaves_what_was_there(states, tmp_path, monkeypatch):
    save(tmp_path, states[0], 1)
    before = files_of(tmp_path)

    def full(*args, **kwargs):
        raise RuntimeError("RESOURCE_EXHAUSTED: No space left on device")

    monkeypatch.setattr(checkpoint, "_digests", full)
    with pytest.raises(StorageError, match="No space left on device; nothing of it was kept"):
        save(tmp_path, states[0], 2)
    assert files_of(tmp_path) == before
    monkeypatch.undo()
    (tmp_path / f"{checkpoint.TEMPORARY}00000009" / "half").mkdir(parents=True)
    save(tmp_path, states[0], 3)
    assert updates(tmp_path) == [1, 3], "what a crash left is cleared away"


def test_what_cannot_be_removed_is_a_warning(states, tmp_path, monkeypatch, capfd):
    (tmp_path / f"{checkpoint.TEMPORARY}old" / "half").mkdir(parents=True)
    save(tmp_path, states[0], 1)
    save(tmp_path, states[0], 2, keep=1)
    real = shutil.rmtree

    def busy(path, **options):  # as where another machine has a file open
        if tmp_path not in Path(path).parents:
            real(path, **options)

    monkeypatch.setattr(shutil, "rmtree", busy)
    (tmp_path / f"{checkpoint.TEMPORARY}old" / "half").mkdir(parents=True)
    save(tmp_path, states[1], 2)
    save(tmp_path, states[1], 3, keep=1)
    assert capfd.readouterr().err.count("could not be removed") >= 3
    found = checkpoint.newest(tmp_path, pytest.fail)
    assert found.update == 3
    restored = checkpoint.restore(
        checkpoint._read_manifest(tmp_path / "update_00000002"), states[0]
    )
    jax.tree.map(np.testing.assert_array_equal, restored, states[1])


def test_other_files_beside_checkpoints_do_not_count(two, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(two, folder)
    for name in ("update_", "update_9x", "update_best", "update_00000007.tmp", "update_ 8"):
        (folder / name).mkdir()
    (folder / "update_00000006").write_text("a file")
    shutil.copytree(folder / "update_00000001", folder / "update_100000001")
    assert [int(path.name[7:]) for path in checkpoint.folders(folder)] == [100000001, 2, 1]
    assert checkpoint.newest(folder, pytest.fail).path.name == "update_100000001"


def test_a_score_that_is_no_number_is_none(states, tmp_path):
    save(tmp_path, states[0], 1, score=2.0)
    path = save(tmp_path, states[0], 2, score=float("nan"))
    json.loads((path / checkpoint.MANIFEST).read_text(), parse_constant=pytest.fail)
    save(tmp_path, states[0], 3, score=1.0, keep=1)
    assert updates(tmp_path) == [1, 3]


def test_a_full_disk_is_found_before_anything_is_written(states, tmp_path, monkeypatch):
    save(tmp_path, states[0], 1)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match="No space left on device"):
        save(tmp_path, states[0], 2)
    assert updates(tmp_path) == [1]


def test_another_identity_is_refused_with_the_difference(two):
    found = checkpoint.newest(two, pytest.fail)
    checkpoint.check_identity(found, IDENTITY)
    other = {"seed": 0, "config": {"gamma": 0.9, "layers": (8, 8)}, "more": 1}
    with pytest.raises(
        ValueError,
        match=r"config.gamma: 0.99 in the checkpoint, 0.9 now; more: absent in the checkpoint",
    ):
        checkpoint.check_identity(found, other)


def test_a_state_of_other_shapes_is_refused(two, states):
    found = checkpoint.newest(two, pytest.fail)
    other = states[0].replace(key=jnp.zeros((3,), jnp.uint32))
    with pytest.raises(
        ValueError, match=r"key: 'uint32\[2\]' in the checkpoint, 'uint32\[3\]' now"
    ):
        checkpoint.restore(found, other)
