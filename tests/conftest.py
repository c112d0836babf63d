"""Settings that hold for every test. They must be made before JAX is first used."""

import gc
import os

import chex
import hypothesis
import jax
import jaxtyping

from tests import compilation, runtime_types

compilation.set_up()

# Types of numbers mix only where the code says so.
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Annotations, shapes included, hold wherever a test calls what takes or returns arrays.
chex.dataclass = runtime_types.evaluated(chex.dataclass)
jaxtyping.install_import_hook(runtime_types.PACKAGES, f"{runtime_types.__name__}.checked")

# Figures are drawn into files.
os.environ.setdefault("MPLBACKEND", "agg")

# The same examples on every run, and no deadline: a first call compiles.
hypothesis.settings.register_profile(
    "ganno", deadline=None, derandomize=True, max_examples=50, database=None
)
hypothesis.settings.load_profile("ganno")

LONGEST = (
    "test_dynamics", "test_processes", "test_train_command", "test_demo", "test_reproduce",
    "test_contracts", "test_rec_ippo", "test_jumanji_wrappers", "test_registration",
    "test_switches", "test_provenance", "test_reports",
)  # fmt: skip
"""Files that take long, the longest first: begun last, they would leave a core idle."""


def pytest_collection_modifyitems(items):
    """Puts the longest files first. Files stay whole, and their tests in order."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def pytest_collection_finish():
    """From here on garbage is looked for seldom, and not in what was imported.

    Tracing makes many objects and few cycles: it takes a sixth less of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
