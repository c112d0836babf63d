"""A module's mutants: its source with one small fault each, by mutmut's operators."""

from __future__ import annotations

import ast
import collections
import hashlib
import itertools
from collections.abc import Iterator
from typing import NamedTuple

# Functions whose first two arguments may change places.
SYMMETRIC = {"maximum", "minimum"}
TYPES = {"dataclass", "TypeVar"}


class Mutant(NamedTuple):
    """A module's source with one fault.

    Attributes:
        function: where it is; empty outside of all.
        key: the same wherever the same fault is made in the same line of the same function.
        line: the first line that differs, as it was.
        was, becomes: the expression.
    """

    module: str
    function: str
    key: str
    line: str
    was: str
    becomes: str
    source: str

    def __str__(self) -> str:
        place = f"{self.key} {self.module} {self.function}"
        return f"{place}\n    {self.line}\n  - {self.was}\n  + {self.becomes}"


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    import libcst

    tree = libcst.parse_module(source)
    statements = [tree.code_for_node(statement) for statement in tree.body]
    before = source.index("".join(statements))
    seen: collections.Counter[tuple[str, ...]] = collections.Counter()
    sources = {source}
    for number, statement in enumerate(tree.body):
        visitor = _visitor()
        statement.visit(visitor)
        for function, node, changed in visitor.found:
            code = tree.code_for_node(statement.deep_replace(node, changed))
            mutated = source[:before] + code + "".join(statements[number + 1 :])
            if mutated in sources or not _parses(mutated):
                continue
            sources.add(mutated)
            line = _first_difference(statements[number], code)
            was, becomes = (" ".join(tree.code_for_node(n).split()) for n in (node, changed))
            identity = (module, function, line, was, becomes)
            seen[identity] += 1
            text = "\0".join((*identity, str(seen[identity])))
            key = hashlib.sha256(text.encode()).hexdigest()[:12]
            yield Mutant(module, function, key, line, was, becomes, mutated)
        before += len(statements[number])


def _first_difference(was: str, becomes: str) -> str:
    """The first line of `was` that is another in `becomes`."""
    pairs = zip(was.splitlines(), becomes.splitlines(), strict=False)
    return next((one.strip() for one, other in pairs if one != other), "")


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _operators():
    """mutmut's operators but those whose mutants any test that runs the line would notice.

    Those are the ones that put None for a value or leave out an argument that must be there. Added
    is one that mutmut lacks: two neighbouring arguments change places.
    """
    import libcst
    from mutmut.mutation import mutators

    def without_option(node):
        for changed in mutators.operator_arg_removal(node):
            left_out = [arg for arg in node.args if arg not in changed.args]
            if len(changed.args) < len(node.args) and left_out[0].keyword:
                yield changed

    def swapped_arguments(node):
        if getattr(getattr(node.func, "attr", None), "value", None) in SYMMETRIC:
            return
        positional = [arg for arg in node.args if not arg.keyword and not arg.star]
        for i, (one, other) in enumerate(itertools.pairwise(positional)):
            swapped = [one.with_changes(value=other.value), other.with_changes(value=one.value)]
            yield node.with_changes(args=[*node.args[:i], *swapped, *node.args[i + 2 :]])

    own = [(libcst.Call, without_option), (libcst.Call, swapped_arguments)]
    left_out = (
        mutators.operator_arg_removal, mutators.operator_assignment,
        mutators.operator_dict_arguments, mutators.operator_lambda, mutators.operator_string,
    )  # fmt: skip
    return own + [pair for pair in mutators.mutation_operators if pair[1] not in left_out]


def _visitor():
    """A libcst visitor that collects `(function, node, changed node)`."""
    import libcst

    operators = _operators()

    def is_left_alone(node) -> bool:
        """Annotations are not run, what an error says is prose, and types are not values."""
        function = getattr(node, "decorator", node)
        function = getattr(function, "func", function)
        name = getattr(getattr(function, "attr", function), "value", None)
        is_type = isinstance(node, libcst.Call | libcst.Decorator) and name in TYPES
        return is_type or isinstance(node, libcst.Annotation | libcst.Raise)

    class Visitor(libcst.CSTVisitor):
        def __init__(self):
            self.found = []
            self.names = []

        def on_visit(self, node) -> bool:
            if is_left_alone(node):
                return False
            if isinstance(node, libcst.FunctionDef | libcst.ClassDef):
                self.names.append(node.name.value)
            for kind, operator in operators:
                if isinstance(node, kind):
                    name = ".".join(self.names)
                    self.found += [(name, node, changed) for changed in operator(node)]
            return True

        def on_leave(self, original_node) -> None:
            if isinstance(original_node, libcst.FunctionDef | libcst.ClassDef):
                self.names.pop()

    return Visitor()
