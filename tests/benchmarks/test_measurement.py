"""How long contenders are measured, and what is made of it."""

from __future__ import annotations

import dataclasses
import runpy

import jax
import numpy as np
import pytest

from benchmarks import contenders, inner_loop, measurement
from benchmarks.cases import Case, all_cases, choose
from benchmarks.contenders import Contender
from ganno_env.networks import NETWORKS
from systems.training.devices import configure
from tests.benchmarks.test_cases import NEW

KEYS = {
    "environment", "bare", "bare_whole", "bare_chunked", "flax", "flax_vmapped", "torch",
    "environment_over_bare", "environment_over_flax", "environment_over_flax_vmapped",
    "environment_over_torch", "megaflops_per_update", "peak_gigaflops", "fraction_of_peak", "width",
    "updates_per_step",
}  # fmt: skip


class Clock:
    """Time that passes only as contenders run."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.runs: list[str] = []
        monkeypatch.setattr(measurement.time, "perf_counter", lambda: self.now)

    def contender(self, name, seconds, first=0.0, *, is_compiled=False):
        def run():
            self.now += seconds + (0.0 if name in self.runs else first)
            self.runs.append(name)

        return Contender(run, 10, is_compiled)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_the_first_run_does_not_count(clock):
    rates = measurement.measure({"a": clock.contender("a", 2.0, first=100.0)}, rounds=3)
    assert rates == {"a": 5.0}
    assert clock.runs == ["a"] * 4


def test_contenders_take_turns(clock):
    measurement.measure({name: clock.contender(name, 1.0) for name in "ab"}, rounds=2)
    assert "".join(clock.runs) == "ababab"


def test_a_slow_contender_is_measured_until_it_has_had_its_patience(clock):
    rates = measurement.measure(
        {"slow": clock.contender("slow", 8.0), "quick": clock.contender("quick", 1.0)}, rounds=5
    )
    assert rates == {"slow": 10 / 8, "quick": 10.0}
    assert (clock.runs.count("slow"), clock.runs.count("quick")) == (3, 6)


@pytest.mark.parametrize(("is_compiled", "runs"), [(True, 1), (False, 2)])
def test_a_run_longer_than_patience_is_made_once_if_it_compiled_nothing(clock, is_compiled, runs):
    slow = clock.contender("slow", 20.0, is_compiled=is_compiled)
    assert measurement.measure({"slow": slow}, rounds=5) == {"slow": 0.5}
    assert len(clock.runs) == runs


def small(case, batch_size):
    return dataclasses.replace(
        case,
        batch_size=batch_size,
        updates_per_step=1,
        stock_updates=1,
        num_examples=64,
        validation_size=2,
    )


@pytest.fixture
def optax_promotes():
    """As everywhere but under test: the bare loops have optax's own arithmetic."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def new_network(monkeypatch):
    monkeypatch.setattr(NETWORKS, "_members", dict(NETWORKS._members))
    runpy.run_path(str(NEW))


@pytest.mark.usefixtures("new_network", "optax_promotes")
def test_a_network_without_counterparts_has_none_in_their_columns(monkeypatch):
    peak = contenders.peak_flops(8)
    monkeypatch.setattr(contenders, "peak_flops", lambda: peak)
    case = small(all_cases()[-1], batch_size=32)
    assert case.network == "softmax_regression"
    row = inner_loop.run_case(case, configure(), rounds=1)
    assert set(row) == KEYS
    assert {key for key, value in row.items() if value is None} == {
        "flax", "flax_vmapped", "torch", "environment_over_flax", "environment_over_flax_vmapped",
        "environment_over_torch",
    }  # fmt: skip
    # Logits and the kernel's gradient: 32 x 3072 x 10 products and additions each; and Adam.
    assert row["megaflops_per_update"] == pytest.approx(2 * 2 * 32 * 3072 * 10 / 1e6, rel=0.2)
    assert "softmax" in str(inner_loop.as_table({case.name: row}).columns[0]._cells)


@pytest.mark.usefixtures("optax_promotes")
@pytest.mark.parametrize(("network", "num_replicas"), [("mlp", 1), ("transformer", 2)])
def test_stock_flax_makes_its_updates(network, num_replicas):
    (case,) = choose([network], [])
    case = small(case, batch_size=2)
    batches = np.zeros((3, case.batch_size), np.int32)
    contender = contenders.flax(case, case.environment(), batches, num_replicas)
    assert contender is not None
    assert (contender.num_updates, contender.is_compiled) == (3 * num_replicas, True)
    params = contender.run()[0]
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(params))


def test_a_case_is_named():
    assert Case("cnn2", 128, "fashion_mnist").name == "cnn2/128"
