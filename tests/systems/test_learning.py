import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from systems import learning

UPDATES = 20


def write_run(folder, returns, episodes):
    folder.mkdir()
    lines = [
        json.dumps(
            {
                "env_steps": 256 * (i + 1),
                "seconds": 10.0 * (i + 1),
                "episode_return": returns[i],
                "episode_validation_accuracy": 0.5 + returns[i] / 10,
                "episodes": episodes[i],
            }
        )
        for i in range(len(returns))
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    return str(folder)


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    return [
        write_run(
            tmp_path / f"run-{seed}",
            list(np.linspace(0, 1, UPDATES) + rng.normal(0, 0.1, UPDATES)),
            [8.0, 12.0] * (UPDATES // 2),
        )
        for seed in range(3)
    ]


def test_the_gain_of_each_run_and_its_standard_error(folders):
    group = learning.read_group(folders)
    gain = learning.gain(group)
    differences = []
    for folder in folders:
        lines = Path(folder, "metrics.jsonl").read_text().splitlines()
        runs = [json.loads(line) for line in lines]
        returns = [record["episode_return"] for record in runs]
        # The tenths are two updates, of 8 and of 12 episodes.
        first = 0.4 * returns[0] + 0.6 * returns[1]
        differences.append(0.4 * returns[-2] + 0.6 * returns[-1] - first)
    mean, error = np.mean(differences), np.std(differences, ddof=1) / math.sqrt(3)
    assert gain.last - gain.first == pytest.approx(mean)
    assert gain.standard_error == pytest.approx(error)
    assert gain.ratio == pytest.approx(mean / error)


def test_runs_of_unequal_length_are_compared_as_far_as_all_came(folders, tmp_path):
    short = write_run(tmp_path / "short", [0.0] * 12, [1.0] * 12)
    group = learning.read_group([*folders, short])
    assert group.returns.shape == (4, 12)
    assert group.env_steps[-1] == 12 * 256


def test_a_table_and_a_picture_are_written_once(folders, tmp_path):
    runs = {"many": folders, "one": folders[:1]}
    target = learning.compare(runs, str(tmp_path / "learning"))
    table = (target / "table.md").read_text()
    assert "| many | 3 | 5,120 | 3.3 |" in table
    assert "| one | 1 |" in table
    assert "nan" not in table
    assert (target / "learning.png").read_bytes()[1:4] == b"PNG"
    assert set(json.loads((target / "records.json").read_text())) == set(runs)
    with pytest.raises(ValueError, match="exists already"):
        learning.compare(runs, str(target))


def test_bad_input():
    with pytest.raises(ValueError, match=r"runs=\{NAME: .* is missing"):
        learning.compare({})
    with pytest.raises(ValueError, match="nowhere is no run's folder"):
        learning.compare({"a": ["nowhere"]})


def test_the_command_says_what_is_wrong():
    command = [sys.executable, "-m", "systems.learning", "runs={a: [nowhere]}"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("error: nowhere is no run's folder")


def test_a_run_that_has_hardly_begun_is_refused(tmp_path):
    folder = write_run(tmp_path / "young", [0.0] * 9, [1.0] * 9)
    with pytest.raises(ValueError, match="has made 9 updates; a curve needs 10"):
        learning.read_group([folder])
