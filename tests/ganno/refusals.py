"""Mistakes, and what is said of them."""

from __future__ import annotations

import pytest


def refused(call):
    """What is said of a mistake: one line, by an error of one kind."""
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
    return str(error.value)
