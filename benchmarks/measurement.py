"""How contenders are timed, and on what."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Mapping
from typing import Any

import jax

from benchmarks.contenders import Contender
from systems.training.devices import available_cores

PATIENCE = 15.0
"""Seconds of measurement after which a slow contender has been measured enough."""


def measure(contenders: Mapping[str, Contender], rounds: int) -> dict[str, float]:
    """Updates per second of each contender: medians over rounds of A, B, C, ..., A, B, C, ...

    Each runs once before, which does not count. A contender that has had its `PATIENCE` takes part
    in no further round; if that first run alone has taken as long, with nothing to compile, it
    counts after all.
    """
    seconds = {name: _first_run(contender) for name, contender in contenders.items()}
    for _ in range(rounds):
        for name, contender in contenders.items():
            if sum(seconds[name]) <= PATIENCE:
                seconds[name].append(_time(contender))
    return {
        name: contender.num_updates / statistics.median(seconds[name])
        for name, contender in contenders.items()
    }


def _first_run(contender: Contender) -> list[float]:
    first = _time(contender)
    return [first] if contender.is_compiled and first > PATIENCE else []


def _time(contender: Contender) -> float:
    start = time.perf_counter()
    contender.run()
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": platform.machine(),
        "cores": available_cores(),
        "devices": [str(device) for device in jax.devices()],
        "jax": jax.__version__,
        "python": platform.python_version(),
    }
