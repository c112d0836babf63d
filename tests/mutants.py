"""Mutants: the project's modules with one small fault each, to see whether a test notices.

    python -m tests.mutants                    # every mutant of every module: hours
    python -m tests.mutants --sample 0.1       # a tenth of them, the same tenth every time
    python -m tests.mutants --module systems/ppo.py --list

The faults are mutmut's (its operators; `pip install -e .[mutation]`). mutmut itself leaves out
decorated functions, which are all of the observations and rewards, so this runs them: a process
imports the module with the fault in it and runs the tests that `mutants.toml` names for it, up to
the first that fails. Nothing is written into the tree.
"""

from __future__ import annotations

import argparse
import ast
import collections
import functools
import hashlib
import importlib.abc
import importlib.util
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

CONFIG = Path(__file__).with_suffix(".toml")
PACKAGES = ("ganno", "ganno_env", "systems", "tests")
MUTANTS_A_PROCESS = 25
# Functions whose first two arguments may change places.
SYMMETRIC = {"maximum", "minimum"}
TYPES = {"dataclass", "TypeVar"}
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"


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


class _MutantFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports one module from another source than its file's."""

    def __init__(self, mutant: Mutant):
        self.path = str(Path(mutant.module).resolve())
        self.source = mutant.source
        self.name = ".".join(Path(mutant.module).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        package = self.path.endswith("__init__.py")
        places = [os.path.dirname(self.path)] if package else None
        return importlib.util.spec_from_file_location(
            fullname, self.path, loader=self, submodule_search_locations=places
        )

    def get_source(self, fullname):
        return self.source

    def get_filename(self, fullname):
        return self.path


def work() -> None:
    """Tests one mutant after another: a JSON object a line comes in, and one goes out for each.

    One process for many, because most of a mutant's time would be imports, and programs of single
    operations that JAX compiles anew in each process.
    """
    import hypothesis
    import jax
    import pytest

    # Which example fails is of no interest, so it is not made smaller.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", deadline=None, derandomize=True, max_examples=50, database=None, phases=phases
    )
    options = ["-x", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:xdist"]
    options.append("--hypothesis-profile=mutants")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        task = json.loads(line)
        log = os.open(task["log"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        start = time.process_time()
        seconds = int(start + task["seconds"])
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        # What is compiled for a mutant is of no use to the next.
        worth_keeping = 1e9 if task["mutant"] else 0
        jax.config.update("jax_persistent_cache_min_compile_time_secs", worth_keeping)
        for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
            if name not in ("tests", "tests.conftest"):  # its settings can be made once
                del sys.modules[name]
        finders = [_MutantFinder(Mutant(**task["mutant"]))] if task["mutant"] else []
        sys.meta_path[:0] = finders
        code = int(pytest.main([*options, *task["tests"]]))
        sys.stdout.flush()
        sys.meta_path = [finder for finder in sys.meta_path if finder not in finders]
        answers.write(json.dumps({"code": code, "spent": time.process_time() - start}) + "\n")


class Worker:
    """A process that works, and another in its place when it has done much or is lost."""

    def __init__(self):
        self.process: subprocess.Popen | None = None
        self.done = 0

    def run(
        self, mutant: Mutant | None, tests: list[str], log: Path, seconds: int
    ) -> tuple[str, float]:
        """What the tests say of a mutant, and the processor time that they took.

        Args:
            mutant: None for the module as it is.
            tests: what pytest is given.
            log: where its output goes.
            seconds: of processor time, after which a mutant is ended.
        """
        if self.process is None or self.done >= MUTANTS_A_PROCESS:
            self.end()
            command = [sys.executable, __file__, "--work"]
            pipe = subprocess.PIPE
            self.process, self.done = subprocess.Popen(command, stdin=pipe, stdout=pipe), 0
        task = {"mutant": mutant and mutant._asdict(), "tests": tests, "log": str(log)}
        self.process.stdin.write(json.dumps(task | {"seconds": seconds}).encode() + b"\n")
        self.process.stdin.flush()
        self.done += 1
        line = self.process.stdout.readline()
        if not line:
            ended_by = -self.process.wait()
            self.process = None
            # Other than by the limit of its time: no memory, or a crash in compiled code.
            return TIMED_OUT if ended_by == signal.SIGXCPU else KILLED, float(seconds)
        answer = json.loads(line)
        return (SURVIVED if answer["code"] == 0 else KILLED), answer["spent"]

    def end(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()


def sampled(mutants: list[Mutant], part: float, seed: int) -> list[Mutant]:
    """A part of a module's mutants, five at least.

    Each mutant draws a number of its own, whatever others there are, and the lowest are taken: two
    versions of a module have those in common that are in the lines they have in common.
    """
    return sorted(mutants, key=partial(_draw, seed))[: max(5, round(part * len(mutants)))]


def _draw(seed: int, mutant: Mutant) -> str:
    return hashlib.sha256(f"{seed} {mutant.key}".encode()).hexdigest()


def is_equivalent(mutant: Mutant, equivalent: list[dict[str, str]]) -> bool:
    """Whether the configuration lists a mutant as the same program."""
    return any(
        entry["module"] == mutant.module
        and entry["line"] in mutant.line
        and (entry["was"], entry["becomes"]) == (mutant.was, mutant.becomes)
        for entry in equivalent
    )


def summary(results: list[dict]) -> str:
    """A line for each module and one for all: mutants, those killed, and the score."""
    lines = ["module                             mutants  killed  survived  equivalent  score"]
    modules = list(dict.fromkeys(result["module"] for result in results))
    for module in [*modules, "all"]:
        own = [r["outcome"] for r in results if module in (r["module"], "all")]
        survived, equivalent = own.count(SURVIVED), own.count("equivalent")
        killed = len(own) - survived - equivalent
        score = killed / max(killed + survived, 1)
        lines.append(f"{module:35}{len(own):7}{killed:8}{survived:10}{equivalent:12}{score:7.1%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, default=CONFIG, help="modules, tests, equivalents")
    parser.add_argument("--module", nargs="*", help="these modules alone")
    parser.add_argument("--sample", type=float, default=1.0, help="the part of all mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--out", type=Path, default=Path("results/mutants"), help="for results")
    parser.add_argument("--list", action="store_true", help="list mutants and run none")
    parser.add_argument("--key", nargs="*", help="these mutants alone")
    options = parser.parse_args()
    if options.work:
        work()
        return
    config = tomllib.loads(options.config.read_text())
    modules = {name: tests for name, tests in config["tests"].items()
               if not options.module or name in options.module}  # fmt: skip
    mutants: list[Mutant] = []
    for module in modules:
        own = list(mutants_of(module, Path(module).read_text()))
        mutants += (
            [mutant for mutant in own if mutant.key in options.key]
            if options.key
            else sampled(own, options.sample, options.seed)
        )
    # In the order of the draw, so that a run that was cut short is a smaller sample.
    mutants.sort(key=partial(_draw, options.seed))
    if options.list:
        print(*mutants, f"{len(mutants)} mutants", sep="\n")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    print(summary(list(_results(mutants, config, options.out))))


def _results(mutants: list[Mutant], config: dict, out: Path) -> Iterator[dict]:
    """Runs what has not been run yet, and gives every mutant's result."""
    worker = Worker()
    path = out / "results.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    known = {result["key"]: result for result in map(json.loads, lines)}

    @functools.cache
    def limit(module: str) -> int:
        """Ten times the processor time of the tests on the module as it is, which must pass."""
        times = out / "unchanged.json"
        spent = json.loads(times.read_text()) if times.is_file() else {}
        if module not in spent:
            log = out / "unchanged.log"
            outcome, spent[module] = worker.run(None, config["tests"][module], log, 3600)
            if outcome != SURVIVED:
                raise SystemExit(f"the tests of {module} fail as it is: see {log}")
            times.write_text(json.dumps(spent))
        return 60 + int(10 * spent[module])

    for number, mutant in enumerate(mutants):
        if mutant.key not in known:
            start = time.monotonic()
            if is_equivalent(mutant, config.get("equivalent", [])):
                outcome, spent = "equivalent", 0.0
            else:
                log = out / f"{mutant.key}.log"
                outcome, spent = worker.run(
                    mutant, config["tests"][mutant.module], log, limit(mutant.module)
                )
            known[mutant.key] = mutant._asdict() | {"outcome": outcome, "seconds": round(spent, 1)}
            del known[mutant.key]["source"]
            with path.open("a") as file:
                file.write(json.dumps(known[mutant.key]) + "\n")
            print(f"{number + 1}/{len(mutants)} {outcome:9} {time.monotonic() - start:5.1f} s "
                  f"{mutant}", flush=True)  # fmt: skip
        yield known[mutant.key]


if __name__ == "__main__":
    main()
