"""Muon: momentum whose matrices are made orthogonal (Jordan et al., 2024)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax

from ganno.options import Count
from ganno_env.controls import Hyperparameters
from ganno_env.optimisers.base import Optimiser, ascent
from ganno_env.optimisers.standard import Decay

KERNEL = "kernel"
"""How the names of layers' matrices end."""
COEFFICIENTS = tuple(np.array([3.4445, -4.7750, 2.0315], np.float32))
"""Of Newton-Schulz, Jordan's; as numbers of Python's, optax would keep them in 64 bits."""
RMS = 0.2
"""The root mean square of its updates: Adam's, so that both take rates of one size (Liu et al.,
"Muon is Scalable for LLM Training", 2025)."""


def muon(momentum: Decay = 0.95, num_iterations: Count = 5) -> Optimiser:
    """Muon for kernels and Adam for all else, with decoupled weight decay.

    A convolution's kernel [k, k, C, O] is a matrix [k k C, O].

    Args:
        momentum: decay of the gradient's running mean.
        num_iterations: of Newton-Schulz an update.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return ascent(
            optax.contrib.muon(
                1.0,
                ns_coeffs=COEFFICIENTS,
                beta=momentum,
                ns_steps=num_iterations,
                consistent_rms=RMS,
                muon_weight_dimension_numbers=_matrices,
            )
        )

    return Optimiser(build)


def _matrices(params: Any) -> Any:
    """How each kernel is a matrix; None for what is none, which Adam trains."""

    def dimensions(path: tuple[jax.tree_util.DictKey, ...], leaf: jax.Array) -> Any:
        if not path[-1].key.endswith(KERNEL):
            return None
        return optax.contrib.MuonDimensionNumbers(
            reduction_axis=tuple(range(leaf.ndim - 1)), output_axis=leaf.ndim - 1
        )

    return jax.tree.map_with_path(dimensions, params)
