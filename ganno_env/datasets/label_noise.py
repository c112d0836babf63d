"""Wrong labels, as people make them: for what a method does where data cannot be trusted."""

from __future__ import annotations

import numpy as np

from ganno_env.datasets.base import HostArray


def with_wrong(targets: HostArray, num_classes: int, fraction: float, seed: int) -> HostArray:
    """Targets of which a part, chosen at random, is replaced by other classes (symmetric noise).

    Args:
        targets: classes, of any shape; left as they are.
        num_classes: how many there are.
        fraction: of the targets that are wrong, to the nearest whole number.
        seed: chooses which, and what stands there instead. A smaller part is within a larger one.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(3)[-1])
    wrong = rng.permutation(targets.size)[: round(fraction * targets.size)]
    shifts = rng.integers(1, num_classes, targets.size)[wrong]
    changed = targets.copy()
    changed.flat[wrong] = (targets.flat[wrong] + shifts) % num_classes
    return changed
