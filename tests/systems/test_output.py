"""Printing fails in every way that a stream can, and nothing else does."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.progress import Progress

from systems.utils import output
from systems.utils.output import SafeStream, echo, make_console, protect_standard_streams
from tests.systems.short_runs import train_for

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("compiled_once")


class Broken(io.StringIO):
    """As a pipe whose reader has ended, or a full disk."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {
    "pipe": lambda: Broken(BrokenPipeError(32, "Broken pipe")),
    "full disk": lambda: Broken(OSError(28, "No space left on device")),
    "terminal gone": lambda: Broken(OSError(5, "Input/output error")),
    "within a write": lambda: Broken(RuntimeError("reentrant call")),
    "closed": closed,
    "none": lambda: None,
    "latin-1": lambda: io.TextIOWrapper(io.BytesIO(), "latin-1"),
    "ascii": lambda: io.TextIOWrapper(io.BytesIO(), "ascii"),
}


@pytest.fixture(params=STREAMS)
def stream(request, monkeypatch):
    made = STREAMS[request.param]()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "stderr", made)
    return made


@pytest.mark.parametrize("err", [False, True])
def test_lines_tables_and_bars_raise_nothing(stream, err):
    echo("accuracy, λ = 0.1, \udcff", err=err)
    for terminal in (False, True):
        console = make_console(stderr=err, force_terminal=terminal)
        console.rule("λ")
        console.print("[/not markup] λ", soft_wrap=True)
        with Progress(console=console, disable=not terminal) as bar:
            bar.advance(bar.add_task("λ", total=1))
            echo("while there is a bar", err=err)


def test_a_protected_stream_is_safe_for_libraries_and_at_exit(stream):
    protect_standard_streams()
    protect_standard_streams()
    for name in output.STREAMS:
        protected = getattr(sys, name)
        assert isinstance(protected, SafeStream)
        print("λ", file=protected, flush=True)
        protected.isatty()


def test_letters_that_an_encoding_lacks_are_replaced(monkeypatch):
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, "latin-1"))
    echo("à λ = 1")
    assert content.getvalue().decode("latin-1") == "à ? = 1\n"


def test_what_is_printed_is_not_markup(capsys):
    make_console().print("runs/a[/b]/[red]:smile:")
    assert capsys.readouterr().out == "runs/a[/b]/[red]:smile:\n"


def test_a_stream_is_found_when_it_is_written_to(capsys):
    console = make_console(stderr=True)
    console.print("one")
    echo("two", err=True)
    assert capsys.readouterr().err == "one\ntwo\n"


def test_training_outlives_its_terminal(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stderr", STREAMS["pipe"]())
    result = train_for(2, tmp_path, loggers={"console": {"every": 0.0}, "jsonl": None})
    assert len(result.records) == 2
    assert (tmp_path / "policy.npz").is_file()


FIRST_FILE = """
import contextlib, os, sys
from systems.utils.output import echo, protect_standard_streams
protect_standard_streams()
descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
echo("x" * 100_000), echo("x" * 100_000, err=True), print("x")
for standard in (1, 2):
    with contextlib.suppress(OSError):
        os.write(standard, b"from a library in C")
sys.exit(3 if descriptor > 2 else 4)
"""


@pytest.mark.parametrize("streams", [">&- 2>&-", ">/dev/full 2>/dev/full"])
def test_a_process_keeps_its_exit_code_and_its_files(streams, tmp_path):
    command = f'exec "$0" -c "$1" "$2" {streams} <&-'
    arguments = [sys.executable, FIRST_FILE, str(tmp_path / "file")]
    done = subprocess.run(["sh", "-c", command, *arguments], cwd=ROOT, env=os.environ, check=False)
    assert done.returncode == 3
    assert (tmp_path / "file").read_bytes() == b""
