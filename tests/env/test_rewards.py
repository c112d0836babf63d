"""Every reward, in NumPy, from what was measured."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganno_env.rewards import REWARDS
from ganno_env.types import Metrics

EXPECTED = {
    "accuracy_difference": lambda before, after, idle: after.accuracy - idle.accuracy,
    "loss_difference": lambda before, after, idle: idle.loss - after.loss,
    "accuracy": lambda before, after, idle: after.accuracy,
    "accuracy_gain": lambda before, after, idle: after.accuracy - before.accuracy,
    "log_error_gain": lambda before, after, idle: np.log(before.error / after.error),
    "loss_gain": lambda before, after, idle: before.loss - after.loss,
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """A validation accuracy and a validation loss; the loss a reward sees is 10 at most."""

    accuracy: float
    raw_loss: float

    @property
    def loss(self) -> float:
        return 10.0 if np.isnan(self.raw_loss) else min(self.raw_loss, 10.0)

    @property
    def error(self) -> float:
        return max(1.0 - self.accuracy, 0.001)

    def metrics(self) -> Metrics:
        # Rewards are of validation: training's figures are others.
        accuracy, loss = np.float32(self.accuracy), np.float32(self.raw_loss)
        return Metrics(
            train_accuracy=jnp.float32(0.123), train_loss=jnp.float32(7.0),
            validation_accuracy=jnp.asarray(accuracy), validation_loss=jnp.asarray(loss),
        )  # fmt: skip


MEASURED = st.builds(
    Measured,
    st.sampled_from([0.0, 0.25, 0.5, 0.875, 0.9375, 1.0]),
    st.floats(0, 20, width=32) | st.sampled_from([float("inf"), float("nan"), 1e30]),
)


def test_all_are_here():
    assert set(EXPECTED) == set(REWARDS)


@pytest.mark.parametrize("name", EXPECTED)
@given(before=MEASURED, after=MEASURED, idle=MEASURED)
def test_each_is_what_its_name_says(name, before, after, idle):
    measured = (before, after, idle)
    reward = REWARDS[name].function(*(m.metrics() for m in measured))
    np.testing.assert_allclose(reward, EXPECTED[name](*measured), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EXPECTED)
def test_those_that_compare_with_doing_nothing_say_so(name):
    sound, other = Measured(0.5, 1.0).metrics(), Measured(0.75, 2.0).metrics()
    function = REWARDS[name].function
    depends = function(sound, sound, sound) != function(sound, sound, other)
    assert REWARDS[name].needs_no_op == bool(depends)
