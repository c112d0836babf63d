import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.ppo import rec_ippo
from systems.ppo import update as ppo
from systems.ppo.gae import sequence_starts
from systems.ppo.normalisation import normalise_observations
from systems.ppo.rec_mappo import joint_view
from systems.ppo.registry import SYSTEMS
from tests.systems.conftest import ONCE, mesh_of, small_config
from tests.systems.test_returns import numpy_advantages
from tests.toys import Recall

KEY = jax.random.PRNGKey(0)


def as_numpy(tree):
    return jax.tree.map(np.array, tree)


@pytest.fixture(scope="module")
def rolled_out():
    """A rollout whose episodes of 5 steps end within its sequences of 8, by an untrained policy."""
    env = Recall(time_limit=5)
    config = small_config()
    vector_env = rec_ippo.VectorEnv(env)
    parts = ppo.make_parts(config, env.action_dim, rec_ippo.own_view, (True,) * 3)
    state = jax.jit(lambda key: rec_ippo.init(parts, vector_env, mesh_of(1), key))(KEY)
    learned = state.learned
    # Weights and statistics at which differences would show.
    learned = learned.replace(
        params=jax.tree.map(lambda x: x + 0.05, learned.params),
        observation_statistics=learned.observation_statistics.replace(mean=jnp.full((3,), 0.2)),
        value_statistics=learned.value_statistics.replace(
            mean=jnp.float32(3.0), variance=jnp.float32(4.0), count=jnp.float32(64)
        ),
    )
    keys = jax.random.split(KEY, (config.rollout_length, config.num_envs))
    acting = state.acting
    transitions = None
    for _ in range(2):  # the second begins in the middle of episodes
        acting, transitions = jax.jit(
            lambda acting: rec_ippo.rollout(parts, vector_env, learned, acting, keys)
        )(acting)
    return parts, learned, transitions


def test_training_sees_the_log_probabilities_and_hidden_states_of_the_rollout(rolled_out):
    parts, learned, transitions = rolled_out
    length = parts.config.sequence_length
    sequences, _ = ppo.prepare(parts, learned, transitions)
    hidden = sequence_starts(transitions.hidden, length)
    assert np.asarray(sequences.done)[1:].any(), "some episode should end within a sequence"
    assert np.abs(hidden).max() > 0
    _, logits = ppo.policy(
        parts, learned.params.actor, hidden, sequences.view, sequences.action_mask, sequences.done
    )
    log_probability = ppo.networks.log_probability(logits, sequences.action)
    np.testing.assert_allclose(log_probability, sequences.log_probability, atol=1e-5)
    _, metrics = ppo.loss(parts, learned.params, hidden, sequences)
    assert abs(metrics["approximate_kl"]) < 1e-6
    # From other hidden states it would not be so.
    _, logits = ppo.policy(
        parts, learned.params.actor, 0 * hidden, sequences.view, sequences.action_mask,
        sequences.done,
    )  # fmt: skip
    log_probability = ppo.networks.log_probability(logits, sequences.action)
    assert np.abs(log_probability - sequences.log_probability).max() > 1e-3


def test_value_targets_are_in_reward_units_until_they_are_normalised(rolled_out):
    parts, learned, transitions = rolled_out
    config, timestep = parts.config, as_numpy(transitions.timestep)
    sequences, statistics = ppo.prepare(parts, learned, transitions)

    def value(view):
        view = normalise_observations(
            learned.observation_statistics, jnp.asarray(view), config.observation_limit
        )
        return np.asarray(parts.critic.apply(learned.params.critic, view), np.float64) * 2.0 + 3.0

    old = value(transitions.observation.agents_view)
    advantage = numpy_advantages(
        timestep.reward,
        timestep.discount,
        timestep.last,
        old,
        value(timestep.next_observation.agents_view),
        config.gamma,
        config.gae_lambda,
    )
    target = advantage + old
    count = 64 + target.size
    mean = (64 * 3.0 + target.sum()) / count
    variance = (64 * (4.0 + (3.0 - mean) ** 2) + ((target - mean) ** 2).sum()) / count
    np.testing.assert_allclose(statistics.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(statistics.variance, variance, rtol=1e-5)
    length = config.sequence_length
    for got, expected in (
        (sequences.advantage, advantage),
        (sequences.target, (target - mean) / np.sqrt(variance)),
        (sequences.value, (old - mean) / np.sqrt(variance)),
    ):
        np.testing.assert_allclose(got, ppo.to_sequences(jnp.asarray(expected), length), atol=1e-4)


class Recorder(logging.Handler):
    def __init__(self, messages):
        super().__init__()
        self.messages = messages

    def emit(self, record):
        self.messages.append(record.getMessage())


def test_a_second_update_does_not_compile_again(learner, monkeypatch):
    state = learner.init(KEY)
    before = as_numpy(state)
    compiled: list[str] = []
    with jax.log_compiles():
        monkeypatch.setattr(logging.getLogger("jax"), "handlers", [Recorder(compiled)])
        fresh = rec_ippo.make_learner(Recall(), small_config())
        state, first = fresh.update(state)
        assert any("Compiling" in message for message in compiled)
        compiled.clear()
        state, _ = fresh.update(state)
        assert not compiled
    assert jax.tree.structure(before) == jax.tree.structure(state)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(state), strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        assert not new.weak_type
    assert state.num_updates == 2
    assert first["episodes"] == 8
    assert first["skipped_updates"] == 0


def test_the_same_key_gives_the_same_training_bit_for_bit(learner):
    runs = []
    for _ in range(2):
        state = learner.init(KEY)
        for _ in range(3):
            state, _ = learner.update(state)
        runs.append(as_numpy(state))
    jax.tree.map(np.testing.assert_array_equal, *runs)


def test_statistics_of_observations_cover_the_rollout(learner):
    state, _ = learner.update(learner.init(KEY))
    statistics = state.learned.observation_statistics
    assert statistics.count == 4 * 16 * 3
    # A cue of 3 features is 1 in one of them, in 1 of 8 steps.
    np.testing.assert_allclose(statistics.mean.sum(), 1 / 8, rtol=1e-5)


@pytest.mark.slow
def test_two_devices_equal_one():
    curves, states = [], []
    for num_devices in (1, 2):
        learner = ONCE["rec_ippo"](Recall(), small_config(), mesh_of(num_devices))
        state = learner.init(KEY)
        curve = []
        for _ in range(5):
            state, metrics = learner.update(state)
            curve.append(as_numpy(metrics))
        devices = state.acting.hidden.sharding.device_set
        assert len(devices) == num_devices
        curves.append(curve)
        states.append(as_numpy(state))
    for one, two in zip(*curves, strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), one, two)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), *states)


