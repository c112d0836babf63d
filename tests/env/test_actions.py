"""Actions: reading them, and what they do to a value."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganno_env.actions import ActionSet
from ganno_env.controls import PAPER_ACTIONS

BOUNDS = (0.0, 1.0)
EFFECTS = {
    "noop": lambda x: x,
    "*1.01": lambda x: x * 1.01,
    "*1.10": lambda x: x * 1.10,
    "/1.01": lambda x: x / 1.01,
    "/1.10": lambda x: x / 1.10,
    "+0.0005": lambda x: x + 0.0005,
    "-0.0005": lambda x: x - 0.0005,
    "+0.001": lambda x: x + 0.001,
    "-0.001": lambda x: x - 0.001,
}


def test_the_paper_has_nine():
    assert tuple(EFFECTS) == PAPER_ACTIONS


@given(value=st.floats(0, 1, width=32), action=st.integers(0, 8))
def test_each_does_what_it_says_within_bounds(value, action):
    actions = ActionSet.parse(PAPER_ACTIONS)
    after = actions.apply(jnp.float32(value)[None], jnp.array([action]), BOUNDS)[0]
    expected = np.clip(EFFECTS[PAPER_ACTIONS[action]](value), *BOUNDS)
    np.testing.assert_allclose(after, expected, rtol=1e-6, atol=1e-9)


@given(value=st.floats(0, 1, width=32))
def test_the_no_op_is_exact(value):
    actions = ActionSet.parse(PAPER_ACTIONS)
    assert actions.apply(jnp.float32(value)[None], jnp.array([0]), BOUNDS)[0] == np.float32(value)


@given(value=st.floats(0, 1, width=32))
def test_a_value_can_be_set_whatever_it_was(value):
    actions = ActionSet.parse(["noop", "=0.003"])
    after = actions.apply(jnp.float32([value, value]), jnp.array([1, 0]), BOUNDS)
    np.testing.assert_array_equal(after, np.float32([0.003, value]))


def test_other_signs_are_understood():
    assert ActionSet.parse(["noop", "x2", "×3", "÷4"]).names == ("noop", "*2", "*3", "/4")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "first action must be 'noop'"),
        (["*2", "noop"], "first action must be 'noop'"),
        (["noop", "^2"], "unknown action '\\^2'"),
        (["noop", "*"], "unknown action '\\*'"),
        (["noop", "*-2"], "unknown action"),
        (["noop", "+inf"], "unknown action"),
        (["noop", "*nan"], "unknown action"),
        (["noop", "*0"], "unknown action"),
        (["noop", "+0.0"], "unknown action"),
        (["noop", "=-0.1"], "unknown action"),
        (["noop", "*2", "x2"], "listed twice"),
    ],
)
def test_lists_that_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        ActionSet.parse(names)


def test_actions_are_whole_numbers():
    actions = ActionSet.parse(PAPER_ACTIONS)
    np.testing.assert_array_equal(actions.legal(jnp.array([0, 8, 9, -1])), [0, 8, 0, 0])
    with pytest.raises(ValueError, match="actions must be whole numbers, not float32"):
        actions.legal(jnp.array([1.0]))
