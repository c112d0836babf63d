"""The mechanism that types options: what it takes, what it refuses, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import Field

from ganno.options import Count, FilePath, Fraction, Options, Seed, describe, dotted_names
from tests.ganno.refusals import refused


class Inner(Options):
    """Options within options."""

    timeout: Count = 300
    """Seconds to wait
    at the start."""


class Outer(Options):
    """One option of each kind."""

    whole: int = 1
    count: Count | None = None
    number: float = 0.5
    part: Fraction = 0.5
    flag: bool = False
    text: str = "a"
    choice: Literal["test", "validation"] = "test"
    sizes: tuple[Count, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    either: float | tuple[float, float] = 0.1
    seed: Seed = 0
    path: FilePath | None = None
    inner: Inner = Inner()
    named: Mapping[str, Inner] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"whole": np.int64(20)}, 20),
        ({"whole": np.uint8(3)}, 3),
        ({"whole": np.array(7)}, 7),
        ({"whole": jnp.int32(7)}, 7),
        ({"number": 1}, 1.0),
        ({"number": np.float32(0.25)}, 0.25),
        ({"number": jnp.float32(0.25)}, 0.25),
        ({"number": np.int64(2)}, 2.0),
        ({"flag": np.bool_(True)}, True),
        ({"text": np.str_("b")}, "b"),
        ({"sizes": [1, 2]}, (1, 2)),
        ({"sizes": np.arange(1, 3)}, (1, 2)),
        ({"sizes": range(1, 3)}, (1, 2)),
        ({"pair": [0, 1]}, (0.0, 1.0)),
        ({"either": np.array([1e-5, 1e-2])}, (1e-5, 1e-2)),
        ({"path": "a b"}, Path("a b")),
        ({"path": Path("c")}, Path("c")),
        ({"count": None}, None),
        ({"inner": {"timeout": 3}}, Inner(timeout=3)),
        ({"inner": Inner(timeout=4)}, Inner(timeout=4)),
        ({"named": {"a": {"timeout": 3}}}, {"a": Inner(timeout=3)}),
    ],
)
def test_what_serves_as_what(given, expected):
    (name,) = given
    for made in (Outer(**given), Outer.parse(given)):
        value = getattr(made, name)
        assert value == expected
        assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"whole": 1.0}, "@whole=1.0; it must be a whole number"),
        ({"whole": "1"}, "@whole='1'; it must be a whole number"),
        ({"whole": True}, "@whole=True; it must be a whole number"),
        ({"whole": np.float32(1)}, "@whole=np.float32(1.0); it must be a whole number"),
        ({"count": 0}, "@count=0; it must be a whole number of at least 1 or null"),
        ({"number": "0.1"}, "@number='0.1'; it must be a number"),
        ({"number": float("inf")}, "@number=inf; it must be a number, and finite"),
        ({"number": 10**400}, "@number=1000"),
        ({"part": float("nan")}, "@part=nan; it must be a number from 0 to 1, and finite"),
        ({"part": -0.1}, "@part=-0.1; it must be a number from 0 to 1"),
        ({"number": jnp.arange(2)}, "@number=Array([0, 1], dtype=int32); it must be a number"),
        ({"flag": 1}, "@flag=1; it must be true or false"),
        ({"flag": "no"}, "@flag='no'; it must be true or false"),
        ({"flag": None}, "@flag=None; it must be true or false"),
        ({"text": 3}, "@text=3; it must be a text"),
        ({"choice": "tset"}, "@choice='tset'; it must be one of test, validation"),
        ({"choice": ["test"]}, "@choice=['test']; it must be one of test, validation"),
        ({"sizes": 64}, "@sizes=64; it must be a list, each a whole number of at least 1"),
        (
            {"sizes": [64, 0]},
            "@sizes=[64, 0]; it must be a list, each a whole number of at least 1",
        ),
        ({"pair": [1]}, "@pair=[1]; it must be [a number, a number]"),
        ({"either": "x"}, "@either='x'; it must be a number or [a number, a number]"),
        ({"seed": -1}, "@seed=-1; it must be a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "@seed=4294967296; it must be a whole number from 0 to 4294967295"),
        ({"path": 5}, "@path=5; it must be a path or null"),
        ({"path": ""}, "@path=''; it must be a path"),
        ({"path": "a\0b"}, r"@path='a\x00b'; it must be a path"),
        ({"inner": 3}, "@inner=3; it must be a mapping of options"),
        ({"inner": {"timeout": 0}}, "@inner.timeout=0; it must be a whole number of at least 1"),
        (
            {"inner": {"timout": 1}},
            "unknown option '@inner.timout' (did you mean '@inner.timeout'?)",
        ),
        ({"named": {"a": {"timeout": "1"}}}, "@named.a.timeout='1'; it must be a whole number"),
        ({"named": {"a": {"tmeout": 1}}}, "unknown option '@named.a.tmeout' (did you mean"),
        (
            {"timeout": 3},
            "unknown option '@timeout' (did you mean '@inner.timeout'?); known: @whole",
        ),
        ({"colour": 3}, "unknown option '@colour'; known: @whole, @count"),
        ({"text": "a\nb" * 100, "whole": object()}, "@whole=<object object at"),
    ],
)
def test_what_is_refused_is_named_in_one_line(given, message):
    """`@` stands for what goes before names."""
    for make, prefix in (
        (lambda: Outer(**given), ""),
        (lambda: Outer.parse(given, "system."), "system."),
    ):
        said = refused(make)
        assert said.startswith(message.replace("@", prefix)), said


def test_what_is_no_mapping_is_refused():
    said = refused(lambda: Outer.parse(3, "system."))
    assert said == "system=3; it must be a mapping of names to values"


def test_what_is_not_given_is_named():
    class Needs(Options):
        env: str

    assert refused(Needs) == "env is missing; it must be a text"


def test_options_do_not_change_but_may_be_replaced():
    options = Outer()
    with pytest.raises(ValueError, match="frozen"):
        options.whole = 3
    assert options.replace(whole=3).whole == 3
    assert refused(lambda: options.replace(whole="x")).startswith("whole='x'")
    assert hash(Inner()) == hash(Inner(timeout=300))


def test_every_option_is_described():
    rows = {row.name: row for row in describe(Outer.options())}
    assert rows["inner.timeout"] == (
        "inner.timeout",
        "a whole number of at least 1",
        300,
        "Seconds to wait at the start.",
    )
    assert rows["count"].allowed == "a whole number of at least 1 or null"
    assert "inner.timeout" in dotted_names(Outer.options())


def test_a_number_that_jax_traces_is_refused_too():
    said = refused(lambda: jax.jit(lambda x: Outer(number=x).number)(1.0))
    assert said.endswith("it must be a number")
