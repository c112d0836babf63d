"""The mesh of devices along which environments are sharded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import jax
from jax.sharding import AxisType, Mesh

ENVS = "envs"
"""The mesh's one axis: environments are sharded along it."""


def make_mesh(
    devices: Sequence[jax.Device],
    num_devices: int | Literal["auto"] = "auto",
    *,
    num_envs: int | None = None,
) -> Mesh:
    """A one-dimensional mesh of each process's first `devices`.

    Args:
        devices: all there are, in all processes.
        num_devices: how many of them to use, in all processes together and as many in each. "auto"
            is as many as there are, or, with `num_envs`, the most among which that many
            environments divide evenly.
        num_envs: the number of parallel environments.

    Raises:
        ValueError: if there are fewer devices, or `num_envs` does not divide among them.
    """
    by_process: dict[int, list[jax.Device]] = {}
    for device in devices:
        by_process.setdefault(device.process_index, []).append(device)
    numbers = {len(group) for group in by_process.values()}
    if len(numbers) > 1:
        raise ValueError(
            f"the processes have different numbers of devices, {sorted(numbers)}; give each the "
            "same (CUDA_VISIBLE_DEVICES, JAX_NUM_CPU_DEVICES)"
        )
    num_processes, most = len(by_process), len(devices)
    choices = range(num_processes, most + 1, num_processes)
    if num_devices == "auto":
        even = [d for d in choices if num_envs is None or num_envs % d == 0]
        size = max(even, default=num_processes)
    elif type(num_devices) is int and num_devices in choices:
        size = num_devices
    else:
        multiples = f" in multiples of {num_processes}" if num_processes > 1 else ""
        raise ValueError(
            f"num_devices={num_devices!r}; choose {num_processes} to {most}{multiples}, or 'auto'"
        )
    check_divides(num_envs, size)
    chosen = [d for group in by_process.values() for d in group[: size // num_processes]]
    return jax.make_mesh((size,), (ENVS,), axis_types=(AxisType.Auto,), devices=chosen)


def check_divides(num_envs: int | None, num_devices: int) -> None:
    """Raises `ValueError` unless each device gets the same number of environments."""
    if num_envs is not None and num_envs % num_devices:
        divisors = [d for d in range(1, num_envs + 1) if num_envs % d == 0]
        raise ValueError(
            f"{num_envs} environments do not divide evenly among {num_devices} devices; choose a "
            f"multiple of {num_devices} for num_envs, or one of {divisors} for num_devices"
        )
