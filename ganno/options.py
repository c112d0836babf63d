"""Options: everything that comes from outside, typed by one mechanism, with errors of one line.

A set of options is a class (`Options`), or the arguments of a function with an annotated signature
(`Arguments`). Either way pydantic checks it, strictly: no text serves as a number, no fraction as a
whole number, no number as true or false. A whole number serves as a fraction, a list as a tuple,
and NumPy's numbers and arrays as Python's.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NotRequired, ParamSpec, Required, Self, TypeVar

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    ValidationError,
    with_config,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from typing_extensions import TypedDict

from ganno.names import unknown
from ganno.words import Allowed, words

P = ParamSpec("P")
R = TypeVar("R")

REQUIRED = inspect.Parameter.empty
"""The default of an option that has none."""
LARGEST_SEED = 2**32 - 1
"""JAX's keys tell no more than these apart."""
LONGEST_VALUE = 120
"""Characters of a value that a message shows."""
CONFIG = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    arbitrary_types_allowed=True,
    use_attribute_docstrings=True,
)

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Number = Annotated[float, Allowed("a number")]


def _as_path(value: Any) -> Any:
    # A folder's name may be a number, which YAML takes for one.
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else value
    if isinstance(text, str) and (not text or "\0" in text):
        raise ValueError("it must be a path")
    return Path(text) if isinstance(text, str) else text


FilePath = Annotated[Path, BeforeValidator(_as_path), Allowed("a path")]
"""A path as a command line gives it: also a number, which names a file too."""


class Option(NamedTuple):
    """One option.

    Attributes:
        type: its annotation.
        default: `REQUIRED` if there is none.
        description: what it means.
    """

    type: Any
    default: Any
    description: str

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        return words(self.type)


class Options(BaseModel):
    """A frozen set of options, checked on construction: a `ValueError` of one line.

    Subclasses annotate fields, each with a docstring. `parse` reads what a config holds.
    """

    model_config = CONFIG

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**plain(values))
        except ValidationError as error:
            raise ValueError(_explain(error, type(self).options(), values)) from None

    # Options within options are checked with the whole, whose messages have their full names.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def parse(cls, values: Any, prefix: str = "") -> Self:
        """From a mapping of plain values; `prefix`, such as "system.", goes before names."""
        try:
            return cls.model_validate(_mapping(values, prefix))
        except ValidationError as error:
            raise ValueError(_explain(error, cls.options(), values, prefix)) from None

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
            name: (Required if option.default is REQUIRED else NotRequired)[_lists(option.type)]
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
            checked: Any = self._adapter.validate_python(_mapping(values, prefix))
        except ValidationError as error:
            raise ValueError(_explain(error, self.options, values, prefix, nested)) from None
        return checked


def _lists(annotation: Any) -> Any:
    """The annotation, where a list may also be given as the tuple that `plain` makes of it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is list or origin is list:
        return Annotated[annotation, Strict(False)]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_lists(argument) for argument in arguments)]  # noqa: UP007
    return annotation


def _signature(function: Callable[..., Any], leaving_out: tuple[str, ...]) -> dict[str, Option]:
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    hints, meant = _hints(inner), _meanings(inspect.getdoc(inner) or "")
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


def _meanings(docstring: str) -> dict[str, str]:
    """What each argument means, by a docstring in Google's style."""
    _, _, block = docstring.partition("\nArgs:\n")
    lines = block.split("\n\n")[0]
    found = re.findall(r"^ {4}\*{0,2}([\w, ]+): (.*(?:\n {8}.*)*)", lines, re.MULTILINE)
    return {
        name.strip(): " ".join(text.split()) for names, text in found for name in names.split(",")
    }


def plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's, sequences as tuples and mappings as dicts."""
    if isinstance(value, (str, bytes)) and not isinstance(value, np.generic):
        return value
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    # A named tuple is an object of its own kind.
    if isinstance(value, Sequence) and not hasattr(value, "_fields"):
        return tuple(plain(item) for item in value)
    return value


