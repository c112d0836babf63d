"""Agents in NumPy: what they see, decide and keep, against the same policy in JAX."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ganno
from ganno.decisions import LOWERED, LOWERING, decision_times, exploration
from ganno.history import History
from systems.policy.policy import load_policy as load_in_jax
from systems.ppo.normalisation import normalise_observations
from tests.ganno.policies import observing
from tests.ganno.traced import RATE, golden

KINDS = ("convolutional", "linear", "attention")
LOW, HIGH = np.float32(1e-4), np.float32(1e-2)


@pytest.fixture(scope="module")
def policy():
    return ganno.load_policy()


def agent_of(policy, **changes):
    options = {"kinds": KINDS, "initial_rates": RATE, "names": ("a", "b", "c")}
    return ganno.Agent(policy, **(options | changes))


def measured(seed):
    norms = np.exp(np.random.default_rng(seed).normal(size=(2, len(KINDS))))
    return {"weight_norm": norms[0], "update_norm": norms[1]}


def run(agent, numbers):
    return np.stack([agent.decide(i / 40, **measured(i)) for i in numbers])


def test_the_network_in_numpy_is_that_in_jax(policy):
    """On random observations, far beyond those of training and not finite ones included."""
    in_jax, random = load_in_jax("pretrained"), np.random.default_rng(0)
    hidden = random.normal(size=(50, 64)).astype(np.float32)
    view = random.normal(size=(50, 6)).astype(np.float32) * 10.0 ** random.integers(-2, 9, (50, 1))
    view = view.astype(np.float32)
    view[:3, 1] = np.nan, np.inf, -np.inf
    mask = jnp.ones((1, 50, 6), bool)
    normalised = normalise_observations(
        in_jax.statistics, jnp.asarray(view), in_jax.observation_limit
    )
    expected = in_jax.actor.apply(
        in_jax.params, jnp.asarray(hidden), normalised[None], mask, jnp.zeros((1, 50), bool)
    )
    found = policy.forward(hidden, view)
    np.testing.assert_allclose(policy.normalised(view), normalised, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1][0], rtol=1e-5, atol=1e-5)


def test_a_recorded_training_is_decided_as_it_was(policy):
    """From norms whose ratio is the recorded one."""
    trace = golden()
    agent = ganno.Agent(policy, ["convolutional", "linear"], RATE)
    for i, features in enumerate(trace["features"]):
        agent.decide(i / 31, weight_norm=10 ** features[:, 2], update_norm=np.ones(2))
    np.testing.assert_allclose(agent.history.features, trace["features"], atol=1e-5)
    np.testing.assert_array_equal(agent.history.actions, trace["actions"])
    np.testing.assert_array_equal(agent.history.rates, trace["rates"])


def test_the_policy_says_what_it_needs(policy):
    agent = agent_of(policy)
    assert agent.needs == ("weight_norm", "update_norm")
    assert policy.decisions == 31
    np.testing.assert_allclose(policy.bounds, (LOW, HIGH))
    with pytest.raises(ValueError, match=r"observes update_norm, which this loop does not give"):
        agent.decide(0.0, weight_norm=np.ones(3))


def test_every_feature_can_be_observed_from_plain_numbers():
    """In closed form; a one-hot's columns are those of kinds, depths and actions."""
    policy = observing(
        "log_gradient_norm", "train_accuracy", "loss_ratio", "non_finite", "weight_decay",
        "log_initial_learning_rate", "layer_depth=first", "layer_depth=last", "layer_type=linear",
        "previous_action==0.003", "trust_ratio",
    )  # fmt: skip
    agent = agent_of(policy)
    numbers = {
        "gradient_norm": [1e-2, 1e-1, 1e9], "train_accuracy": 0.25, "train_loss": 1.0,
        "validation_loss": 4.0, "weight_decay": [0.0, 0.1, 0.2], "weight_norm": [0.0, 3.0, 5.0],
        "update_norm": [1.0, 2.0, 0.0],
    }  # fmt: skip
    assert set(agent.needs) == set(numbers)
    for _ in range(2):
        agent.decide(0.5, **numbers)
    first, second = agent.history.features
    rate = np.log10(RATE)
    last = agent.history.actions[0] == policy.action_names.index("=0.003")
    for view, acted in ((first, np.zeros(3)), (second, last)):
        np.testing.assert_allclose(view, np.array([
            [-2.0, 0.25, 0.25, 0.0, 0.0, rate, 1.0, 0.0, 0.0, acted[0], 1.0],
            [-1.0, 0.25, 0.25, 0.0, 0.1, rate, 0.0, 0.0, 1.0, acted[1], 1.5],
            [2.0, 0.25, 0.25, 0.0, 0.2, rate, 0.0, 1.0, 0.0, acted[2], 1.0],
        ]), rtol=1e-6)  # fmt: skip


