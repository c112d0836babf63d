"""What a policy makes of networks that it was not trained on, and of diverged ones."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.observations import FEATURE_SETS
from systems.policy.policy import PRETRAINED, load_policy
from systems.ppo.normalisation import (
    initial_statistics,
    normalise_observations,
    normalised_features,
    standard_deviation,
    update_statistics,
)
from tests.small import small_env, some_states

LIMIT = 10.0
FEATURES = tuple(dict.fromkeys(FEATURE_SETS["paper"] + FEATURE_SETS["log"]))


def trained_on(env, rows):
    statistics = initial_statistics(rows.shape[-1:])
    return update_statistics(statistics, rows, normalised_features(env))


@pytest.fixture(scope="module")
def views():
    """A two-layered network's observations: of sound networks [T, 2, F], and of diverged ones."""
    env = small_env(features=FEATURES)
    observe = jax.vmap(lambda state: env.observe(state).observation.agents_view)
    return tuple(jax.jit(observe)(states) for states in some_states())


@pytest.mark.parametrize("network", ["cnn5", "vit"])
def test_nothing_that_never_moved_in_training_moves_a_policy_elsewhere(views, network):
    env = small_env(network=network, features=FEATURES)
    training, _ = views
    statistics = trained_on(env, training)
    state = jax.tree.map(
        lambda x: jnp.full(x.shape, 0.01, x.dtype), jax.eval_shape(env.reset, jax.random.key(0))[0]
    )
    view = env.observe(state).observation.agents_view
    seen = normalise_observations(statistics, view, LIMIT)
    never_moved = training.reshape(-1, training.shape[-1]).std(0) == 0
    one_hot = ~np.array(env.normalised_features)
    names = np.array(env.feature_names)
    assert {"layer_depth=intermediate", "layer_type=attention"} <= set(names[never_moved & one_hot])
    np.testing.assert_array_equal(seen[:, one_hot], view[:, one_hot])
    np.testing.assert_array_equal(seen[:, never_moved & ~one_hot], 0.0)


def test_one_diverged_network_in_two_hundred_leaves_deviations_of_their_order(views):
    env = small_env(features=FEATURES)
    sound, diverged = views
    before = standard_deviation(trained_on(env, jnp.tile(sound, (200, 1, 1))))
    for view in diverged:
        share = jnp.tile(view, (len(sound), 1, 1))
        rows = jnp.concatenate([jnp.tile(sound, (199, 1, 1)), share])
        after = standard_deviation(trained_on(env, rows))
        for name, one, other in zip(env.feature_names, before, after, strict=True):
            factor = 2 if name.startswith("log_") else 10
            assert other < factor * one or one == 0, (name, one, other)


def test_a_deviation_of_a_third_is_not_lost_to_diverged_networks(views):
    """Before logarithms were taken of limits, the 0.3 became 70.5."""
    env = small_env(features=FEATURES)
    column = env.feature_names.index("log_validation_loss")
    losses = 0.3 * np.random.default_rng(0).normal(size=(10_000, 1)) - 0.5
    losses[::200] = views[1][0, 0, column]
    statistics = update_statistics(initial_statistics((1,)), jnp.asarray(losses, jnp.float32))
    assert 0.25 < standard_deviation(statistics)[0] < 0.4


def test_the_policy_that_comes_with_the_package_sees_what_it_saw():
    """It was trained with all columns normalised; attention, which it never met, is now 0."""
    policy = load_policy(PRETRAINED)
    statistics = policy.statistics
    rng = np.random.default_rng(0)
    kinds = np.eye(3)[[1, 1, 1, 1, 0]]
    numbers = [rng.uniform(0, 1, 5), rng.uniform(-4, -2, 5), rng.normal(0, 1, 5)]
    view = jnp.asarray(np.column_stack([*numbers, kinds]), jnp.float32)
    floored = np.maximum(np.sqrt(statistics.variance), 1e-6)
    seen = normalise_observations(statistics, view, policy.observation_limit)
    before = np.clip((view - statistics.mean) / floored, -10, 10)
    np.testing.assert_allclose(seen, before, rtol=1e-6)
    attention = view.at[:, 3:].set(jnp.array([0.0, 0.0, 1.0]))
    seen = normalise_observations(statistics, attention, policy.observation_limit)
    np.testing.assert_array_equal(seen[:, policy.feature_names.index("layer_type=attention")], 0.0)
