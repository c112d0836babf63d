"""Signals that stop a run between two updates rather than within one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from systems.training.devices import gather
from systems.utils.output import echo

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopRequest:
    """A context that notes the first SIGTERM, SIGINT or SIGHUP instead of ending the process.

    A second one has its usual effect. What the process was started to ignore, as by nohup, it
    ignores. Outside the main thread, where Python allows no handlers, nothing is noted.

    Attributes:
        received: the signal, once there was one.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def agreed(self) -> signal.Signals | None:
        """A signal that some process received, the same one in all of them; waits for them."""
        number = max(gather(self.received or 0))
        return signal.Signals(number) if number else None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {
                number: signal.signal(number, self._note)
                for number in SIGNALS
                if signal.getsignal(number) is not signal.SIG_IGN
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()
        echo(
            f"{self.received.name} received: finishing this update, then saving; "
            "once more to stop at once",
            err=True,
        )

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