class Poisonous(Recall):
    """Pays NaN in episodes where every agent's cue is 0."""

    def step(self, state, action):
        state, timestep = super().step(state, action)
        reward = jnp.where((state.cue == 0).all(), jnp.nan, timestep.reward)
        return state, timestep.replace(reward=reward)


def test_an_update_that_is_not_finite_is_skipped_and_counted():
    learner = rec_ippo.make_learner(Poisonous(num_agents=2), small_config())
    state = learner.init(KEY)
    skipped = in_a_row = 0
    for update in range(12):
        before = as_numpy(state.learned)
        acting_before = as_numpy(state.acting.observation)
        state, metrics = learner.update(state)
        after = as_numpy(state.learned)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))
        is_poisoned = bool(np.isnan(metrics["reward"]))
        skipped, in_a_row = skipped + is_poisoned, (in_a_row + 1) * is_poisoned
        assert metrics["skipped_updates"] == state.num_skipped == skipped
        assert metrics["skipped_updates_in_a_row"] == in_a_row
        same = jax.tree.map(np.array_equal, before, after)
        assert all(jax.tree.leaves(same)) == is_poisoned
        assert not np.array_equal(acting_before.agents_view, state.acting.observation.agents_view)
        assert state.num_updates == update + 1
    assert 0 < skipped < 12


def test_observations_that_are_not_finite_do_no_harm():
    class Blinding(Recall):
        def _observation(self, state, view):
            return super()._observation(state, view.at[..., 0].set(jnp.nan).at[..., 1].set(jnp.inf))

    learner = rec_ippo.make_learner(Blinding(), small_config())
    state, metrics = learner.update(learner.init(KEY))
    assert metrics["skipped_updates"] == 0
    assert rec_ippo.all_finite((state.learned, state.acting.hidden))


def test_the_centralised_critic_sees_its_own_agent_first_and_then_all():
    view = jnp.arange(12.0).reshape(2, 3, 2)
    joint = joint_view(view)
    assert joint.shape == (2, 3, 8)
    np.testing.assert_array_equal(joint[..., :2], view)
    for agent in range(3):
        np.testing.assert_array_equal(joint[:, agent, 2:], view.reshape(2, 6))


@pytest.mark.slow
@pytest.mark.parametrize(("system", "times_out"), [("rec_ippo", True), ("rec_mappo", False)])
def test_learns_what_only_memory_can(system, times_out):
    env = Recall(times_out=times_out)
    memoryless = 1 + (env.time_limit - 1) / (env.action_dim - 1)
    config = small_config(
        num_envs=16, rollout_length=32, actor_layers=(32,), recurrent_size=32,
        post_recurrent_layers=(32,), critic_layers=(32,),
    )  # fmt: skip
    learner = SYSTEMS[system](env, config, None)
    state = learner.init(KEY)
    for _ in range(60):
        state, metrics = learner.update(state)
    assert metrics["episode_return"] > 0.9 * env.time_limit > 2 * memoryless


def test_columns_are_normalised_as_the_environment_says():
    env = Recall(time_limit=4)
    env.normalised_features = (False, True, True)
    learner = rec_ippo.make_learner(env, small_config(rollout_length=8))
    state, _ = learner.update(learner.init(KEY))
    statistics = state.learned.observation_statistics
    assert (statistics.mean[0], statistics.variance[0]) == (0.0, 1.0)
    assert (statistics.mean[1:] > 0).all()
    assert (statistics.variance[1:] < 1).all()
