"""Which devices a run uses, decided before JAX computes anything."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import jax
import platformdirs
from jax.sharding import AxisType, Mesh

ENVS = "envs"
"""The mesh's one axis: environments are sharded along it."""


def configure(num_devices: int | Literal["auto"] = "auto", *, num_envs: int | None = None) -> Mesh:
    """Sets JAX up for a run and returns its mesh.

    To be called before anything imports Jumanji, which starts JAX; JAX that runs already keeps the
    devices that it has. On a CPU, each available core becomes a device, but no more than there are
    environments. Compiled programs are kept in `JAX_COMPILATION_CACHE_DIR`, else in the user's
    cache folder.

    Args:
        num_devices: how many devices to use. "auto" is as many as there are, or, with `num_envs`,
            the most among which that many environments divide evenly.
        num_envs: the number of parallel environments.

    Raises:
        ValueError: if there are fewer devices, or `num_envs` does not divide among them.
    """
    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        cache = Path(platformdirs.user_cache_dir("ganno")) / "jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    with contextlib.suppress(RuntimeError):  # JAX runs already
        cores = available_cores()
        jax.config.update("jax_num_cpu_devices", min(cores, num_envs or cores))
    return make_mesh(jax.devices(), num_devices, num_envs=num_envs)


def make_mesh(
    devices: Sequence[jax.Device],
    num_devices: int | Literal["auto"] = "auto",
    *,
    num_envs: int | None = None,
) -> Mesh:
    """A one-dimensional mesh of the first of `devices`; arguments and errors as `configure`'s."""
    if num_devices == "auto":
        candidates = range(1, len(devices) + 1)
        size = max(d for d in candidates if num_envs is None or num_envs % d == 0)
    elif isinstance(num_devices, int) and 1 <= num_devices <= len(devices):
        size = num_devices
    else:
        raise ValueError(f"num_devices={num_devices!r}; choose 1 to {len(devices)}, or 'auto'")
    check_divides(num_envs, size)
    return jax.make_mesh((size,), (ENVS,), axis_types=(AxisType.Auto,), devices=devices[:size])


def check_divides(num_envs: int | None, num_devices: int) -> None:
    """Raises `ValueError` unless each device gets the same number of environments."""
    if num_envs is not None and num_envs % num_devices:
        divisors = [d for d in range(1, num_envs + 1) if num_envs % d == 0]
        raise ValueError(
            f"{num_envs} environments do not divide evenly among {num_devices} devices; choose a "
            f"multiple of {num_devices} for num_envs, or one of {divisors} for num_devices"
        )


def available_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
