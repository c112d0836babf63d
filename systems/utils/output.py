"""Printing that never ends a run.

A terminal may be closed, the reader of a pipe may end, a disk that output goes to may fill up, and
an encoding may lack a letter. None of that is worth a run: what cannot be printed is left out, and
letters that an encoding lacks are replaced.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

from rich.console import Console

STREAMS = ("stdout", "stderr")
FAILURES = (OSError, ValueError, RuntimeError)
"""Of a stream that is gone or full, one that is closed, and one that a signal's handler writes to
in the midst of another write."""


class SafeStream:
    """A text stream whose `write` and `flush` never raise; otherwise it is the stream it wraps.

    Args:
        find: the stream to write to, asked for at each use; None for nowhere.
    """

    def __init__(self, find: Callable[[], TextIO | None]) -> None:
        self._find = find

    def write(self, text: str) -> int:
        """Writes what the stream takes; returns the length of all."""
        stream = self._find()
        if stream is not None:
            with contextlib.suppress(*FAILURES):
                try:
                    stream.write(text)
                except UnicodeEncodeError as error:
                    stream.write(text.encode(error.encoding, "replace").decode(error.encoding))
        return len(text)

    def flush(self) -> None:
        """Flushes what the stream takes."""
        stream = self._find()
        if stream is not None:
            with contextlib.suppress(*FAILURES):
                stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal, and still open."""
        stream = self._find()
        try:
            return stream is not None and stream.isatty()
        except ValueError:
            return False

    @property
    def rich_proxied_file(self) -> Any:
        """What Rich prints to: never the standard stream that it has put in place of this one."""
        stream = self._find()
        proxied = getattr(stream, "rich_proxied_file", stream)
        return _safe(proxied)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)


def standard(name: str) -> TextIO:
    """A `SafeStream` of whatever `sys.stdout` or `sys.stderr` is at each write."""
    return cast(TextIO, SafeStream(lambda: getattr(sys, name)))


def echo(message: str, *, err: bool = False) -> None:
    """Prints a line at once, to standard output or standard error."""
    print(message, file=standard("stderr" if err else "stdout"), flush=True)


def make_console(*, stderr: bool = False, **options: Any) -> Console:
    """Rich's console on a standard stream.

    Texts are printed as they are: paths and names may hold what is markup to Rich.

    Args:
        stderr: on standard error rather than standard output.
        **options: any other argument of `rich.console.Console`.
    """
    stream = standard("stderr" if stderr else "stdout")
    return Console(file=stream, markup=False, emoji=False, **options)


def protect_standard_streams() -> None:
    """Makes the process's standard streams safe, also for libraries and for Python's own exit.

    For commands, as they begin. Streams that the process was started without lead to the null
    device: a file that is opened later must not take their place.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in STREAMS:
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 until the end
        if not isinstance(stream, SafeStream):
            setattr(sys, name, _safe(stream))


def _safe(stream: TextIO | None) -> SafeStream:
    return SafeStream(lambda: stream)
