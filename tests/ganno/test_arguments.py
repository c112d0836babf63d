"""Options that are a function's arguments, and types in words."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import numpy as np
import pytest
from pydantic import Field

from ganno.options import REQUIRED, Arguments, Count, typed, words
from tests.ganno.refusals import refused


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
