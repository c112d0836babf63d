"""What is kept from one `systems.reproduce` to the next, and what is never taken for another's.

Trainings and runs are made up here: each has numbers of its own, so that those that are found again
are those that were made before.
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env import optimisers
from ganno_env.evaluation import GridRunner
from ganno_env.optimisers import OPTIMISERS, Optimiser
from systems import reproduce as command
from systems.experiments import agents, reports
from systems.options.commands import ReproduceOptions
from systems.policy.policy import FILE_NAME, load_policy, make_policy, save_policy
from systems.ppo import networks
from systems.ppo.normalisation import initial_statistics
from systems.training.loop import TrainResult
from systems.training.run import TrainingRun
from tests.systems.conftest import mesh_of, small_config
from tests.systems.test_reproduce import SIZES, compose, records, run
from tests.toys import Recall

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def made_up():
    numbers = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GridRunner, "_episodes", lambda *args: made_up_runs(numbers, *args))
        patch.setattr(agents, "train", made_up_training)
        # Nobody looks at the pictures, which would take half of the time.
        patch.setattr(reports, "write_figure", lambda _, path: path.touch())
        yield


def made_up_runs(numbers, runner, device, batch, specs):
    env = batch.group.variant.of(runner.env)
    generator = np.random.default_rng(next(numbers))
    size = batch.size
    curves = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    for _ in range(env.time_limit):
        rates = generator.random((size, env.num_layers), np.float32) / 100
        yield {name: generator.random(size, np.float32) for name in (*curves, "test_accuracy")} | {
            "controls": {"learning_rate": rates},
            "actions": generator.integers(0, env.action_dim, (size, env.num_agents), np.int32),
        }


def made_up_training(env, config, *, system, seed, output_dir, environment, **options):
    run = TrainingRun(
        env=env, environment=environment, system=system, config=config, seed=seed,
        folder=output_dir, keep=1, num_devices=1, documents={},
    )  # fmt: skip
    updates = options["stop_after_updates"]
    training = {"updates": updates, "env_steps": updates * config.timesteps_per_update}
    actor = networks.make_actor(config, env.action_dim)
    size, agents = len(env.feature_names), env.num_agents
    shapes = jax.eval_shape(
        actor.init, jax.random.PRNGKey(0), jnp.zeros((agents, config.recurrent_size)),
        jnp.zeros((1, agents, size)), jnp.ones((1, agents, env.action_dim), bool),
        jnp.zeros((1, agents), bool),
    )  # fmt: skip
    generator = np.random.default_rng([seed, round(1000 * config.gamma)])
    params = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype("f4"), shapes)
    information = run.identity | {"training": training}
    policy = make_policy(config, env, params, initial_statistics((size,)), information)
    save_policy(policy, output_dir / FILE_NAME)
    return TrainResult(policy, None, [], output_dir, None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, made_up):
    return run(tmp_path_factory.mktemp("made_up") / "table1")


def policies(folder):
    return sorted(path.name for path in (folder / "agents").iterdir())


def gannos(folder):
    return [run for run in records(folder) if run["method"] == "GANNO"]


def test_agents_that_act_or_begin_otherwise_are_other_agents(finished, tmp_path, capsys):
    """What was once kept as the same: another initial rate, and another way to act."""
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    ours = ["methods=[ganno]", "seeds=[0]", "learning_rates=[0.001]"]
    before, trained = gannos(folder), policies(folder)
    run(folder, *ours, "+agents.ganno.greedy=true")
    assert "1 runs" in (said := capsys.readouterr().out)
    assert "made before" not in said
    assert "GANNO: the folder also keeps runs of another definition" in said
    assert "greedy: False there, True now" in said
    run(folder, *ours, "+agents.ganno.learning_rate=0.003")
    assert "learning_rate: None there, 0.003 now" in capsys.readouterr().out
    assert [r["controls"] for r in gannos(folder)] != [r["controls"] for r in before]
    assert policies(folder) == trained, "the policy is the same"
    run(folder)
    assert "12 runs, 12 of them made before" in capsys.readouterr().out
    assert gannos(folder) == before


@pytest.mark.parametrize("change", ["training_seed=1", "++system.gamma=0.5"])
def test_agents_of_another_training_are_trained_anew(finished, tmp_path, change, capsys):
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    (before,) = policies(folder)
    run(folder, "methods=[ganno]", "seeds=[0]", "learning_rates=[0.001]", change)
    assert "1 runs\n" in capsys.readouterr().out
    first, second = (load_policy(folder / "agents" / name) for name in policies(folder))
    assert before in policies(folder)
    assert first.information != second.information
    weights = zip(jax.tree.leaves(first.params), jax.tree.leaves(second.params), strict=True)
    assert not all(np.array_equal(a, b) for a, b in weights)


def test_a_policy_that_is_not_what_its_folder_is_for_is_refused(finished, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    (agents,) = (folder / "agents").iterdir()
    policy = load_policy(agents)
    other = dataclasses.replace(policy, information={**policy.information, "seed": 7})
    save_policy(other, agents / FILE_NAME, overwrite=True)
    with pytest.raises(ValueError, match=r"another training's policy \(seed: 7 there, 0 now\)"):
        run(folder)


def test_a_method_whose_code_changed_is_made_anew(finished, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    before = records(folder)
    lion = Optimiser(lambda hyperparameters: optax.scale_by_lion(b1=0.5))
    monkeypatch.setitem(OPTIMISERS._members, "lion", lambda: lion)
    monkeypatch.setattr(optimisers, "_built", optimisers._built.__wrapped__)
    run(folder)
    said = capsys.readouterr().out
    assert "12 runs, 8 of them made before" in said
    assert "Lion, λ = 0.01: the folder also keeps runs of another definition (optimiser: " in said
    after = records(folder)
    changed = {a["method"] for a, b in zip(after, before, strict=True) if a != b}
    assert changed == {"Lion, λ = 0.01"}
    monkeypatch.undo()
    run(folder)
    assert "12 runs, 12 of them made before" in capsys.readouterr().out
    assert records(folder) == before


@pytest.mark.parametrize(
    "fewer",
    [["methods=[constant]"], ["methods=[ganno,rex]"], ["seeds=[1]"], ["learning_rates=[0.01]"]],
)
def test_a_second_run_with_less_loses_nothing_of_the_report(finished, tmp_path, fewer):
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    run(folder, *fewer)
    text = (folder / "table.md").read_text()
    for row in ("constant", "Lion, λ = 0.01", "GANNO"):
        (before,) = _lines(finished, row)
        assert before in _lines(folder, row), text
    made = records(folder)
    assert all(record in made for record in records(finished))


def _lines(folder, row):
    """The row of each table, but for those of the paper's own values."""
    text = (folder / "table.md").read_text().replace("**", "")
    lines = [line for line in text.splitlines() if line.startswith(f"| {row} |")]
    return [line for line in lines if line.endswith(("given |", "trained |"))]


