"""TensorBoard, Weights & Biases and Neptune: what each is given, and what is read back."""

import contextlib
import importlib
import json
import math
import os
import struct
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from systems.loggers import LOGGERS, Loggers, make_loggers
from tests.systems.logged import make_run, record


class FakeWandb(SimpleNamespace):
    """As the client: while one run is active, `init` returns that one."""

    def __init__(self):
        super().__init__(active=None, runs=[])

    def init(self, **options):
        if self.active is None:
            self.active = SimpleNamespace(
                options=options, rows=[], summary={}, exit_code=None, finish=self.finish,
                log=lambda row, step: self.active.rows.append((step, row)),
            )  # fmt: skip
            self.runs.append(self.active)
        return self.active

    def finish(self, exit_code=0):
        self.active.exit_code, self.active = exit_code, None


def test_in_a_sweep_each_job_has_a_wandb_run_of_its_own(tmp_path, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for job, fails in enumerate((True, False)):
        with (
            contextlib.suppress(RuntimeError),
            make_loggers({"wandb": None}, make_run(tmp_path / str(job))) as sink,
        ):
            sink.log(record(1, loss=math.nan))
            if fails:
                raise RuntimeError("diverged")
            sink.finish({"status": "finished", "return": 1.0})
    assert wandb.active is None
    assert [len(run.rows) for run in wandb.runs] == [1, 1]
    assert [run.exit_code for run in wandb.runs] == [1, 0]
    assert [run.summary["status"] for run in wandb.runs] == [
        "failed: RuntimeError: diverged", "finished",
    ]  # fmt: skip


def test_neptune_takes_finite_numbers_alone_and_is_stopped(run, monkeypatch):
    class Series(list):
        def append(self, value, step):
            assert math.isfinite(value)
            super().append((step, value))

    class Client(dict):
        stopped = 0

        def __missing__(self, name):
            self[name] = Series()
            return self[name]

        def stop(self):
            self.stopped += 1

    clients = []

    def init_run(**options):
        clients.append(Client())
        return clients[-1]

    stringify = SimpleNamespace(stringify_unsupported=lambda options: options)
    neptune = SimpleNamespace(init_run=init_run, utils=stringify)
    monkeypatch.setitem(sys.modules, "neptune", neptune)
    with contextlib.suppress(RuntimeError), make_loggers({"neptune": None}, run) as sink:
        sink.log(record(1, loss=math.nan, reward=2.0))
        raise RuntimeError("diverged")
    (client,) = clients
    assert client.stopped == 1
    assert client["training/reward"] == [(10, 2.0)]
    assert "training/loss" not in client
    assert client["summary/status"] == "failed: RuntimeError: diverged"

    def refuse(options):
        raise TypeError("what is this")

    stringify.stringify_unsupported = refuse
    with pytest.raises(ValueError, match="does not take the run's options: what is this"):
        make_loggers({"neptune": None}, run)
    assert clients[-1].stopped == 1


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


@pytest.mark.filterwarnings("ignore")  # Neptune's own, of GPUs that are not there
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


@pytest.mark.filterwarnings("ignore")
def test_neptunes_debug_mode_writes_nothing(run, tmp_path):
    pytest.importorskip("neptune")
    warnings = []
    logger = LOGGERS["neptune"](run, mode="debug")
    loggers = Loggers([("neptune", logger)], warnings.append)
    loggers.log(record(1, loss=0.5))
    loggers.finish({"return": 1.5})
    assert not warnings
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
