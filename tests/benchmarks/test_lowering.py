"""The choices that are measured compute the same, and what is said of a profile is in it."""

from __future__ import annotations

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import lowering, profile

CHOICES = lowering.choices()


def change(function, arguments):
    """What one turn of a choice's loop adds to each array that it carries, as vectors."""
    after = jax.jit(function)(*arguments)
    pairs = zip(jax.tree.leaves(after), jax.tree.leaves(arguments[0]), strict=True)
    return [np.subtract(a, b, dtype=np.float64).ravel() for a, b in pairs]


@pytest.mark.parametrize("name", CHOICES)
def test_both_ways_of_a_choice_compute_the_same(name):
    choice = CHOICES[name]()
    ours = change(choice.ours, choice.arguments)
    other = change(choice.other, choice.others or choice.arguments)
    for a, b in zip(ours, other, strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, rtol=0, atol=0.02 * np.abs(b).max())


def test_a_choices_ratio_is_of_its_times(monkeypatch):
    monkeypatch.setattr(lowering, "REPEATS", 2)
    row = lowering.measure(CHOICES["kernel transposed first: [9, 8] by [9, 12544]"]())
    assert row["ratio"] == pytest.approx(row["other"] / row["ours"])
    assert min(row.values()) > 0


def test_a_profile_tells_products_from_sums():
    def function(x):
        return jax.lax.fori_loop(0, 3, lambda _, y: jnp.tanh(y @ x), x).sum()

    x = jnp.ones((64, 64), jnp.float32)
    compiled = jax.jit(function).lower(x).compile()
    times = profile.profile(compiled, x)
    assert not any(name.startswith("while") for name in times)
    sums = profile.by_kind(times, profile.kinds(compiled.as_text()))
    assert {"matrix product", "reduction"} <= set(sums)
    assert sum(sums.values()) == pytest.approx(sum(times.values()))
    assert list(sums.values()) == sorted(sums.values(), reverse=True)


@pytest.mark.slow
def test_the_profile_of_a_step_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["profile", "--case", "mlp/64", "--json"])
    profile.main()
    printed = json.loads(capsys.readouterr().out)
    assert printed["updates"] == 200
    assert printed["kinds"]["matrix product"] > 0


def test_an_unknown_case_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["profile", "--case", "cnn9/64"])
    with pytest.raises(SystemExit):
        profile.main()
    assert "cnn9/64" in capsys.readouterr().err
