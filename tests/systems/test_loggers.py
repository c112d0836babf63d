import io
import json
import math
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from systems.curves import draw_training_curve, smooth
from systems.errors import StorageError
from systems.loggers import LOGGERS, Loggers, Run, make_loggers
from systems.loggers.console import ConsoleLogger
from systems.loggers.jsonl import read_records
from systems.loggers.marl_eval import MarlEvalLogger


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


def make_run(folder, first_update=0):
    return Run(
        name="try", folder=folder, system="rec_ippo", environment="toy", seed=3,
        config={"gamma": 0.99}, num_updates=3, timesteps_per_update=10, first_update=first_update,
    )  # fmt: skip


def record(update, **figures):
    return {"update": update, "env_steps": 10 * update, "seconds": 1.5 * update, **figures}


def test_json_lines_are_complete_after_each_update_and_read_back(run, tmp_path):
    loggers = make_loggers({"jsonl": None}, run)
    path = tmp_path / "metrics.jsonl"
    loggers.log(record(1, loss=0.25))
    assert read_records(path) == [record(1, loss=0.25)]
    loggers.log(record(2, loss=math.nan, grad=math.inf))
    loggers.finish({})
    second = read_records(path)[1]
    assert math.isnan(second["loss"])
    assert json.loads(path.read_text().splitlines()[1])["grad"] is None


def test_json_lines_resume_where_the_checkpoint_was(run, tmp_path):
    loggers = make_loggers({"jsonl": None}, run)
    for update in (1, 2, 3):
        loggers.log(record(update))
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-5])  # as a crash leaves it
    assert read_records(path) == [record(1), record(2)]
    loggers = make_loggers({"jsonl": None}, make_run(tmp_path, first_update=1))
    loggers.log(record(2, again=1.0))
    assert read_records(path) == [record(1), record(2, again=1.0)]


def marl_eval_steps(tmp_path):
    content = json.loads((tmp_path / "marl_eval.json").read_text())
    return content["ganno"]["toy"]["rec_ippo"]["seed_3"]


def test_marl_evals_layout(run, tmp_path):
    logger = MarlEvalLogger(run)
    logger.log(record(1, episode_return=2.0))
    logger.log(record(2))
    logger.log(record(3, episode_return=1.0))
    assert marl_eval_steps(tmp_path) == {
        "step_0": {"step_count": 10, "elapsed_time": 1, "episode_return": [2.0]},
        "step_1": {"step_count": 30, "elapsed_time": 4, "episode_return": [1.0]},
    }
    logger.finish({})
    assert marl_eval_steps(tmp_path)["absolute_metrics"] == {"episode_return": [2.0]}
    MarlEvalLogger(make_run(tmp_path, first_update=2))
    assert list(marl_eval_steps(tmp_path)) == ["step_0"]


def test_the_console_without_a_terminal_prints_lines_and_a_summary(run):
    out = io.StringIO()
    logger = ConsoleLogger(run, every=0.0, console=Console(file=out, width=120))
    logger.log(record(1, episode_return=2.0, steps_per_second=5.0))
    logger.log(record(2, skipped_updates_in_a_row=1.0))
    logger.log(record(3))
    logger.finish({"return": 1.25, "written to": "here"})
    text = out.getvalue()
    assert "3 updates of 10 environment steps" in text
    assert "update 1/3  episode_return 2  steps_per_second 5  left ?" in text
    assert "update 2 was not finite and is skipped" in text
    assert "update 3/3    left 0:00:00" in text
    assert "written to" in text.splitlines()[-1]


def test_the_console_on_a_terminal_shows_a_bar(run):
    out = io.StringIO()
    logger = ConsoleLogger(run, console=Console(file=out, width=120, force_terminal=True))
    logger.log(record(1, episode_return=2.0))
    logger.finish({})
    assert "1/3" in out.getvalue()


def test_a_logger_that_fails_warns_once_and_stops_nothing():
    class Broken:
        def log(self, record):
            raise OSError("no network")

        def finish(self, summary):
            raise AssertionError("it was dropped")

    seen, warnings = [], []
    good = SimpleNamespace(log=seen.append, finish=seen.append)
    loggers = Loggers([("broken", Broken()), ("good", good)], warnings.append)
    for update in (1, 2):
        loggers.log(record(update))
    loggers.finish({"done": 1})
    assert seen == [record(1), record(2), {"done": 1}]
    assert len(warnings) == 1
    assert "'broken' failed and is dropped; training goes on: no network" in warnings[0]


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("tensorboard", "tensorboardX", "tensorboard"),
        ("wandb", "wandb", "wandb"),
        ("neptune", "neptune", "neptune"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_command(run, monkeypatch, name, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"'{module}' .*pip install 'ganno\[{extra}\]'"):
        make_loggers({name: None}, run)


def test_what_cannot_start_says_so(run, tmp_path):
    with pytest.raises(ValueError, match="unknown logger 'csv'; known: console, jsonl, tensor"):
        make_loggers({"csv": None}, run)
    with pytest.raises(ValueError, match=r"logger 'console' cannot start: .*'colour'"):
        make_loggers({"console": {"colour": "red"}}, run)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"logger 'jsonl' cannot start: .*Not a directory"):
        make_loggers({"jsonl": None}, make_run(tmp_path / "file"))
    with pytest.raises((ValueError, StorageError), match="could not write"):
        make_loggers({"marl_eval": None}, make_run(tmp_path / "file"))


def test_tensorboard_reads_back(run, tmp_path):
    pytest.importorskip("tensorboardX")
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    loggers = make_loggers({"tensorboard": None}, run)
    loggers.log(record(1, loss=0.5))
    loggers.log(record(2, loss=0.25))
    loggers.finish({})
    events = loader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(10, 0.5), (20, 0.25)]


def test_the_curve_is_drawn_from_whatever_there_is(tmp_path):
    records = [record(u, episode_return=float(u), entropy=1.0) for u in range(1, 30)]
    for rows in (records, [record(1)], []):
        draw_training_curve(rows, tmp_path / "curve.png")
        assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_smoothing_keeps_the_mean_of_a_line():
    import numpy as np

    line = np.arange(100.0)
    np.testing.assert_allclose(smooth(line)[10:-10], line[10:-10])
    np.testing.assert_allclose(smooth(np.ones(7)), 1.0)
    assert set(LOGGERS) == {"console", "jsonl", "tensorboard", "wandb", "neptune", "marl_eval"}


def test_marl_eval_reads_back(run, tmp_path):
    reader = pytest.importorskip("marl_eval.utils.data_processing_utils")
    logger = MarlEvalLogger(run)
    for update in (1, 2):
        logger.log(record(update, episode_return=float(update)))
    logger.finish({})
    data = reader.data_process_pipeline(
        raw_data=json.loads((tmp_path / "marl_eval.json").read_text()),
        metrics_to_normalize=["episode_return"],
    )
    matrices, _ = reader.create_matrices_for_rliable(
        data_dictionary=data, environment_name="ganno", metrics_to_normalize=["episode_return"]
    )
    assert matrices["mean_episode_return"]["rec_ippo"].tolist() == [[2.0]]
