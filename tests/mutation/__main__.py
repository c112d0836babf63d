"""Makes faults in the project's modules, one at a time, to see whether a test notices.

    python -m tests.mutation                    # every fault: hours
    python -m tests.mutation --sample 0.1       # a tenth of them, the same tenth every time
    python -m tests.mutation --module systems/ppo/update.py --list

The faults are mutmut's (its operators; the extra `mutation` installs it). mutmut itself leaves out
decorated functions, which are all of the observations and rewards, so this runs them: a process
imports the module with the fault in it and runs the tests that `tests.toml` names for it, up to the
first that fails. Nothing is written into the tree but results.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.worker import SURVIVED, Worker

CONFIG = Path(__file__).with_name("tests.toml")


def sampled(mutants: list[Mutant], part: float, seed: int) -> list[Mutant]:
    """A part of a module's mutants, five at least.

    Each mutant draws a number of its own, whatever others there are, and the lowest are taken: two
    versions of a module have those in common that are in the lines they have in common.
    """
    return sorted(mutants, key=partial(_draw, seed))[: max(5, round(part * len(mutants)))]


def _draw(seed: int, mutant: Mutant) -> str:
    return hashlib.sha256(f"{seed} {mutant.key}".encode()).hexdigest()


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
    parser.add_argument("--config", type=Path, default=CONFIG, help="modules, tests, equivalents")
    parser.add_argument("--module", nargs="*", help="these modules alone")
    parser.add_argument("--sample", type=float, default=1.0, help="the part of all mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--out", type=Path, default=Path("results/mutation"), help="for results")
    parser.add_argument("--list", action="store_true", help="list mutants and run none")
    parser.add_argument("--key", nargs="*", help="these mutants alone")
    options = parser.parse_args()
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
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(".cache/jax").resolve()))
    worker = Worker()
    equivalent = {key for entry in config.get("equivalent", []) for key in entry["keys"]}
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
            if mutant.key in equivalent:
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
