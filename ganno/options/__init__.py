"""Options: everything that comes from outside, typed by one mechanism, with errors of one line.

A set of options is a class (`Options`), or the arguments of a function with an annotated signature
(`Arguments`). Either way pydantic checks it, strictly: no text serves as a number, no fraction as a
whole number, no number as true or false. A whole number serves as a fraction, a list as a tuple,
and NumPy's numbers and arrays as Python's.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, NotRequired, ParamSpec, Required, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Strict, TypeAdapter, ValidationError, with_config
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, core_schema
from typing_extensions import TypedDict

from ganno.options.kinds import (
    LARGEST_SEED,
    Count,
    FilePath,
    Fraction,
    PathLike,
    Positive,
    Seed,
)
from ganno.options.messages import explain
from ganno.options.rows import REQUIRED, Option, Row, describe, dotted_names
from ganno.options.values import named, shown, to_python
from ganno.options.words import Allowed, words

P = ParamSpec("P")
R = TypeVar("R")

CONFIG = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    arbitrary_types_allowed=True,
    use_attribute_docstrings=True,
)


class Options(BaseModel):
    """A frozen set of options, checked on construction: a `ValueError` of one line.

    Subclasses annotate fields, each with a docstring. `parse` reads what a config holds.
    """

    model_config = CONFIG

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**to_python(values))
        except ValidationError as error:
            raise ValueError(explain(error, type(self).options(), values)) from None

    # Options within options are checked with the whole, whose messages have their full names.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def parse(cls, values: Any, prefix: str = "") -> Self:
        """From a mapping of plain values; `prefix`, such as "system.", goes before names."""
        try:
            return cls.model_validate(named(values, prefix))
        except ValidationError as error:
            raise ValueError(explain(error, cls.options(), values, prefix)) from None

    @classmethod
    @functools.cache
    def options(cls) -> dict[str, Option]:
        """Each option by its name."""
        return {
            name: Option(
                _whole_type(field),
                _default(field),
                " ".join((field.description or "").split()),
            )
            for name, field in cls.model_fields.items()
        }

    def replace(self, **changes: Any) -> Self:
        """The same options but for some, checked anew."""
        return type(self)(**(dict(self) | changes))


def _whole_type(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _default(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True)
    return REQUIRED if default is PydanticUndefined else default


class Arguments:
    """The arguments of a function as options, typed by its signature.

    One without an annotation takes anything, and a function with `**others` takes any other name.
    What arguments mean is read from the docstring's "Args:".
    """

    def __init__(self, options: Mapping[str, Option], others: bool = False) -> None:
        self.options = dict(options)
        fields: dict[str, Any] = {
            name: (Required if option.default is REQUIRED else NotRequired)[_adapted(option.type)]
            for name, option in self.options.items()
        }
        table: Any = TypedDict("Arguments", fields)  # type: ignore[misc]
        config = ConfigDict(**CONFIG | {"extra": "allow"}) if others else CONFIG
        self._adapter = TypeAdapter(with_config(config)(table))

    @classmethod
    @functools.cache
    def of(cls, function: Callable[..., Any], leaving_out: tuple[str, ...] = ()) -> Arguments:
        """Those of `function`, but for some that are not the user's to choose."""
        kinds = {p.kind for p in inspect.signature(function).parameters.values()}
        return cls(_signature(function, leaving_out), inspect.Parameter.VAR_KEYWORD in kinds)

    def __or__(self, other: Arguments) -> Arguments:
        return Arguments(self.options | other.options)

    def check(self, values: Any, prefix: str = "", nested: Collection[str] = ()) -> dict[str, Any]:
        """The values given, typed; nothing is filled in.

        Args:
            values: a mapping from names.
            prefix: goes before names in messages, such as "env.".
            nested: dotted names that an unknown one may have been meant to be.

        Raises:
            ValueError: for an unknown name or a value that its type does not allow.
        """
        try:
            checked: Any = self._adapter.validate_python(named(values, prefix))
        except ValidationError as error:
            raise ValueError(explain(error, self.options, values, prefix, nested)) from None
        return checked


class _Instance:
    """An object of one's own, which is not looked into."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(source)


def _adapted(annotation: Any) -> Any:
    """The annotation as it is checked: objects by their class, lists also as tuples."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return Annotated[_adapted(arguments[0]), *arguments[1:]]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_adapted(argument) for argument in arguments)]  # noqa: UP007
    if list in (annotation, origin):
        return Annotated[annotation, Strict(False)]
    if dataclasses.is_dataclass(annotation) or hasattr(annotation, "_fields"):
        return Annotated[annotation, _Instance()]
    return annotation


def _signature(function: Callable[..., Any], leaving_out: tuple[str, ...]) -> dict[str, Option]:
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    called = inner.__init__ if inspect.isclass(inner) else inner
    hints = _hints(called)
    meant = _meanings(inspect.getdoc(inner)) | _meanings(inspect.getdoc(called))
    return {
        name: Option(hints.get(name, Any), parameter.default, meant.get(name, ""))
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in leaving_out
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # an annotation for type checkers alone
        return {}


def _meanings(docstring: str | None) -> dict[str, str]:
    """What each argument means, by a docstring in Google's style."""
    _, _, block = (docstring or "").partition("\nArgs:\n")
    lines = block.split("\n\n")[0]
    found = re.findall(r"^ {4}\*{0,2}([\w, ]+): (.*(?:\n {8}.*)*)", lines, re.MULTILINE)
    return {
        name.strip(): " ".join(text.split()) for names, text in found for name in names.split(",")
    }


def typed(function: Callable[P, R]) -> Callable[P, R]:
    """Checks the arguments of a function by its annotations: a `ValueError` of one line."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind_partial(*args).arguments
        if twice := given.keys() & kwargs.keys():
            raise TypeError(f"{function.__name__} got {sorted(twice)} twice")
        me = [given.pop("self")] if "self" in given else []
        checked = Arguments.of(function, ("self",)).check(given | kwargs)
        return function(*me, **checked)

    return call


__all__ = [
    "LARGEST_SEED", "REQUIRED", "Allowed", "Arguments", "Count", "FilePath", "Fraction",
    "Option", "Options", "PathLike", "Positive", "Row", "Seed", "describe", "dotted_names", "shown",
    "to_python", "typed", "words",
]  # fmt: skip
