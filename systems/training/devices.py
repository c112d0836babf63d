"""Which devices a run uses, and in which processes, decided before JAX computes anything."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import platformdirs
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from systems.options.commands import Distributed
from systems.options.types import AUTO
from systems.ppo.mesh import make_mesh
from systems.utils.errors import RunError
from systems.utils.output import echo
from systems.utils.strict_json import to_json

FORCED_DEVICES = re.compile(r"--xla_force_host_platform_device_count=(\d+)")
REMEDY = (
    "start every process with the same distributed.coordinator=HOST:PORT of the first, "
    "distributed.num_processes=N and its own distributed.process_id"
)


class ProcessError(RunError):
    """The processes of a run could not connect, or another one failed."""


def configure(
    num_devices: int | Literal["auto"] = AUTO,
    *,
    num_envs: int | None = None,
    distributed: Distributed | None = None,
) -> Mesh:
    """Sets JAX up for a run and returns its mesh.

    To be called before anything imports Jumanji, which starts JAX; JAX that runs already keeps the
    devices that it has. On a CPU, each available core becomes a device, but no more than there are
    environments, unless the user says how many (`JAX_NUM_CPU_DEVICES`, or XLA's flag
    `--xla_force_host_platform_device_count` in `XLA_FLAGS`). Compiled programs are kept in
    `JAX_COMPILATION_CACHE_DIR`, else in the user's cache folder.

    Args:
        num_devices: how many devices to use, in all processes together and as many in each. "auto"
            is as many as there are, or, with `num_envs`, the most among which that many
            environments divide evenly.
        num_envs: the number of parallel environments.
        distributed: the processes; just this one if not given.

    Raises:
        ValueError: if there are fewer devices, or `num_envs` does not divide among them.
        ProcessError: if the processes cannot meet.
    """
    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        cache = Path(platformdirs.user_cache_dir("ganno")) / "jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    if _cpu_devices_chosen() is None:
        with contextlib.suppress(RuntimeError):  # JAX runs already
            cores = available_cores()
            jax.config.update("jax_num_cpu_devices", min(cores, num_envs or cores))
    if distributed is not None and distributed.coordinator is not None:
        _meet(distributed)
    return make_mesh(jax.devices(), num_devices, num_envs=num_envs)


def _cpu_devices_chosen() -> int | None:
    """How many devices the user makes of the CPU, if they say so.

    JAX's own setting goes before XLA's flag, as it does in JAX, which says nothing of it.
    """
    flags = FORCED_DEVICES.findall(os.environ.get("XLA_FLAGS", ""))
    forced = int(flags[-1]) if flags else None
    setting: int = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]
    if setting < 0:
        return forced
    if forced not in (None, setting):
        echo(
            f"warning: --xla_force_host_platform_device_count={forced} in XLA_FLAGS is overruled "
            f"by JAX_NUM_CPU_DEVICES={setting}",
            err=True,
        )
    return setting


def _meet(distributed: Distributed) -> None:
    # JAX's own would take SIGTERM for itself; `StopRequest` has it.
    jax.config.update("jax_enable_preemption_service", False)
    where = None if distributed.coordinator == AUTO else distributed.coordinator
    if distributed.process_id == 0:
        waits = f"waiting up to {distributed.timeout} s for {distributed.num_processes} processes"
        echo(f"{waits} at {where}", err=True)
    elif where is not None:
        wait_for_coordinator(where, distributed.timeout)
    try:
        jax.distributed.initialize(
            where,
            distributed.num_processes,
            distributed.process_id,
            initialization_timeout=distributed.timeout,
        )
    except (RuntimeError, ValueError) as error:
        raise ProcessError(
            f"the processes could not meet, distributed.coordinator={distributed.coordinator} "
            f"({str(error).partition(chr(10))[0]}); {REMEDY}"
        ) from error


def wait_for_coordinator(coordinator: str, timeout: int) -> None:
    """Returns once the first process listens at `coordinator`, HOST:PORT.

    JAX would abort where nobody listens, and not raise anything.

    Raises:
        ProcessError: if that takes more than `timeout` seconds.
    """
    host, _, port = coordinator.rpartition(":")
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"the first process could not be reached at {coordinator} within {timeout} s "
                    f"({error}); {REMEDY}"
                ) from error
        time.sleep(0.2)


def available_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_first() -> bool:
    """Whether this is the process that writes files and prints."""
    return jax.process_index() == 0


def gather(value: int) -> list[int]:
    """Every process's `value` (31 bits), on every process; waits for all of them."""
    if jax.process_count() == 1:
        return [value]
    gathered: list[int] = multihost_utils.process_allgather(np.int32(value)).tolist()
    return gathered


@contextlib.contextmanager
def synchronised() -> Iterator[None]:
    """A context that all processes leave at once; where one fails within, so do all.

    Nothing within may wait for another process, which might have failed before.

    Raises:
        ProcessError: if another process failed.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as caught:
        error = caught
    failed = gather(int(error is not None))
    if error is not None:
        raise error
    if any(failed):
        raise ProcessError(f"process {failed.index(1)} of {len(failed)} failed; it says why")


def check_same(value: Any) -> None:
    """Raises `ValueError` on every process unless all were given the same `value`, plain JSON."""
    if jax.process_count() == 1:
        return
    digests = gather(zlib.crc32(to_json(value, sort_keys=True).encode()) >> 1)
    if len(set(digests)) > 1:
        odd = next(i for i, digest in enumerate(digests) if digest != digests[0])
        raise ValueError(
            f"process {odd} was given other options than process 0; start all of them with the "
            "same command but for distributed.process_id"
        )


def to_host(tree: Any) -> Any:
    """Every array whole, as NumPy's, on every process; waits for all of them."""

    def fetch(x: jax.Array) -> np.ndarray:
        if x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        whole: np.ndarray = multihost_utils.process_allgather(x, tiled=True)
        return whole

    return jax.tree.map(fetch, tree)


def to_devices(x: np.ndarray, sharding: jax.sharding.Sharding) -> jax.Array:
    """An array that every process has whole, each putting its devices' share onto them."""
    return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])
