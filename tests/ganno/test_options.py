"""The mechanism that types options: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import Field

from ganno.names import nearest, unknown
from ganno.options import (
    REQUIRED,
    Arguments,
    Count,
    FilePath,
    Fraction,
    Options,
    Seed,
    describe,
    dotted_names,
    typed,
    words,
)


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


def refused(call):
    """What is said of a mistake: one line, by an error of one kind."""
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
    return str(error.value)


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


class Direction(NamedTuple):
    """An object that is not to be taken for a list."""

    x: float


def builder(
    image: tuple[int, int],
    sizes: Annotated[Sequence[Count], Field(min_length=1)],
    names: list[str] | None = None,
    width: float = 1.0,
    direction: Direction | None = None,
    free=3,
    *,
    deep: bool = False,
):
    """Builds.

    Args:
        image: not the user's to choose.
        sizes: of the layers,
            each of them.
        width, deep: two at once.
    """
    return sizes, names, width, direction, free, deep


def test_arguments_are_those_of_the_signature():
    arguments = Arguments.of(builder, ("image",))
    assert list(arguments.options) == ["sizes", "names", "width", "direction", "free", "deep"]
    assert arguments.options["sizes"].default is REQUIRED
    assert arguments.options["sizes"].description == "of the layers, each of them."
    assert arguments.options["deep"].description == "two at once."
    given = {"sizes": [1, 2], "names": ["a"], "direction": Direction(1.0), "free": object}
    assert arguments.check(given) == {**given, "sizes": (1, 2)}
    bound = Arguments.of(functools.partial(builder, sizes=(3,)), ("image",))
    assert bound.options["sizes"].default == (3,)
    assert bound.check({"width": 2}) == {"width": 2.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "net.sizes is missing; it must be a list that is not empty, each a whole number"),
        ({"sizes": []}, "net.sizes=[]; it must be a list that is not empty"),
        ({"sizes": [1], "names": [3]}, "net.names=[3]; it must be a list, each a text or null"),
        ({"sizes": [1], "direction": [1.0]}, "net.direction=[1.0]; it must be a Direction or null"),
        ({"sizes": [1], "widht": 1}, "unknown option 'net.widht' (did you mean 'net.width'?)"),
        ({"sizes": [1], "deep": 1}, "net.deep=1; it must be true or false"),
    ],
)
def test_arguments_that_are_refused(given, message):
    said = refused(lambda: Arguments.of(builder, ("image",)).check(given, "net."))
    assert said.startswith(message)


def test_a_function_with_further_arguments_takes_any_name():
    def open_ended(a: int = 1, **others: object) -> None:
        del a, others

    arguments = Arguments.of(open_ended)
    assert arguments.check({"b": "x"}) == {"b": "x"}
    assert refused(lambda: arguments.check({"a": "x", "b": 1})).startswith("a='x'")


def test_a_typed_function_checks_all_that_it_is_given():
    checked = typed(builder)
    assert checked((1, 2), [3], width=np.float32(2))[2] == 2.0
    assert checked.__doc__ == builder.__doc__
    for call, message in (
        (lambda: checked((1,), [3]), "image=(1,); it must be [a whole number, a whole"),
        (lambda: checked((1, 2)), "sizes is missing"),
        (lambda: checked((1, 2), [3], depp=True), "unknown option 'depp' (did you mean 'deep'?)"),
    ):
        assert refused(call).startswith(message)
    for call in (
        lambda: checked((1, 2), [3], None, 1.0, None, 3, True),
        lambda: checked((1, 2), image=3),
    ):
        with pytest.raises(TypeError):
            call()


def test_a_number_that_jax_traces_is_refused_too():
    said = refused(lambda: jax.jit(lambda x: Outer(number=x).number)(1.0))
    assert said.endswith("it must be a number")


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("optimizer", ["dataset", "optimiser"], "optimiser"),
        ("normalize_values", ["normalise_values", "normalise_observations"], "normalise_values"),
        ("epoch", ["epochs", "batch_size"], "epochs"),
        ("width", ["dataset", "network_options.width"], "network_options.width"),
        ("Adam", ["sgd", "adam"], "adam"),
        ("system.gamam", ["system.gamma", "system.name"], "system.gamma"),
        ("system.foo", ["system.gamma", "system.name"], None),
        (3, ["adam"], None),
    ],
)
def test_the_nearest_name(name, known, expected):
    assert nearest(name, known) == expected


def test_an_unknown_name_is_answered_with_the_known_ones():
    assert unknown("dataset", "x", ["digits"]) == "unknown dataset 'x'; known: digits"
    assert unknown("dataset", "x", []) == "unknown dataset 'x'; known: none"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Annotated[float, Field(gt=0, lt=1)], "a number above 0 and below 1"),
        (Annotated[Sequence[int], Field(min_length=4, max_length=4)], "a list of 4, each a whole"),
        (Mapping[str, Direction], "a mapping of names to values, each a Direction"),
        (Direction | str, "a Direction or a text"),
    ],
)
def test_types_in_words(annotation, expected):
    assert words(annotation).startswith(expected)
