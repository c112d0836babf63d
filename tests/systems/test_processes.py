"""Several processes on this machine, as they would be on several machines."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ganno_env import make_env
from systems.loggers.jsonl import read_records
from systems.options.commands import Distributed
from systems.policy.policy import load_policy
from systems.ppo.config import PPOConfig
from systems.ppo.mesh import make_mesh
from systems.training import devices
from systems.training.devices import ProcessError
from systems.training.loop import train
from tests.systems.conftest import mesh_of
from tests.systems.short_runs import UPDATES, train_for

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = (
    "env=digits_cnn2", "network=mlp", "env.network_options={widths: [8]}", "env.train_size=128",
    "env.batch_size=16", "env.updates_per_step=2", "env.epochs=1",
    "env.features=learning_rate_only", "env.reward=accuracy_gain",
)  # fmt: skip
SYSTEM = {
    "total_timesteps": 64, "rollout_length": 8, "num_envs": 4, "actor_layers": [16],
    "post_recurrent_layers": [16], "critic_layers": [16],
}  # fmt: skip


def start(*command: str) -> subprocess.Popen[str]:
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def both(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    try:
        said = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, *text) for p, text in zip(processes, said, strict=True)]


def coordinator() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def assert_close(records, expected):
    """As in `test_two_devices_equal_one`; how long it took says nothing."""
    assert len(records) == len(expected)
    for one, other in zip(records, expected, strict=True):
        assert set(one) == set(other)
        for name in set(one) - {"seconds", "steps_per_second"}:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder, where = tmp_path_factory.mktemp("processes"), coordinator()
    script = ("tests.systems.two_processes", str(folder), where)
    ended = both([start(*script, str(number)) for number in (0, 1)])
    for code, _, errors in ended:
        assert code == 0, errors
    return folder, [json.loads(out.splitlines()[-1]) for _, out, _ in ended], ended


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_once")
def test_two_processes_and_two_devices_equal_one(seen):
    folder, (first, second), _ = seen
    assert first["devices"] == second["devices"] == [0, 1]
    records = read_records(folder / "run" / "metrics.jsonl")
    for num_devices in (1, 2):
        alone = train_for(UPDATES, mesh=mesh_of(num_devices))
        assert_close(records, alone.records)
        learned = (load_policy(folder / "run").params, alone.policy.params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), *learned)
    assert first["parameters"] == second["parameters"], "both learn the same, to the last bit"


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_after_the_same_update_and_they_resume(seen):
    folder, both_seen, _ = seen
    for one in both_seen:
        assert one["stopped"] == ["SIGTERM", 3]
        assert [record["update"] for record in one["resumed"]] == list(range(1, UPDATES + 1))
    assert {path.name for path in folder.iterdir()} == {"run", "full"}
    assert {path.name for path in (folder / "run").iterdir()} == {
        "checkpoints", "metrics.jsonl", "policy.npz", "training.png",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_once")
def test_what_a_run_of_two_processes_saved_one_process_goes_on_with(seen):
    folder, _, _ = seen
    more = train_for(UPDATES + 2, folder / "run", resume=True)
    assert_close(more.records, train_for(UPDATES + 2).records)


@pytest.mark.slow
def test_what_goes_wrong_in_one_process_ends_both_with_a_word(seen):
    _, (first, second), ended = seen
    assert first["data"] == second["data"] == [0.0, 2.0, 4.0]
    for one in (first, second):
        assert one["other data"] == (
            "ValueError: the processes have different data; give each the same files"
        )
        assert "ValueError: process 1 was given other options" in one["other options"]
    assert "StorageError" in first["full disk"]
    assert "No space left on device" in first["full disk"]
    assert second["full disk"] == "ProcessError: process 0 of 2 failed; it says why"
    assert "SIGTERM received" in ended[1][2]
    assert "SIGTERM received" not in ended[0][2]


@pytest.mark.slow
def test_the_command_trains_on_real_images_in_two_processes(tmp_path):
    where = coordinator()
    system = (f"system.{name}={value}" for name, value in SYSTEM.items())
    command = (
        "systems.train", *ENVIRONMENT, *system, f"output_dir={tmp_path / 'run'}", "num_devices=2",
        "distributed.num_processes=2", f"distributed.coordinator={where}",
    )  # fmt: skip
    ended = both([start(*command, f"distributed.process_id={number}") for number in (0, 1)])
    for code, _, errors in ended:
        assert code == 0, errors
    assert "return, last tenth" in ended[0][2]
    assert "update" not in ended[1][2], "the second process has nothing to say"
    environment = load_policy(tmp_path / "run").information["environment"]
    alone = train(make_env(**environment), PPOConfig(**SYSTEM))
    assert_close(read_records(tmp_path / "run" / "metrics.jsonl"), alone.records)
    assert not any("distributed" in o for o in json.loads(overrides(tmp_path)))


def overrides(folder: Path) -> str:
    return (folder / "run" / "overrides.json").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coordinator": "here"}, "distributed.coordinator='here'; it must be HOST:PORT"),
        ({"coordinator": "a:1"}, "distributed.num_processes is missing"),
        ({"coordinator": "a:1", "num_processes": 2}, "distributed.process_id is missing"),
        ({"coordinator": "a:1", "num_processes": 2, "process_id": 2}, "numbered from 0"),
        ({"coordinator": "a:1", "num_processes": "2", "process_id": 0}, "num_processes='2'"),
        ({"num_processes": 2}, "needs distributed.coordinator=HOST:PORT"),
        ({"coordinator": "auto", "process_id": 0}, "not 'auto'"),
        ({"timeout": 0}, "timeout=0; it must be a whole number of at least 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Distributed(**options)


def test_every_process_gives_as_many_devices():
    def of(*processes):
        return [SimpleNamespace(process_index=process) for process in processes]

    with pytest.raises(ValueError, match=r"different numbers of devices, \[1, 2\]"):
        make_mesh(of(0, 0, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_devices=3; choose 2 to 4 in multiples of 2"):
        make_mesh(of(0, 0, 1, 1), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="5 environments do not divide evenly among 2 devices"):
        make_mesh(of(0, 1), num_envs=5)  # type: ignore[arg-type]


def test_another_process_that_failed_is_named(monkeypatch):
    monkeypatch.setattr(devices, "gather", lambda value: [value, 1])
    with pytest.raises(ProcessError, match="process 1 of 2 failed"), devices.synchronised():
        pass
    with pytest.raises(OSError, match="my own"), devices.synchronised():
        raise OSError("my own")


@pytest.mark.slow
def test_processes_that_do_not_meet_say_so():
    arguments = ("distributed.num_processes=2", "distributed.process_id=1", "distributed.timeout=2")
    done = both([start("systems.train", *arguments, f"distributed.coordinator={coordinator()}")])
    code, _, errors = done[0]
    assert code == 1
    assert errors.startswith("error: the first process could not be reached at 127.0.0.1:")
    assert len(errors.splitlines()) == 1
