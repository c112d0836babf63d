"""Several iterators as one stream, each in a thread of its own."""

from __future__ import annotations

import threading

import jax
import pytest

from ganno_env.evaluation.threads import side_by_side


def counting(numbers, seen=None):
    def make():
        for number in numbers:
            yield number
            if seen is not None:
                seen.append((number, threading.current_thread()))

    return make


def test_everything_is_yielded_once_and_each_makers_in_order():
    streams = [range(50), range(100, 150), range(200, 203)]
    found = list(side_by_side([counting(numbers) for numbers in streams]))
    assert sorted(found) == sorted(number for numbers in streams for number in numbers)
    for numbers in streams:
        assert [x for x in found if x in numbers] == list(numbers)


def test_one_alone_is_in_no_thread():
    seen = []
    list(side_by_side([counting([1, 2], seen)]))
    assert {thread for _, thread in seen} == {threading.current_thread()}


def test_they_work_at_the_same_time():
    barrier = threading.Barrier(2, timeout=10)

    def make():
        barrier.wait()
        yield 1

    assert list(side_by_side([make, make])) == [1, 1]


def test_an_error_is_raised_and_the_others_end():
    seen = []

    def fails():
        yield 0
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(side_by_side([fails, counting(range(10**9), seen)]))
    assert not any("_fill" in thread.name for thread in threading.enumerate())


def test_those_who_stop_listening_stop_the_others():
    seen = []
    stream = side_by_side([counting(range(10**9), seen), counting(range(10**9), seen)])
    next(stream)
    stream.close()
    made = len(seen)
    assert made < 10**9
    assert len(seen) == made


def test_settings_of_a_context_reach_the_threads():
    def make():
        yield jax.numpy.arange(1.0).dtype, jax.config.jax_debug_nans

    with jax.enable_x64(True), jax.debug_nans(True):
        found = list(side_by_side([make, make]))
    assert [(str(dtype), nans) for dtype, nans in found] == [("float64", True)] * 2
