"""How programs are compiled under test: quickly, for they run for an instant, and each but once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax

ROOT = Path(__file__).resolve().parents[1]

QUICK = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
"""Nearly all of the suite's time was compilation, and with these it takes a sixth: LLVM optimises
nothing, and gets its loops from older emitters that write less for it. What XLA itself does to a
program stays, but for some of what it fuses: a test that looks there takes `FUSED_AS_USUAL`."""

FUSED_AS_USUAL = {"xla_cpu_use_fusion_emitters": True}
"""Options of `compile`, for a test that looks at what users' programs are made of."""

SETTINGS: dict[str, Any] = {
    # Code that shards replicas over devices is tested wherever there is one processor or more.
    "jax_num_cpu_devices": 2,
    # The processes that run tests, and the many that tests start, compile nothing twice.
    "jax_compilation_cache_dir": str(ROOT / ".cache" / "jax"),
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def set_up() -> None:
    """Makes this process compile quickly, and all that it starts; before JAX is first used.

    Flags that the user has set go before these, and so does their folder for the cache.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    os.environ["XLA_FLAGS"] = " ".join(dict.fromkeys([*QUICK, *flags]))
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    settings = SETTINGS | ({"jax_compilation_cache_dir": given} if given else {})
    for name, value in settings.items():
        os.environ[name.upper()] = str(value)
        jax.config.update(name, value)


def as_users_do() -> dict[str, str]:
    """The environment of a process that compiles with the user's flags alone, for all cores."""
    flags = [flag for flag in os.environ["XLA_FLAGS"].split() if flag not in QUICK]
    environment = os.environ | {"XLA_FLAGS": " ".join(flags)}
    del environment["JAX_NUM_CPU_DEVICES"]
    return environment