def test_a_feature_that_there_is_not_is_named():
    with pytest.raises(ValueError, match=r"unknown feature 'gradient_nrom' \(did you mean 'grad"):
        agent_of(observing("gradient_nrom"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": []}, "there are no layers"),
        ({"kinds": ["linear", "lineal", "linear"]}, "unknown kind of layer 'lineal'"),
        ({"names": ["a"]}, "1 names for 3 layers"),
        ({"initial_rates": [1e-3, 1e-3]}, "one for each of 3 layers"),
        ({"initial_rates": -1.0}, "of at least 0"),
        ({"initial_rates": float("nan")}, "of at least 0"),
        ({"bounds": (1e-2, 1e-4)}, "0 <= low < high"),
    ],
)
def test_what_cannot_be_is_refused(policy, changes, message):
    with pytest.raises(ValueError, match=message):
        agent_of(policy, **changes)


def test_a_policy_that_sets_more_than_rates_is_refused(policy):
    names = ("noop", "learning_rate*1.1 momentum+0.1")
    with pytest.raises(ValueError, match="sets more than learning rates"):
        agent_of(dataclasses.replace(policy, action_names=names))


def test_rates_stay_within_bounds_whatever_is_seen(policy):
    names = ("noop", "*100", "/100", "+0.5", "-0.5", "=0.9")
    wild = dataclasses.replace(policy, action_names=names)
    rates = run(agent_of(wild, initial_rates=7.0), range(40))
    assert rates.min() == LOW
    assert rates.max() == HIGH
    narrow = run(agent_of(wild, bounds=(1e-3, 2e-3)), range(40))
    assert set(narrow.ravel()) == {np.float32(1e-3), np.float32(2e-3)}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["weight_norm", "update_norm"])
def test_what_is_not_finite_lowers_all_rates(policy, name, value):
    agent = agent_of(policy)
    before = run(agent, range(12))[-1]
    assert before.max() > LOW
    broken = measured(12)
    broken[name][1] = value
    after = agent.decide(0.4, **broken)
    np.testing.assert_allclose(after, np.maximum(before * np.float32(LOWERING), LOW))
    assert (agent.history.actions[-1] == LOWERED).all()
    assert np.isfinite(agent.history.features).all()
    agent.decide(0.5, **measured(13))
    assert (agent.history.actions[-1] >= 0).all()


def test_no_rate_is_raised_by_what_is_not_finite(policy):
    agent = agent_of(observing("log_train_loss"), initial_rates=0.0, bounds=(0.0, 1.0))
    np.testing.assert_array_equal(agent.decide(0.0, train_loss=np.nan), 0.0)


def test_samples_are_as_probable_as_the_policy_has_it(policy):
    number = 4000
    agent = ganno.Agent(policy, ["linear"] * number, RATE, greedy=False, seed=5)
    agent.decide(0.3, weight_norm=np.ones(number), update_norm=np.full(number, 2.0))
    view = agent.history.features[0, :1]
    _, logits = policy.forward(policy.initial_hidden(1), view)
    shares = np.bincount(agent.history.actions[0], minlength=6) / number
    np.testing.assert_allclose(shares, jax.nn.softmax(logits[0]), atol=0.03)
    again, other = (
        ganno.Agent(policy, ["linear"] * number, RATE, greedy=False, seed=seed) for seed in (5, 6)
    )
    for one in (again, other):
        one.decide(0.3, weight_norm=np.ones(number), update_norm=np.full(number, 2.0))
    np.testing.assert_array_equal(again.history.actions, agent.history.actions)
    assert (other.history.actions != agent.history.actions).mean() > 0.1
    noise = [exploration(5, decision, agent.rules) for decision in range(2)]
    assert abs(np.corrcoef(*map(np.ravel, noise))[0, 1]) < 0.05, "each decision has its own"


