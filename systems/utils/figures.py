"""Pictures as files."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from systems.utils.files import write_atomically

RESOLUTION = 150
"""Dots in an inch."""


def write_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG in place of any before it, whole or not at all.

    Raises:
        StorageError: if it cannot be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=RESOLUTION)
    write_atomically(path, buffer.getvalue(), overwrite=True)
