"""Draws trainings side by side: `python -m systems.learning "runs={paper: [runs/a, runs/b]}"`.

Writes `results/learning/` with `table.md`, `records.json` and `learning.png`: for each group of
runs, which differ in their seed alone, each of them and their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ganno import plugins
from systems.command_line.command import Command
from systems.experiments.learning_curves import draw, make_table, read_group
from systems.options.commands import LearningOptions
from systems.utils.figures import write_figure
from systems.utils.files import fresh_folder, write_atomically
from systems.utils.output import echo
from systems.utils.strict_json import to_json

COMMAND = Command(module="systems.learning", config="learning", options=LearningOptions)
main = COMMAND.main
RESULTS = Path("results")
FILES = ("table.md", "records.json", "learning.png")
"""All of them are there if a comparison came to its end."""


def run(given: LearningOptions) -> None:
    """Compares, and says where."""
    plugins.load(given.plugins)
    echo(f"written to {compare(given.runs, given.output_dir)}")


def compare(
    runs: Mapping[str, Sequence[Path | str]] | None, output_dir: Path | str | None = None
) -> Path:
    """Writes table, picture and records of groups of runs; returns their folder.

    Raises:
        ValueError: if there are none, if one can't be read, or if the folder has a whole
            comparison in it; what an interrupted one left is replaced.
        StorageError: if something cannot be written.
    """
    if not runs:
        raise ValueError("runs={NAME: [FOLDER, ...]} is missing: the trainings to compare")
    if output_dir is not None and all((Path(output_dir) / name).exists() for name in FILES):
        raise ValueError(f"a comparison exists already in {output_dir}; choose another output_dir")
    groups = {name: read_group(folders) for name, folders in runs.items()}
    table = make_table(groups)
    figure = draw(groups)
    records = {
        name: {field: array.tolist() for field, array in group._asdict().items()}
        for name, group in groups.items()
    }
    folder = fresh_folder(RESULTS, "learning") if output_dir is None else Path(output_dir)
    write_atomically(folder / FILES[0], table.encode(), overwrite=True)
    write_atomically(folder / FILES[1], to_json(records).encode(), overwrite=True)
    write_figure(figure, folder / FILES[2])
    echo(table)
    return folder


if __name__ == "__main__":
    main()
