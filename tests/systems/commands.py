"""Commands that are run in this process (`conftest.in_process`), and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest


def refused(capsys, main, *given: str) -> str:
    """The one line that a command is refused with."""
    with pytest.raises(SystemExit) as ended:
        main([*given])
    output, errors = capsys.readouterr()
    assert ended.value.code == 1, errors
    assert output == ""
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1, errors
    assert not list(Path().iterdir()), "a refused command leaves nothing behind"
    return errors
