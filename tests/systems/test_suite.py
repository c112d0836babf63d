"""`systems.reproduce experiment=suite` at the smallest sizes, and what its config says."""

from __future__ import annotations

import json

import pytest

from ganno_env.registration import check_options
from systems import reproduce as command
from systems.options.commands import ReproduceOptions
from systems.options.experiment import SuiteTask
from tests.systems.test_reproduce import SIZES, compose

RUN = [
    "experiment=suite", *SIZES, "++env.epochs=0.5", "only=[digits_cnn5,fashion_mnist_cnn2]",
    "++tasks.digits_cnn5.env={dataset:digits,network:mlp,label_noise:0.1}",
    "++tasks.digits_cnn5.times={batch_size:2}",
    "++tasks.fashion_mnist_cnn2.env={dataset:digits,network:mlp}",
    "++tasks.fashion_mnist_cnn2.times={width:2}",
    'methods=[constant,prodigy,"one_cycle@peak=0.01",ganno]', "checkpoint=pretrained",
    "learning_rates=[0.001,0.01]", "weight_decays=[0.1]", "seeds=[0,1]", "runs_at_once=4",
]  # fmt: skip


def run(folder, *overrides):
    values = compose(*RUN, f"output_dir={folder}", *overrides)
    return command.run(ReproduceOptions.parse({**values, "name": "suite"}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, on_one_device):
    return run(tmp_path_factory.mktemp("suite") / "out")


def test_the_report_has_every_row_and_task(finished):
    text = (finished / "suite.md").read_text()
    for row in ("constant", "Prodigy, cosine", "one_cycle, peak 0.01", "GANNO"):
        assert f"| {row} |" in text
    assert "digits_cnn5" in text
    assert "Rate tuned:" in text
    standings = json.loads((finished / "suite.json").read_text())["standings"]
    assert {s["method"] for s in standings} == {
        "constant", "Prodigy, cosine", "one_cycle, peak 0.01", "GANNO",
    }  # fmt: skip
    for standing in standings:
        assert set(standing["regrets"]) == {"digits_cnn5", "fashion_mnist_cnn2"}
        assert standing["mean_regret"]["low"] <= standing["mean_regret"]["estimate"]
    for picture in ("suite.png", "heatmap.png", "profile.png"):
        assert (finished / picture).stat().st_size > 10_000


def test_regret_is_of_the_runs_that_tables_show(finished):
    """Computed once more, from the records that each task's folder has."""
    standings = json.loads((finished / "suite.json").read_text())["standings"]
    by_name = {s["method"]: s for s in standings}
    for task in ("digits_cnn5", "fashion_mnist_cnn2"):
        runs = json.loads((finished / task / "records.json").read_text())["runs"]
        cells = {}
        for one in runs:
            place = (one["method"], one["learning_rate"], one["weight_decay"])
            cells.setdefault(place, []).append(100 * one["test_accuracy"][-1])
        means = {place: sum(x) / len(x) for place, x in cells.items()}
        best = max(mean for place, mean in means.items() if place[0] != "GANNO")
        for name, standing in by_name.items():
            own = [x for place, values in cells.items() if place[0] == name for x in values]
            assert standing["regrets"][task] == pytest.approx(best - sum(own) / len(own), abs=1e-4)


def test_an_interrupted_suite_goes_on(finished, capsys):
    run(finished)
    assert capsys.readouterr().out.count("runs, 12 of them made before") == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["only=[nothing]"], "unknown task 'nothing'; .*cifar10_cnn5"),
        (
            ['methods=["one_cycle@peak=2"]'],
            "'one_cycle@peak=2': write NAME, NAME@DECAY or NAME@peak",
        ),
        (['methods=["one_cycle@pike=0.1"]'], "NAME@peak=RATE"),
        (['methods=["prodigy@peak=0.1"]'], "prodigy does not follow a rate"),
        (["++env.epochs=1"], "made otherwise.*epochs: .* there"),
        (["++tasks.digits_cnn5.times.epochs=0"], "times.epochs=0"),
        (["++tasks.digits_cnn5.env.netwrk=mlp"], "tasks.digits_cnn5.env.netwrk"),
    ],
)
def test_bad_input_is_one_clear_error(finished, overrides, message):
    with pytest.raises(ValueError, match=message):
        run(finished, *overrides)


@pytest.mark.slow
def test_a_row_may_be_run_before_those_that_regret_is_measured_from(tmp_path, capsys):
    folder = run(tmp_path / "out", "methods=[ganno]", "only=[digits_cnn5]", "seeds=[0]")
    assert "no suite.md: regret is measured from hand-made methods" in capsys.readouterr().out
    assert (folder / "digits_cnn5" / "table.md").is_file()
    assert not (folder / "suite.md").exists()


def test_tasks_are_a_suites_alone(tmp_path):
    values = compose("experiment=table1", *SIZES, "only=[x]", f"output_dir={tmp_path / 'out'}")
    with pytest.raises(ValueError, match="the experiment table1 has no tasks"):
        command.run(ReproduceOptions.parse({**values, "name": "table1"}))


@pytest.mark.parametrize("scale", ["smoke", "cpu", "paper"])
def test_every_task_gives_agents_about_as_many_steps_as_the_training(scale):
    """Agents know how much of a run is over, and learned how much a step may change."""
    values = compose("experiment=suite", f"scale={scale}", "checkpoint=pretrained")
    options = ReproduceOptions.parse({**values, "name": "suite"})
    usual = {"digits": 1000, "fashion_mnist": 55_000, "cifar10": 45_000}
    steps = {}
    for name, task in options.tasks.items():
        arguments = check_options(task.environment(options.env))
        size = arguments.get("train_size") or usual[arguments["dataset"]]
        updates = int(arguments["epochs"] * size / arguments["batch_size"])
        steps[name] = updates // arguments["updates_per_step"]
    base = options.env
    size = base.get("train_size") or usual["fashion_mnist"]
    trained = int(base["epochs"] * size / base["batch_size"]) // base["updates_per_step"]
    assert all(0.7 * trained <= number <= 1.4 * trained for number in steps.values()), steps


def test_multiples_are_of_the_scales_numbers():
    base = {
        "epochs": 20,
        "batch_size": 64,
        "updates_per_step": 100,
        "network_options": {"width": 0.25},
    }
    task = SuiteTask(env={"network": "cnn5"}, times={"epochs": 0.5, "batch_size": 2, "width": 2})
    assert task.environment(base) == {
        "epochs": 10.0, "batch_size": 128, "updates_per_step": 100, "network": "cnn5",
        "network_options": {"width": 0.5},
    }  # fmt: skip
    assert base["epochs"] == 20