def test_another_weight_decay_is_another_table_of_the_report(finished, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    run(folder, "methods=[constant]", "weight_decays=[0.5]")
    text = (folder / "table.md").read_text()
    assert text.index("λ = 0.5\n") < text.index("λ = 0.1\n")
    assert len(_lines(folder, "constant")) == 2
    assert len(_lines(folder, "GANNO")) == 1
    assert {path.name for path in folder.glob("comparison*")} == {
        "comparison.png", "comparison-0.1.png", "comparison-0.5.png",
    }  # fmt: skip


def test_random_agents_with_the_policys_actions(finished, tmp_path):
    folder = tmp_path / "out"
    levels = "++train_on.actions=['noop','=0.001','=0.01']"
    ours = ["methods=[ganno,random:ganno,random]", "seeds=[0]", "learning_rates=[0.001]"]
    run(folder, *ours, levels)
    runs = {r["method"]: r for r in records(folder)}
    assert set(runs) == {"GANNO", "random, actions of GANNO", "random"}
    assert max(map(max, runs["random, actions of GANNO"]["actions"])) < 3
    assert max(map(max, runs["random"]["actions"])) > 2


def test_where_actions_are_the_tables_random_agents_have_one_row(finished, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    run(folder, "methods=[ganno,random:ganno]")
    assert "random" not in (folder / "table.md").read_text()


def test_titles_say_what_was_run(finished, tmp_path):
    assert "Test accuracy (%) of mlp on digits" in (finished / "table.md").read_text()
    folder = run(
        tmp_path / "out", "methods=[constant]", "seeds=[0]", "split=validation",
        "++env.network=cnn2", "learning_rates=[0.001]",
    )  # fmt: skip
    assert "Validation accuracy (%) of cnn2 on digits" in (folder / "table.md").read_text()


def test_agents_after_some_episodes_are_of_the_same_training(tmp_path):
    """The same seed, and learning rates annealed towards the same end: looked in on, not ended."""
    folder = tmp_path / "out"
    options = [
        "experiment=figure1", *SIZES, f"output_dir={folder}", "++system.total_timesteps=128",
        "methods=[episode_40,ganno]", "agents.episode_40.episodes=10",
        "++system.anneal_learning_rates=true", "++env.network=cnn2",
    ]  # fmt: skip
    command.run(ReproduceOptions.parse({**compose(*options), "name": "figure1"}))
    looked_in = load_policy(next((folder / "agents").glob("episode_40*")))
    whole = load_policy(next((folder / "agents").glob("ganno*")))
    updates = [p.information["training"]["updates"] for p in (looked_in, whole)]
    assert updates == [2, 4]  # ten episodes of four steps, in rollouts of 32
    without_cost = [
        {k: v for k, v in p.information.items() if k != "training"} for p in (looked_in, whole)
    ]
    assert without_cost[0] == without_cost[1]
    assert (folder / "figure1.png").exists()
    # Of a policy that is there already, it is that policy's own training.
    given = next((folder / "agents").glob("ganno*"))
    options += [f"checkpoint={given}", "training_seed=5", "++system.gamma=0.1"]
    command.run(ReproduceOptions.parse({**compose(*options), "name": "figure1"}))
    assert len(list((folder / "agents").iterdir())) == 2


def testuntrained_policy_agents_are_those_that_the_training_begins_with(learner):
    config = small_config()
    planned = agents.Plan({}, Recall(), "rec_ippo", config, 3, 0, Path())
    policy = agents.untrained_policy(planned, mesh_of(1))
    begun = learner.init(jax.random.PRNGKey(3)).learned.params.actor
    jax.tree.map(np.testing.assert_array_equal, policy.params, begun)
    assert policy.information["training"]["updates"] == 0
