"""What loggers write of a run, and how each is started and closed."""

import contextlib
import io
import json
import math
import os
from types import SimpleNamespace

import pytest
from rich.console import Console

from systems.loggers import LOGGERS, Loggers, make_loggers
from systems.loggers.console import ConsoleLogger
from systems.loggers.jsonl import read_records
from systems.loggers.marl_eval import MarlEvalLogger
from systems.training.curves import draw_training_curve, smooth
from systems.utils.errors import StorageError
from tests.systems.logged import make_run, record


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
    loggers.finish({})
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-5])  # as a crash leaves it
    assert read_records(path) == [record(1), record(2)]
    loggers = make_loggers({"jsonl": None}, make_run(tmp_path, first_update=1))
    loggers.log(record(2, again=1.0))
    assert read_records(path) == [record(1), record(2, again=1.0)]
    loggers.finish({})


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
        "absolute_metrics": {"episode_return": [2.0]},
    }
    logger.finish({})
    assert list(marl_eval_steps(tmp_path))[-1] == "absolute_metrics"
    MarlEvalLogger(make_run(tmp_path, first_update=2))
    assert list(marl_eval_steps(tmp_path)) == ["step_0", "absolute_metrics"]
    MarlEvalLogger(make_run(tmp_path, first_update=0))
    assert not (tmp_path / "marl_eval.json").exists()


def test_what_marl_eval_reads_is_whole_after_every_update_of_a_run_that_diverges(run, tmp_path):
    logger = MarlEvalLogger(run)
    path = tmp_path / "marl_eval.json"
    returns = [None, 1.0, math.nan, 3.0, math.inf, 2.0]
    for update, value in enumerate(returns, start=1):
        logger.log(record(update, **({} if value is None else {"episode_return": value})))
        if update == 1:
            assert not path.exists(), "a file without a step is refused"
            continue
        steps = strict(path.read_text())["ganno"]["toy"]["rec_ippo"]["seed_3"]
        seen = [v for v in returns[:update] if v is not None and math.isfinite(v)]
        assert [step["episode_return"] for step in steps.values()] == [
            *([v] for v in seen), [max(seen)]
        ]  # fmt: skip
    path.write_text("{}")
    with pytest.raises(ValueError, match="is not this run's"):
        MarlEvalLogger(run)


def strict(text):
    return json.loads(text, parse_constant=pytest.fail)


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
            closed.append(summary)
            raise OSError("still no network")

    seen, warnings, closed = [], [], []
    good = SimpleNamespace(log=seen.append, finish=seen.append)
    loggers = Loggers([("broken", Broken()), ("good", good)], warnings.append)
    for update in (1, 2):
        loggers.log(record(update))
    loggers.finish({"done": 1})
    assert seen == [record(1), record(2), {"done": 1}]
    assert len(warnings) == 1
    assert "'broken' failed and is dropped; training goes on: no network" in warnings[0]
    assert closed == [{"status": "failed: OSError: no network"}]


class Recorder:
    """A logger that must be closed once."""

    def __init__(self, run=None):
        self.finished = []

    def log(self, record):
        pass

    def finish(self, summary):
        self.finished.append(summary)


@pytest.mark.parametrize("error", [None, ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_ends_a_run_every_logger_is_closed_once(error):
    loggers = [Recorder(), Recorder()]
    with contextlib.suppress(BaseException), Loggers([("a", loggers[0])]) as sink:
        sink.add("b", loggers[1])
        if error is None:
            sink.finish({"status": "finished", "steps": 1})
        else:
            raise error
    expected = {"status": "finished", "steps": 1}
    if error is not None:
        expected = {"status": f"failed: {type(error).__name__}: {error}"}
    for logger in loggers:
        assert logger.finished == [expected]


def test_those_that_have_started_are_closed_if_a_later_one_cannot(run, monkeypatch):
    first = Recorder()
    monkeypatch.setitem(LOGGERS._members, "first", lambda run: first)
    with pytest.raises(ValueError, match="unknown option"):
        make_loggers({"first": None, "console": {"colour": "red"}}, run)
    (summary,) = first.finished
    assert summary["status"].startswith("failed: ValueError: unknown option 'logger.console")


def test_metrics_are_on_the_disk_before_a_checkpoint_may_be(run, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    sink = make_loggers({"jsonl": None}, run)
    for update in (1, 2):
        sink.log(record(update))
        assert len(synced) == update
    sink.finish({})


def test_metrics_with_a_damaged_end_are_read_as_far_as_they_go(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for damage in (b"\0\0\0", b"\xff\xfe", b"1\n", b'{"update": 2'):
        path.write_bytes(b'{"update": 1}\n' + damage)
        assert read_records(path) == [{"update": 1}]


def test_what_cannot_start_says_so(run, tmp_path):
    with pytest.raises(ValueError, match="unknown logger 'csv'; known: console, jsonl, tensor"):
        make_loggers({"csv": None}, run)
    with pytest.raises(ValueError, match=r"unknown option 'logger.console.colour'"):
        make_loggers({"console": {"colour": "red"}}, run)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"logger 'jsonl' cannot start: .*Not a directory"):
        make_loggers({"jsonl": None}, make_run(tmp_path / "file"))
    with pytest.raises((ValueError, StorageError), match="could not write"):
        make_loggers({"marl_eval": None}, make_run(tmp_path / "file"))


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
