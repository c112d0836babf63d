import dataclasses
import errno
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.policy.policy import Policy, load_policy, make_policy, save_policy
from systems.utils.errors import StorageError
from tests.systems.conftest import small_config
from tests.toys import Recall

KEY = jax.random.PRNGKey(0)
INFORMATION = {"system": "rec_ippo", "training": {"env_steps": 64}}


@pytest.fixture(scope="module")
def policy(learner) -> Policy:
    state, _ = learner.update(learner.init(KEY))
    learned = state.learned
    return make_policy(
        small_config(), Recall(), learned.params.actor, learned.observation_statistics, INFORMATION
    )


@pytest.fixture
def saved(policy, tmp_path):
    return save_policy(policy, tmp_path / "policy.npz")


def run(policy, env, greedy):
    """Two episodes, with the hidden state carried over the reset for `done` to clear."""
    hidden, actions = policy.initial_hidden(env.num_agents), []
    act = jax.jit(policy.act, static_argnames="greedy")
    for episode in range(2):
        state, timestep = env.reset(jax.random.PRNGKey(episode))
        for t in range(3):
            key = jax.random.PRNGKey(100 * episode + t)
            hidden, action = act(
                hidden, timestep.observation, jnp.asarray(t == 0), key, greedy=greedy
            )
            actions.append(action)
            state, timestep = env.step(state, action)
    return np.stack(actions)


@pytest.mark.parametrize("greedy", [False, True])
def test_a_loaded_policy_acts_as_the_saved_one_for_any_number_of_agents(policy, saved, greedy):
    for num_agents in (1, 3, 7):
        env = Recall(num_agents=num_agents)
        loaded = load_policy(saved, env)
        actions = run(policy, env, greedy)
        assert actions.shape == (6, num_agents)
        assert actions.max() < env.action_dim - 1, "the last action is illegal"
        np.testing.assert_array_equal(actions, run(loaded, env, greedy))
    jax.tree.map(np.testing.assert_array_equal, loaded.params, policy.params)
    jax.tree.map(np.testing.assert_array_equal, loaded.statistics, policy.statistics)
    assert loaded.information == INFORMATION
    assert (loaded.feature_names, loaded.action_names) == (
        policy.feature_names,
        policy.action_names,
    )
    assert loaded.actor == policy.actor
    assert loaded.observation_limit == policy.observation_limit
    assert loaded.greedy == policy.greedy


def test_greedy_ignores_the_key(policy):
    _, timestep = Recall().reset(KEY)
    act = [
        policy.act(
            policy.initial_hidden(3), timestep.observation, True, jax.random.PRNGKey(k), greedy=True
        )[1]
        for k in range(5)
    ]
    assert all((a == act[0]).all() for a in act)


def test_a_policy_is_greedy_or_not_unless_it_is_told_otherwise(policy, tmp_path):
    greedy = dataclasses.replace(policy, greedy=True)
    loaded = load_policy(save_policy(greedy, tmp_path / "greedy.npz"))
    np.testing.assert_array_equal(run(loaded, Recall(), None), run(policy, Recall(), True))
    np.testing.assert_array_equal(run(loaded, Recall(), False), run(policy, Recall(), None))


def test_a_folder_stands_for_the_policy_in_it(saved):
    assert load_policy(saved.parent).feature_names == Recall().feature_names


def test_other_features_or_actions_are_refused(saved):
    with pytest.raises(ValueError, match=r"other features: .* adds \['cue_3'\]"):
        load_policy(saved, Recall(num_actions=5))
    renamed = Recall()
    renamed.actions.names = ("name_1", "name_0", "name_2", "name_3")
    with pytest.raises(ValueError, match="other actions: they come in another order"):
        load_policy(saved, renamed)


def test_a_file_that_exists_is_not_overwritten_unless_asked(policy, saved):
    content = saved.read_bytes()
    with pytest.raises(ValueError, match="exists already"):
        save_policy(policy, saved)
    assert saved.read_bytes() == content
    save_policy(policy, saved, overwrite=True)


def test_a_damaged_or_missing_file_is_refused(saved, tmp_path):
    content = saved.read_bytes()
    for length in np.linspace(0, len(content) - 1, 20).astype(int):
        saved.write_bytes(content[:length])
        with pytest.raises(ValueError, match="is damaged, or is no policy"):
            load_policy(saved)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    saved.write_bytes(bytes(flipped))
    with pytest.raises(ValueError, match="is damaged"):
        load_policy(saved)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="is no policy"):
        load_policy(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", header=np.array({"format": 1}, object))
    with pytest.raises(ValueError, match="is no policy"):
        load_policy(tmp_path / "pickled.npz")
    with pytest.raises(ValueError, match="there is no policy at"):
        load_policy(tmp_path / "nothing")


def test_a_full_disk_leaves_one_error_and_what_was_there(policy, saved, monkeypatch):
    content = saved.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"could not write .*: No space left on device; nothing"):
        save_policy(policy, saved, overwrite=True)
    assert list(saved.parent.iterdir()) == [saved]
    assert saved.read_bytes() == content
