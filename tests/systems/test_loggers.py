import importlib
import io
import json
import math
import os
import struct
import sys
import threading
import time
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
    with pytest.raises(ValueError, match=rf"'{module}' .*pip install --editable '\.\[{extra}\]'"):
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


def wandb_records(path):
    """What is in a `.wandb` file: a LevelDB log of the client's own protobuf messages.

    After 7 bytes of a header, blocks of 32 KiB are filled with pieces: checksum, length, kind (1
    whole, 2 first, 3 middle, 4 last), content.
    """
    message = importlib.import_module("wandb.proto.wandb_internal_pb2").Record
    content, at, record = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 2**15 - at % 2**15 < 7:
            at += 2**15 - at % 2**15
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield message.FromString(record)
            record = b""


def read_to_the_end(path):
    """Another process writes the file, and may be a moment behind."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        messages = list(wandb_records(path))
        if messages and messages[-1].WhichOneof("record_type") == "exit":
            return messages
        time.sleep(0.1)
    raise AssertionError("the run was not written to its end")


def test_wandb_offline_reads_back(run, tmp_path):
    pytest.importorskip("wandb")
    loggers = make_loggers({"wandb": {"project": "tried"}}, run)
    loggers.log(record(1, loss=0.5))
    loggers.log(record(2, loss=0.25))
    loggers.finish({"return": 1.5})
    (path,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    messages = read_to_the_end(path)
    history, summary, runs = [], {}, []
    for message in messages:
        if message.WhichOneof("record_type") == "history":
            items = message.history.item
            row = {i.key or i.nested_key[0]: json.loads(i.value_json) for i in items}
            history.append((row["_step"], row["loss"], row["update"]))
        elif message.WhichOneof("record_type") == "summary":
            summary |= {i.key: json.loads(i.value_json) for i in message.summary.update}
        elif message.WhichOneof("record_type") == "run":
            runs.append((message.run.project, message.run.display_name))
    assert history == [(10, 0.5, 1), (20, 0.25, 2)]
    assert summary["return"] == 1.5
    assert runs[0] == ("tried", "try")


def test_neptune_offline_reads_back(run, tmp_path):
    pytest.importorskip("neptune")
    queues = importlib.import_module("neptune.core.components.queue.disk_queue")
    operation = importlib.import_module("neptune.internal.operation").Operation
    loggers = make_loggers({"neptune": None}, run)
    loggers.log(record(1, loss=0.5))
    loggers.log(record(2, loss=0.25))
    loggers.finish({"return": 1.5})
    (folder,) = tmp_path.glob(".neptune/offline/run__*")
    read = []
    lock = threading.RLock()
    with queues.DiskQueue(folder, operation.to_dict, operation.from_dict, lock) as queue:
        while (element := queue.get()) is not None:
            read.append(element.obj)
    losses = [v for o in read if o.path == ["training", "loss"] for v in o.values]
    assert [(v.step, v.value) for v in losses] == [(10, 0.5), (20, 0.25)]
    values = {"/".join(o.path): getattr(o, "value", None) for o in read}
    assert values["summary/return"] == 1.5
    assert values["config/gamma"] == 0.99
    assert values["sys/name"] == "try"
    assert "NEPTUNE_DATA_DIRECTORY" not in os.environ


def test_neptunes_debug_mode_writes_nothing(run, tmp_path):
    pytest.importorskip("neptune")
    warnings = []
    logger = LOGGERS["neptune"](run, mode="debug")
    loggers = Loggers([("neptune", logger)], warnings.append)
    loggers.log(record(1, loss=0.5))
    loggers.finish({"return": 1.5})
    assert not warnings
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


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