@pytest.mark.parametrize("greedy", [True, False])
def test_agents_go_on_as_if_never_stopped(policy, greedy):
    whole, first = (agent_of(policy, greedy=greedy) for _ in range(2))
    expected = run(whole, range(20))
    run(first, range(9))
    state = json.loads(json.dumps(first.state_dict(), allow_nan=False))
    second = agent_of(policy, greedy=greedy)
    second.load_state_dict(state)
    np.testing.assert_array_equal(run(second, range(9, 20)), expected[9:])
    for name in ("progress", "features", "actions", "rates"):
        np.testing.assert_array_equal(
            getattr(second.history, name), getattr(whole.history, name), strict=True
        )


def test_the_state_of_other_agents_is_refused(policy):
    state = agent_of(policy).state_dict()
    with pytest.raises(ValueError, match=r"of 3 layers, and there are 2 here; there alone: c"):
        agent_of(policy, kinds=KINDS[:2], names=("a", "b")).load_state_dict(state)
    state["memory"]["hidden"] = [row[:10] for row in state["memory"]["hidden"]]
    with pytest.raises(ValueError, match="another policy's agents"):
        agent_of(policy).load_state_dict(state)


def test_a_history_is_kept_drawn_and_replayed(policy, tmp_path):
    agent = agent_of(policy)
    run(agent, range(12))
    agent.decide(0.4, weight_norm=np.full(3, np.nan), update_norm=np.ones(3))
    agent.history.save(tmp_path / "history.npz")
    history = History.load(tmp_path / "history.npz")
    assert (history.layers, len(history)) == (("a", "b", "c"), 13)
    assert history.action_names == policy.action_names
    again = agent_of(policy, replay=history)
    for i in range(14):
        again.decide(i / 40, weight_norm=np.ones(3), update_norm=np.full(3, 0.1))
    np.testing.assert_array_equal(again.history.rates[:13], history.rates)
    np.testing.assert_array_equal(again.history.actions[13], 0)
    figure = history.plot(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 1000
    (mesh,) = figure.axes[0].collections
    np.testing.assert_array_equal(mesh.get_array(), history.rates.T)
    with pytest.raises(ValueError, match="there is nothing to draw"):
        agent_of(policy).history.plot()
    with pytest.raises(ValueError, match="is of 3 layers, and there are 1"):
        ganno.Agent(policy, ["linear"], RATE, replay=history)


def test_decisions_are_spread_evenly(policy):
    np.testing.assert_array_equal(decision_times(policy, 155), np.arange(31) * 5)
    np.testing.assert_array_equal(decision_times(policy, 10, decisions=4), [0, 2, 5, 7])
    np.testing.assert_array_equal(decision_times(policy, 350, every=100), [0, 100, 200])
    np.testing.assert_array_equal(decision_times(policy, 3, every=1), [0, 1, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total_steps": 0}, "total_steps=0; it must be a whole number of at least 1"),
        ({"total_steps": 1.5}, "total_steps=1.5; it must"),
        ({"total_steps": 30}, "fewer than 31 decisions"),
        ({"total_steps": 600, "every": 0}, "every=0; it must"),
        ({"total_steps": 600, "every": 601}, "every=601 is more than total_steps=600"),
        ({"total_steps": 600, "every": 10, "decisions": 60}, "say one of them"),
    ],
)
def test_times_that_are_none_are_refused(policy, options, message):
    with pytest.raises(ValueError, match=message):
        decision_times(policy, **options)


def test_a_file_that_does_not_say_how_often_it_decides(policy):
    silent = dataclasses.replace(policy, information={})
    assert silent.bounds == (0.0, 1.0)
    with pytest.raises(ValueError, match="say decisions="):
        decision_times(silent, 600)
