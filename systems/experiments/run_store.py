"""The runs of an experiment on disk, one small file each, so that none is made twice.

Each file holds all that its run was made with, and is named by the digest of that. So a run with
anything changed is another run, and is kept beside the old one.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax

from ganno.archives import UNREADABLE, read_archive
from ganno_env import NetworkTraining
from ganno_env.evaluation.methods import Listed
from ganno_env.types import RunRecord
from systems.experiments import provenance
from systems.options.experiment import Experiment
from systems.utils.archives import write_archive
from systems.utils.files import write_atomically
from systems.utils.provenance import Provenance
from systems.utils.strict_json import to_json

FORMAT = "ganno-runs-1"
MANIFEST = "manifest.json"
FOLDER = "runs"
SEPARATOR = "/"
"""Between the names of an array within a record, such as controls/learning_rate."""
REMEDY = "choose another output_dir, or remove that folder"
PARTS = ("run", "method", "cell")
"""Of a run's provenance: the store's identity, the method's definition, the run's place."""
LONGEST_NAME = 40
"""Characters of a row's name that are in its files' names."""


class RunKey(NamedTuple):
    """What tells an experiment's runs apart: the run's place in its table.

    Attributes:
        method: the row's name.
        learning_rate: the column's initial rate; None where the method has none.
        weight_decay, seed: the run's.
    """

    method: str
    learning_rate: float | None
    weight_decay: float
    seed: int


class Kept(NamedTuple):
    """A run as its file has it.

    Attributes:
        key: its place.
        listed: its row, as reports need it.
        provenance: what it was made with; see `PARTS`.
        order: greater, the later it was made.
        record: what it came to.
    """

    key: RunKey
    listed: Listed
    provenance: Mapping[str, Any]
    order: float
    record: RunRecord

    @property
    def definition(self) -> Provenance:
        """What the method did, which its runs depend on."""
        return Provenance(self.provenance["method"])


class RunStore:
    """Finished runs in a folder; each is written whole or not at all.

    Args:
        folder: an experiment's; made if it is not there.
        identity: what every run in it depends on, plain JSON; kept in a manifest, and with each.

    Raises:
        ValueError: if the folder holds runs that were made with anything else.
        StorageError: if it cannot be written.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self.identity = Provenance(identity)
        path = folder / MANIFEST
        found = _read_manifest(path)
        if found is None:
            if (folder / FOLDER).exists():
                raise ValueError(f"{folder} holds runs, but {MANIFEST} is missing; {REMEDY}")
            manifest = {"format": FORMAT, "identity": self.identity.value}
            content = to_json(manifest, indent=1, sort_keys=True)
            write_atomically(path, content.encode(), overwrite=True)
        elif found["format"] != FORMAT:
            raise ValueError(
                f"{folder} holds runs in the format {found['format']!r} of another version, not "
                f"{FORMAT!r}; {REMEDY}"
            )
        elif difference := Provenance(found["identity"]).differences(self.identity):
            raise ValueError(
                f"{folder} holds runs that were made otherwise ({difference}); {REMEDY}"
            )

    def load(self, key: RunKey, definition: Mapping[str, Any]) -> RunRecord | None:
        """A run's record; None unless it is there, can be read, and was made with just these."""
        wanted = self._provenance(key, definition)
        kept = _read(self._file(key, wanted))
        if kept is None or Provenance(kept.provenance) != wanted:
            return None
        return kept.record

    def save(
        self, key: RunKey, listed: Listed, definition: Mapping[str, Any], record: RunRecord
    ) -> None:
        """Writes a run's record; raises `StorageError` if it cannot be written."""
        made_with = self._provenance(key, definition)
        header = {"cell": key, "listed": listed._asdict(), "provenance": made_with.value}
        fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
        arrays = flax.traverse_util.flatten_dict(fields, sep=SEPARATOR)
        write_archive(self._file(key, made_with), header, arrays, overwrite=True)

    def kept(self) -> Iterator[Kept]:
        """All runs of this store's identity, of whatever definitions, oldest first."""
        runs = [kept for path in (self.folder / FOLDER).glob("*.npz") if (kept := _read(path))]
        ours = [kept for kept in runs if Provenance(kept.provenance["run"]) == self.identity]
        yield from sorted(ours, key=lambda kept: (kept.order, kept.key.method))

    def _provenance(self, key: RunKey, definition: Mapping[str, Any]) -> Provenance:
        parts = (self.identity.value, definition, key._asdict())
        return Provenance(dict(zip(PARTS, parts, strict=True)))

    def _file(self, key: RunKey, made_with: Provenance) -> Path:
        rate = "none" if key.learning_rate is None else f"{key.learning_rate:g}"
        readable = f"{slug(key.method)}-{rate}-{key.weight_decay:g}-{key.seed}"
        return self.folder / FOLDER / f"{readable}-{made_with.digest[:12]}.npz"


def open_store(
    folder: Path,
    experiment: Experiment,
    environment: Mapping[str, Any],
    env: NetworkTraining,
    options: Mapping[str, Any] | None = None,
) -> RunStore:
    """The store of an experiment's runs in `folder`.

    Args:
        folder: where the runs are, or will be.
        experiment: what is run.
        environment: `make_env`'s arguments.
        env: what `make_env` made of them.
        options: what else must be the same for the folder to be used again.

    Raises:
        ValueError: if the folder holds runs that were made with anything else.
        StorageError: if it cannot be written.
    """
    identity = {
        "experiment": experiment.name,
        "environment": provenance.of_environment(environment, env),
        "split": experiment.split,
        "test_every_step": experiment.test_every_step,
        "version": provenance.version(),
    }
    return RunStore(folder, identity if options is None else {**identity, "options": options})


def records_as_json(records: Mapping[RunKey, RunRecord]) -> list[dict[str, Any]]:
    """Runs with all their figures, as plain JSON."""
    return [
        key._asdict()
        | {f.name: _as_lists(getattr(record, f.name)) for f in dataclasses.fields(record)}
        for key, record in records.items()
    ]


def _as_lists(value: Any) -> Any:
    return jax.tree.map(lambda array: array.tolist(), value)


def slug(name: str) -> str:
    """A row's name as part of a file's name: "Lion, λ = 0.1" becomes "lion-λ-0.1". Not unique."""
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-.")[:LONGEST_NAME]


def _read_manifest(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
        return {name: found[name] for name in ("format", "identity")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read ({error!r}); {REMEDY}") from error


def _read(path: Path) -> Kept | None:
    """A run's file; None if it is not there, or damaged."""
    try:
        order = path.stat().st_mtime
        header, arrays = read_archive(path)
        tree = flax.traverse_util.unflatten_dict(arrays, sep=SEPARATOR)
        listed, made_with = header["listed"], header["provenance"]
        actions = tuple((control, tuple(names)) for control, names in listed["actions"])
        return Kept(
            key=RunKey(*header["cell"]),
            listed=Listed(**listed | {"actions": actions}),
            provenance={part: made_with[part] for part in PARTS},
            order=order,
            record=RunRecord(**tree),
        )
    except UNREADABLE:
        return None
