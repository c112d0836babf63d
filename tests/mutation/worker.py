"""A process that tests mutants one after another."""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.mutation.mutants import Mutant

PACKAGES = ("ganno", "ganno_env", "systems", "tests")
KEPT = ("tests", "tests.conftest")
"""Not imported anew for each mutant: the second makes settings that can be made once."""
MUTANTS_A_PROCESS = 25
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"


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
            if name not in KEPT and not name.startswith("tests.mutation"):
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
            command = [sys.executable, "-m", "tests.mutation.worker"]
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


if __name__ == "__main__":
    work()
