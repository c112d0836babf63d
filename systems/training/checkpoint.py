"""Training checkpoints: the whole learner state, from which a run goes on bit for bit.

A checkpoint is a folder: Orbax's own files, and a manifest with what was trained, how far, and a
SHA-256 of every file. It is written under another name and renamed when it is whole; what a crash
or a full disk leaves is recognised by the manifest and passed over.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from systems.ppo.types import LearnerState
from systems.training.devices import to_devices
from systems.utils.errors import StorageError
from systems.utils.files import check_space, discard, storage_errors, write_atomically
from systems.utils.provenance import Provenance
from systems.utils.strict_json import to_json

FORMAT = "ganno-checkpoint-1"
MANIFEST = "manifest.json"
PREFIX = "update_"
TEMPORARY = ".writing_"
STATE = "state"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files are all as they were written.

    Attributes:
        path: its folder.
        update: the number of updates made.
        seconds: what training had taken by then.
        score: what "best" means, greatest first; None where nothing could be said.
        identity: what was trained: a run of another identity must not continue from here.
        state: the type and shape of every array in it, by its name.
    """

    path: Path
    update: int
    seconds: float
    score: float | None
    identity: Mapping[str, Any]
    state: Mapping[str, str]


def save(
    folder: Path,
    identity: Mapping[str, Any],
    state: LearnerState,
    *,
    update: int,
    seconds: float,
    score: float | None,
    keep: int,
) -> Path:
    """Saves a state, then removes all but the newest `keep` checkpoints and the best one.

    Args:
        folder: where they are; need not exist yet.
        identity: what is being trained; plain JSON.
        state: the learner's, whole, as NumPy arrays.
        update: the number of updates made.
        seconds: what training has taken.
        score: what "best" means, greatest first.
        keep: how many of the newest to keep, at least 1.

    Raises:
        StorageError: if it cannot be written; the checkpoints before it are then untouched.
    """
    from systems.utils.arrays import write_arrays  # Orbax takes a second to import

    folder = folder.absolute()
    final = folder / f"{PREFIX}{update:08d}"
    # What was left under a name like it need not be removable.
    unique = f"{TEMPORARY}{update:08d}_{uuid.uuid4().hex}"
    temporary, replaced = folder / unique, folder / f"{unique}_replaced"
    try:
        with storage_errors(final):
            folder.mkdir(parents=True, exist_ok=True)
            for abandoned in folder.glob(f"{TEMPORARY}*"):
                discard(abandoned)
            # A disk that is full already is better found here than by a library's threads.
            check_space(folder, sum(x.nbytes for x in jax.tree.leaves(state)))
            temporary.mkdir()
            write_arrays(temporary / STATE, _flatten(state))
            manifest = {
                "format": FORMAT,
                "update": update,
                "seconds": seconds,
                "score": score,
                "identity": identity,
                "state": _described(state),
                "files": _digests(temporary),
            }
            write_atomically(temporary / MANIFEST, to_json(manifest, indent=1).encode())
            if final.exists():
                final.rename(replaced)
            temporary.rename(final)
            discard(replaced)
    except BaseException:
        discard(temporary)
        raise
    _remove_old(folder, update, keep)
    return final


def _remove_old(folder: Path, update: int, keep: int) -> None:
    manifests = [_read_manifest(path) for path in folders(folder)]
    found = [c for c in manifests if isinstance(c, Checkpoint)]
    # Later ones were passed over as damaged when this run was resumed from before them.
    kept = [c for c in found if c.update <= update][:keep]
    scored = [(c.score, c.update, c) for c in found if c.score is not None and c.update <= update]
    kept += [max(scored, key=lambda item: item[:2])[2]] if scored else []
    for path in {c.path for c in found} - {c.path for c in kept}:
        discard(path)


def newest(folder: Path, report: Callable[[str], None]) -> Checkpoint:
    """The newest whole checkpoint in a folder.

    Args:
        folder: where they are.
        report: is told of each newer one that is damaged.

    Raises:
        ValueError: if no checkpoint is whole.
    """
    found = folders(folder)
    for path in found:
        checkpoint = _read_manifest(path)
        if isinstance(checkpoint, Checkpoint):
            damage = _damage(path)
            if damage is None:
                return checkpoint
        else:
            damage = checkpoint
        report(f"checkpoint {path} is damaged ({damage}) and passed over")
    state = f"all {len(found)} checkpoints in it are damaged" if found else "it has none"
    raise ValueError(f"no checkpoint to resume from in {folder}: {state}")


def restore(checkpoint: Checkpoint, state: LearnerState) -> LearnerState:
    """A checkpoint's state.

    Args:
        checkpoint: from `newest`.
        state: any state of the same learner; says the shapes, types and devices.

    Raises:
        ValueError: if it is the state of another learner.
        StorageError: if the files cannot be read.
    """
    from systems.utils.arrays import read_arrays

    problem = f"checkpoint {checkpoint.path} is of another learner's state"
    _check_same(problem, checkpoint.state, _described(state))
    flat = _flatten(state)
    try:
        values = read_arrays(checkpoint.path / STATE, flat)
    except Exception as error:
        raise StorageError(
            f"checkpoint {checkpoint.path} cannot be read: {error}; remove it to use an earlier one"
        ) from error
    placed = [to_devices(np.asarray(values[name]), x.sharding) for name, x in flat.items()]
    return jax.tree.unflatten(jax.tree.structure(state), placed)


def check_identity(checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Raises `ValueError`, showing the differences, if a checkpoint is of another identity."""
    problem = f"checkpoint {checkpoint.path} is of another run"
    _check_same(problem, checkpoint.identity, identity)


def _check_same(problem: str, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if found := Provenance(saved).differences(Provenance(wanted), "in the checkpoint"):
        raise ValueError(f"{problem}: {found}. Resume with the same options, or start a new run")


def _flatten(state: LearnerState) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): x for path, x in leaves}


def _described(state: LearnerState) -> dict[str, str]:
    return {name: f"{x.dtype}{list(x.shape)}" for name, x in _flatten(state).items()}


def folders(folder: Path) -> list[Path]:
    """Those of the checkpoints in a folder, damaged or not, the newest first."""
    found = {
        int(path.name.removeprefix(PREFIX)): path
        for path in folder.glob(f"{PREFIX}*")
        if re.fullmatch(r"[0-9]+", path.name.removeprefix(PREFIX)) and path.is_dir()
    }
    return [found[update] for update in sorted(found, reverse=True)]


def _read_manifest(path: Path) -> Checkpoint | str:
    """A checkpoint as its manifest has it, or what is wrong with the manifest."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            return f"its format is {manifest['format']!r}, not {FORMAT!r}"
        manifest["files"].keys()  # what the checksums below are looked up in
        fields = ("update", "seconds", "score", "identity", "state")
        return Checkpoint(path=path, **{name: manifest[name] for name in fields})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST} cannot be read: {error}"


def _damage(path: Path) -> str | None:
    expected = json.loads((path / MANIFEST).read_bytes())["files"]
    try:
        found = _digests(path)
    except OSError as error:
        return str(error)
    changed = [name for name in expected if found.get(name) != expected[name]]
    return f"{changed[0]} is missing or not as it was written" if changed else None


def _digests(path: Path) -> dict[str, str]:
    return {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file != path / MANIFEST
    }
