"""Every experiment's report, on made-up runs: rows, records and pictures."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import time
from pathlib import Path

import hydra
import jax
import numpy as np
import pytest
from matplotlib.text import Text
from omegaconf import OmegaConf
from rich.console import Console

from ganno_env.evaluation import Method, random_controller
from ganno_env.evaluation.methods import Call
from ganno_env.evaluation.planning import UNCHANGED
from ganno_env.schedules import SCHEDULES
from ganno_env.types import RunRecord
from systems import reproduce as command
from systems.experiments.experiment import run_keys
from systems.experiments.outcome import Outcome
from systems.experiments.reports import REPORTS, _schedule, _schedules, write_report
from systems.experiments.run_store import records_as_json
from systems.options.commands import ReproduceOptions
from tests.small import shared_env
from tests.systems.test_reproduce import EXPERIMENTS, ROOT


def record(env, seed: int, every_step: bool) -> RunRecord:
    generator = np.random.default_rng(seed)
    steps, layers = env.time_limit, env.num_layers
    curve = generator.random(steps).astype(np.float32)
    return RunRecord(
        controls={"learning_rate": generator.random((steps, layers)).astype(np.float32) / 100},
        actions=generator.integers(0, 9, (steps, layers)).astype(np.int32),
        train_loss=curve,
        train_accuracy=curve,
        validation_loss=np.full(steps, np.nan, np.float32),
        validation_accuracy=curve,
        test_accuracy=curve if every_step else curve[-1:],
        seconds=np.array(1, np.float32),
    )


@functools.cache
def outcome(name: str, absent: frozenset[str] = frozenset()) -> Outcome:
    """An experiment whose runs are made up, but for methods that cannot be run."""
    with hydra.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        values = OmegaConf.to_container(
            hydra.compose("reproduce", overrides=[f"experiment={name}"]), resolve=True
        )
    options = ReproduceOptions.parse({**values, "name": name})
    experiment, agents = options.experiment, options.agents
    env = shared_env()
    experiment = experiment.titled(env.network.name, env.task.name)
    order, methods, unavailable = [], [], {}
    for text in experiment.methods:
        shown = command.row_of(text, agents)
        order.append(shown)
        of_agents = text.removeprefix(command.RANDOM) in agents
        if text.partition("@")[0] in absent or (of_agents and "agents" in absent):
            unavailable[shown] = "not available: get it somewhere"
            continue
        own, rate = None, 1.0 if text.startswith("velo") else None
        if of_agents:
            rate = agents[text].learning_rate if text in agents else None
        else:
            _, own, rate = Call.parse(text)._replace(**{} if rate is None else {"peak": rate})
        trained = text in agents
        methods.append(Method(shown, random_controller(), UNCHANGED, own, rate, trained))
    keys = run_keys(experiment, methods)
    records = {c: record(env, i, experiment.test_every_step) for i, c in enumerate(keys)}
    listed = {method.name: method.listed(env) for method in methods}
    return Outcome(experiment, env, listed, order, unavailable, records)


@pytest.mark.parametrize("absent", [frozenset(), frozenset({"velo", "agents"})], ids=["all", "few"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_report_has_all_rows_all_runs_and_its_picture(name, absent, tmp_path):
    made = outcome(name, absent)
    paths = write_report(made, tmp_path, {"options": {}}, Console(quiet=True))
    text = (tmp_path / "table.md").read_text()
    ours = text.partition("**The paper's own")[0]
    for row in made.order:
        assert len(re.findall(rf"^\| {re.escape(row)} \|", ours, re.M)) == len(
            made.experiment.weight_decays
        ), row
    kept = json.loads((tmp_path / "records.json").read_text())
    assert len(kept["runs"]) == len(made.records) == len(records_as_json(made.records))
    assert kept["unavailable"] == made.unavailable
    pictures = [path for path in paths if path.suffix == ".png"]
    if made.experiment.report == "tables":
        assert not pictures
    elif made.listed:
        drawn = [name] if name.startswith("figure") else ["comparison"]
        if len(made.experiment.weight_decays) > 1 and made.experiment.report == "table":
            drawn = [f"comparison-{decay:g}" for decay in made.experiment.weight_decays]
        assert {tmp_path / f"{picture}.png" for picture in drawn} <= set(pictures)
    assert all(Path(path).stat().st_size > 10_000 for path in pictures)


def test_a_second_report_replaces_the_first(tmp_path):
    made = outcome("table5")
    for _ in range(2):
        paths = write_report(made, tmp_path, {}, Console(quiet=True))
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_actions_are_called_what_the_agents_call_them():
    made = outcome("table1")
    own = (("learning_rate", ("noop", *(f"=0.00{i}" for i in range(1, 9)))),)
    listed = {name: row._replace(actions=own) for name, row in made.listed.items()}
    shown = dataclasses.replace(made, listed=listed)
    figure = _schedules(shown)["schedule.png"]
    texts = {text.get_text() for text in figure.findobj(Text)}
    assert "=0.003" in texts
    assert "*1.01" not in texts


def test_whether_a_method_is_agents_is_no_matter_of_its_name():
    """Figures 2 and 7 were empty unless a row's name began as ours do."""
    for name in ("figure2", "figure7", "table1"):
        made = outcome(name)
        renamed = {
            row: ("constant-ly learning" if made.listed[row].is_agents else f"GANNO {row}")
            for row in made.listed
        }
        shown = dataclasses.replace(
            made,
            listed={renamed[k]: v._replace(name=renamed[k]) for k, v in made.listed.items()},
            order=[renamed.get(row, row) for row in made.order],
            records={c._replace(method=renamed[c.method]): r for c, r in made.records.items()},
        )
        report = REPORTS[made.experiment.report](shown)
        drawn = name if name.startswith("figure") else "comparison"
        texts = [t.get_text() for t in report.pictures[f"{drawn}.png"].findobj(Text)]
        agents = {c.method for c in shown.agents_runs(made.experiment.weight_decays[0])}
        assert agents == {"constant-ly learning"}
        if name != "figure2":
            assert any(text.startswith("constant-ly learning") for text in texts), texts
            assert not any(text.startswith("GANNO") and " from " in text for text in texts)


def test_schedules_are_evaluated_at_once():
    """A call for each update took 104 s for one_cycle at scale=paper."""
    made = outcome("figure5")
    env = made.env.replace(epochs=600, num_steps=None)
    made = dataclasses.replace(made, env=env)
    updates = env.time_limit * env.updates_per_step
    assert updates > 5000
    began = time.monotonic()
    for name in SCHEDULES:
        rates = _schedule(made, name)
        assert rates.shape == (updates,)
        schedule = SCHEDULES[name](0.001, updates)
        for update in (0, 1, updates // 3, updates - 1):
            with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
                rate = schedule(update)
            np.testing.assert_allclose(rates[update], rate, rtol=1e-5, atol=1e-12)
    assert time.monotonic() - began < 20


def test_a_table_shows_the_split_that_was_asked_for():
    made = outcome("table1")
    records = {
        key: dataclasses.replace(
            record,
            test_accuracy=np.float32([0.25]),
            validation_accuracy=np.full_like(record.validation_accuracy, 0.75),
        )
        for key, record in made.records.items()
    }
    for split, expected in (("test", 25.0), ("validation", 75.0)):
        experiment = made.experiment.replace(split=split)
        shown = dataclasses.replace(made, experiment=experiment, records=records)
        (part,) = shown.parts(0.1)
        assert {result.accuracy for result in shown.results(0.1, part)} == {expected}
    with pytest.raises(ValueError, match="split='train'; it must be one of test, validation"):
        made.experiment.replace(split="train")