def _mapping(values: Any, prefix: str) -> dict[str, Any]:
    given = plain(values)
    if not isinstance(given, dict):
        name = prefix.rstrip(".") or "options"
        raise ValueError(f"{name}={shown(values)}; it must be a mapping of names to values")
    return {str(name): value for name, value in given.items()}


def shown(value: Any) -> str:
    """A value as a message shows it: in one line, and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " ..."


def _explain(
    error: ValidationError,
    options: Mapping[str, Option],
    given: Any,
    prefix: str = "",
    nested: Collection[str] = (),
) -> str:
    """The first thing that is wrong, in one line."""
    details = error.errors(include_url=False)[0]
    finite = ", and finite" if details["type"] == "finite_number" else ""
    if not details["loc"]:  # a rule about several options
        return _reason(details)
    path, option, value, options = _locate(details["loc"], options, given)
    name = prefix + ".".join(path)
    if option is None:
        within = [*nested, *(dotted for dotted in dotted_names(options) if "." in dotted)]
        return unknown(
            "option", name, [prefix + ".".join([*path[:-1], o]) for o in options], within
        )
    if details["type"] == "missing":
        return f"{name} is missing; it must be {option.allowed}"
    if details["type"] == "value_error" and len(details["loc"]) == len(path):
        if _within(option):
            return _reason(details)
        return f"{name}={shown(value)}; {_reason(details)}"
    return f"{name}={shown(value)}; it must be {option.allowed}{finite}"


def _reason(details: ErrorDetails) -> str:
    return " ".join(str(details["ctx"]["error"]).split())


def _locate(
    location: Sequence[int | str], options: Mapping[str, Option], given: Any
) -> tuple[list[str], Option | None, Any, Mapping[str, Option]]:
    """The innermost option that an error is about: path, itself, value, and those beside it."""
    path: list[str] = []
    option: Option | None = None
    for step in map(str, location):
        if path and not (options := _within(option, step)):  # type: ignore[arg-type]
            break
        path.append(step)
        option = options.get(step)
        given = given.get(step) if isinstance(given, Mapping) else getattr(given, step, None)
        if option is None:
            break
    return path, option, given, options


def _within(option: Option, step: str = "") -> Mapping[str, Option]:
    """The options inside of one that is a set of them, or a mapping of names to such sets."""
    kind = option.type
    if isinstance(kind, type) and issubclass(kind, Options):
        return kind.options()
    arguments = [Option(argument, REQUIRED, "") for argument in typing.get_args(kind)]
    origin = typing.get_origin(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {step: arguments[1]} if step and _within(arguments[1]) else {}
    return next((found for argument in arguments if (found := _within(argument))), {})


class Row(NamedTuple):
    """An option as `--help` shows it: its dotted name, what it may be, its default, its meaning."""

    name: str
    allowed: str
    default: Any
    description: str


def describe(options: Mapping[str, Option], prefix: str = "") -> list[Row]:
    """Every option in order, those within options in place of what they are within."""
    rows: list[Row] = []
    for name, option in options.items():
        if within := _within(option):
            default = option.default
            rows += describe(
                {
                    inner: o._replace(default=getattr(default, inner, o.default))
                    for inner, o in within.items()
                },
                f"{prefix}{name}.",
            )
        else:
            rows.append(Row(prefix + name, option.allowed, option.default, option.description))
    return rows


def dotted_names(options: Mapping[str, Option]) -> Iterator[str]:
    """Every option's name, those within options after a dot."""
    for name, option in options.items():
        yield name
        yield from (f"{name}.{inner}" for inner in dotted_names(_within(option)))


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
    "LARGEST_SEED", "REQUIRED", "Allowed", "Arguments", "Count", "FilePath", "Fraction", "Number",
    "Option", "Options", "Positive", "Row", "Seed", "describe", "dotted_names", "plain", "shown",
    "typed", "words",
]  # fmt: skip
