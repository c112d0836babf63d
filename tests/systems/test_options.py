"""The commands' options: what is refused before anything slow is imported, and in which words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ganno.options import describe
from systems.options.commands import (
    EvaluateOptions,
    LearningOptions,
    ReproduceOptions,
    TrainOptions,
)
from systems.options.experiment import Experiment

EXPERIMENT = {
    "report": "table",
    "title": "t",
    "methods": ["constant"],
    "learning_rates": [0.1],
    "weight_decays": [0.1],
    "seeds": [0],
}
NEEDED = {
    TrainOptions: {"env": {}},
    EvaluateOptions: {"env": {}, "checkpoint": "pretrained"},
    ReproduceOptions: {"env": {}, "name": "table1", **EXPERIMENT},
    LearningOptions: {},
}


@pytest.mark.parametrize(
    ("options", "name", "value", "allowed"),
    [
        (TrainOptions, "seed", "abc", "a whole number from 0 to"),
        (TrainOptions, "seed", -1, "a whole number from 0 to"),
        (TrainOptions, "seed", 2**40, "a whole number from 0 to"),
        (TrainOptions, "checkpoint_every", "abc", "a whole number of at least 1"),
        (TrainOptions, "keep", 0, "a whole number of at least 1"),
        (TrainOptions, "max_skipped_updates", 1.5, "a whole number of at least 1"),
        (TrainOptions, "num_devices", "all", "a whole number of at least 1, or auto"),
        (TrainOptions, "num_devices", True, "a whole number of at least 1, or auto"),
        (TrainOptions, "output_dir", 1.5, "a path or null"),
        (TrainOptions, "resume", "", "a path"),
        (TrainOptions, "env", 3, "a mapping of ganno_env.make_env's options"),
        (TrainOptions, "logger", 3.5, "the name of a logger, or a list of them"),
        (TrainOptions, "logger", {"console": 3}, "the name of a logger, or a list of them"),
        (TrainOptions, "system", None, "a mapping of options"),
        (EvaluateOptions, "seeds", 0, "a list of different whole numbers"),
        (EvaluateOptions, "seeds", [0, 0], "a list without repetition"),
        (EvaluateOptions, "learning_rates", 0.001, "a list of different numbers from 0 to 1"),
        (EvaluateOptions, "learning_rates", ["0.1"], "a list of different numbers from 0 to 1"),
        (EvaluateOptions, "weight_decay", [0.1], "a number from 0 to 1"),
        (EvaluateOptions, "schedules", None, "a list, each a name"),
        (EvaluateOptions, "random", "no", "true or false"),
        (EvaluateOptions, "split", "train", "one of test, validation"),
        (EvaluateOptions, "checkpoint", None, "pretrained, a policy's file"),
        (ReproduceOptions, "weight_decays", [2], "a list of different numbers from 0 to 1"),
        (ReproduceOptions, "runs_at_once", 0, "a whole number of at least 1"),
        (ReproduceOptions, "velo_weights", [], "a path or null"),
        (ReproduceOptions, "celo_weights", [], "a path or null"),
        (ReproduceOptions, "training_seed", None, "a whole number from 0"),
        (ReproduceOptions, "residual_width", "wide", "a number above 0"),
        (LearningOptions, "runs", "runs/x", "{NAME: [FOLDER, ...]}"),
        (LearningOptions, "runs", {"a": "runs/x"}, "{NAME: [FOLDER, ...]}"),
    ],
)
def test_a_value_that_is_refused_is_named_with_what_is_allowed(options, name, value, allowed):
    with pytest.raises(ValueError, match=name) as error:
        options.parse({**NEEDED[options], name: value})
    said = str(error.value)
    assert said.startswith(f"{name}={value!r}; it must be {allowed}")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        (TrainOptions, {"system": {"gamma": "high"}}, "system.gamma='high'; it must be a number"),
        (TrainOptions, {"system": {"gama": 1}}, "unknown option 'system.gama' (did you mean"),
        (TrainOptions, {"gamma": 1}, "unknown option 'gamma' (did you mean 'system.gamma'?)"),
        (TrainOptions, {"distributed": {"timeout": 0}}, "distributed.timeout=0; it must be a"),
        (TrainOptions, {"system": {"sequence_length": 7}}, "sequence_length=7 does not divide"),
        (
            ReproduceOptions,
            {"agents": {"ganno": {"name": "GANNO", "episodes": "many"}}},
            "agents.ganno.episodes='many'; it must be a whole number of at least 0 or null",
        ),
        (ReproduceOptions, {"agents": {"ganno": {}}}, "agents.ganno.name is missing"),
        (ReproduceOptions, {"shard": 2, "num_shards": 2}, "shard=2 of num_shards=2; choose from"),
        (EvaluateOptions, {"learning_rate": 0.1}, "unknown option 'learning_rate' (did you mean"),
    ],
)
def test_what_is_within_options_is_named_by_its_whole_name(options, given, message):
    with pytest.raises(ValueError, match=r".") as error:
        options.parse({**NEEDED[options], **given})
    assert str(error.value).startswith(message)


def test_a_folder_or_policy_may_be_called_a_number():
    assert TrainOptions(env={}, output_dir=12345).output_dir == Path("12345")
    assert EvaluateOptions(env={}, checkpoint=7).checkpoint == "7"
    assert LearningOptions(runs={"a": [1, "b c"]}).runs == {"a": (Path("1"), Path("b c"))}


def test_no_loggers_are_a_choice():
    assert TrainOptions.parse({"env": {}, "logger": []}).loggers == {}
    assert TrainOptions.parse({"env": {}, "logger": "jsonl"}).loggers == {"jsonl": {}}


def test_an_experiment_is_a_part_of_what_is_reproduced():
    given = ReproduceOptions.parse({**NEEDED[ReproduceOptions], "seeds": range(2)})
    assert given.experiment == Experiment(name="table1", **{**EXPERIMENT, "seeds": [0, 1]})
    assert given.system.config.num_envs == 4


@pytest.mark.parametrize("options", list(NEEDED))
def test_every_option_says_what_it_means(options):
    for row in describe(options.options()):
        assert row.description.endswith("."), row
        assert row.allowed, row


def test_they_are_read_without_anything_slow():
    code = "import sys, systems.options; print({'jax', 'jumanji', 'ganno_env'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
