"""One of two processes that train together; `test_processes.py` starts both.

Arguments: a folder, the coordinator, this process's number. Prints what it saw, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from systems.options.commands import Distributed
from systems.training.devices import configure

folder, number = Path(sys.argv[1]), int(sys.argv[3])
processes = Distributed(coordinator=sys.argv[2], num_processes=2, process_id=number, timeout=60)
mesh = configure(2, num_envs=4, distributed=processes)

import jax  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import NamedSharding, PartitionSpec  # noqa: E402

from ganno_env.compilation import jit_with_data  # noqa: E402
from systems.training import checkpoint  # noqa: E402
from systems.training import loop as training  # noqa: E402
from tests.systems.conftest import ONCE  # noqa: E402
from tests.systems.short_runs import UPDATES, train_for  # noqa: E402

training.SYSTEMS = ONCE  # type: ignore[assignment]


def error_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def interrupted(learner: Any, config: Any, at: Any) -> Any:
    """The second process receives a signal during its third update."""
    if (number, at.update) == (1, 2):
        os.kill(os.getpid(), signal.SIGTERM)
    return advance(learner, config, at)


def full(path: Path) -> None:
    raise OSError(28, "No space left on device")


def times(data: np.ndarray) -> list[float]:
    everywhere = NamedSharding(mesh, PartitionSpec())
    double = jit_with_data(lambda x: x * data, out_shardings=everywhere, data_sharding=everywhere)
    doubled: list[float] = np.asarray(double(np.float32(2.0))).tolist()
    return doubled


seen: dict[str, Any] = {"devices": [d.process_index for d in mesh.devices.flat]}
seen["data"] = times(np.arange(3, dtype=np.float32))
seen["other data"] = error_of(lambda: times(np.full(3, number, np.float32)))
seen["other options"] = error_of(lambda: train_for(UPDATES, seed=number, mesh=mesh))
advance = training._advance
with mock.patch.object(training, "_advance", interrupted):
    stopped = train_for(UPDATES, folder / "run", mesh=mesh)
seen["stopped"] = [stopped.stopped_by.name if stopped.stopped_by else None, len(stopped.records)]
resumed = train_for(UPDATES, folder / "run", mesh=mesh, resume=True)
seen["resumed"] = [jax.tree.map(float, record) for record in resumed.records]
seen["parameters"] = float(sum(np.abs(x).sum() for x in jax.tree.leaves(resumed.policy.params)))
if number == 0:
    checkpoint._digests = full
seen["full disk"] = error_of(lambda: train_for(1, folder / "full", mesh=mesh))
print(json.dumps(seen))
