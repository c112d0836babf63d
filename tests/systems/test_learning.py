import json

import numpy as np
import pytest
from scipy import stats

from systems import learning
from systems.experiments import learning_curves
from tests.systems.commands import refused

UPDATES = 20


def write_run(folder, returns, missing=()):
    """A run's metrics; in the updates that are `missing` no episode ended."""
    folder.mkdir()
    lines = []
    for i, value in enumerate(returns):
        record = {"env_steps": 256 * (i + 1), "seconds": 10.0 * (i + 1), "reward": 0.0}
        if i not in missing:
            record |= {"episode_return": value, "episode_validation_accuracy": 0.5 + value / 10}
        lines.append(json.dumps(record))
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    return str(folder)


@pytest.fixture
def curves():
    return np.linspace(0, 1, UPDATES) + np.random.default_rng(0).normal(0, 0.1, (3, UPDATES))


@pytest.fixture
def folders(tmp_path, curves):
    return [write_run(tmp_path / f"run-{i}", list(curve)) for i, curve in enumerate(curves)]


def test_the_gain_of_each_run_and_its_standard_error(folders, curves):
    gain = learning_curves.gain(learning_curves.read_group(folders))
    differences = [(c[-2] + c[-1]) / 2 - (c[0] + c[1]) / 2 for c in curves]
    error = stats.sem(differences)
    assert gain.last - gain.first == pytest.approx(np.mean(differences))
    assert gain.standard_error == pytest.approx(error)
    assert gain.ratio == pytest.approx(np.mean(differences) / error)


def test_runs_of_unequal_length_are_compared_as_far_as_all_came(folders, tmp_path):
    short = write_run(tmp_path / "short", [0.0] * 12)
    group = learning_curves.read_group([*folders, short])
    assert group.returns.shape == (4, 12)
    assert group.env_steps[-1] == 12 * 256
    assert list(group.seconds) == [120.0] * 4


def test_updates_in_which_no_episode_ended_are_left_out(folders, curves, tmp_path):
    """Where episodes are longer than rollouts, most updates have none."""
    gaps = write_run(tmp_path / "gaps", list(curves[0]), missing=range(1, UPDATES, 2))
    group = learning_curves.read_group([*folders, gaps])
    np.testing.assert_allclose(group.returns[:3], curves[:, ::2])
    np.testing.assert_allclose(group.returns[3], curves[0, ::2])
    assert group.env_steps[1] == 3 * 256


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
    (target / "learning.png").unlink()  # as an interrupted one leaves it
    assert learning.compare(runs, str(target)) == target
    assert (target / "learning.png").is_file()


@pytest.mark.parametrize("seeds", [1, 2, 4, 5])
def test_an_interval_is_drawn_of_enough_seeds_alone(curves, seeds):
    """A band over two seeds filled its panel."""
    many = np.stack([curves[0] + seed for seed in range(seeds)])
    group = learning_curves.Group(np.arange(UPDATES), many, many, np.ones(seeds))
    for axes in learning_curves.draw({"a": group}).axes:
        assert len(axes.collections) == (seeds >= 5)
        assert len(axes.get_lines()) == seeds + (seeds > 1)


def test_bad_input():
    with pytest.raises(ValueError, match=r"runs=\{NAME: .* is missing"):
        learning.compare({})
    with pytest.raises(ValueError, match="nowhere is no run's folder"):
        learning.compare({"a": ["nowhere"]})


@pytest.mark.usefixtures("in_process")
def test_the_command_says_what_is_wrong(capsys):
    message = refused(capsys, learning.main, "runs={a: [nowhere]}")
    assert message.startswith("error: nowhere is no run's folder")


def test_a_run_that_has_hardly_begun_is_refused(tmp_path):
    folder = write_run(tmp_path / "young", [0.0] * 9)
    with pytest.raises(ValueError, match=r"episodes ended in 9 updates .* a curve needs 10"):
        learning_curves.read_group([folder])
