"""The hand-made learning-rate schedules of the paper's figure 5, on optax.

A builder takes the initial (for warm-ups: the peak) rate and the number of updates, and returns an
optax schedule. A new one is a function and its line here.
"""

from __future__ import annotations

from collections.abc import Callable

import optax

from ganno_env.registry import Registry
from ganno_env.schedules import decays, warmups
from ganno_env.schedules.rex import rex
from ganno_env.schedules.sgdr import sgdr

ScheduleBuilder = Callable[[float, int], optax.Schedule]

SCHEDULES: Registry[ScheduleBuilder] = Registry("schedule")
SCHEDULES.add("constant", decays.constant)
SCHEDULES.add("linear", decays.linear)
SCHEDULES.add("quadratic", decays.quadratic)
SCHEDULES.add("cosine", decays.cosine)
SCHEDULES.add("exponential", decays.exponential)
SCHEDULES.add("piecewise", decays.piecewise)
SCHEDULES.add("sgdr", sgdr)
SCHEDULES.add("warmup_cosine", warmups.warmup_cosine)
SCHEDULES.add("warmup_constant", warmups.warmup_constant)
SCHEDULES.add("one_cycle", warmups.one_cycle)
SCHEDULES.add("rex", rex)
