import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.ppo import networks

STEPS, ENVS, AGENTS, FEATURES, ACTIONS, HIDDEN = 6, 2, 3, 4, 5, 8


@pytest.fixture(scope="module")
def actor():
    module = networks.Actor(ACTIONS, layers=(8,), recurrent_size=HIDDEN, post_recurrent_layers=(8,))
    view = jax.random.normal(jax.random.PRNGKey(0), (STEPS, ENVS, AGENTS, FEATURES))
    mask = jnp.ones((STEPS, ENVS, AGENTS, ACTIONS), bool)
    hidden = jax.random.normal(jax.random.PRNGKey(1), (ENVS, AGENTS, HIDDEN))
    done = jnp.zeros((STEPS, ENVS, 1), bool).at[3, 0].set(True)
    params = module.init(jax.random.PRNGKey(2), hidden, view, mask, done)
    # The last layer begins near zero, where differences would not show.
    params = jax.tree.map(lambda x: x + 0.1, params)
    return module, params, hidden, view, mask, done


def test_scanning_equals_stepping_with_the_hidden_state_zeroed_where_an_episode_ended(actor):
    module, params, hidden, view, mask, done = actor
    last, logits = module.apply(params, hidden, view, mask, done)
    never = jnp.zeros((1, ENVS, 1), bool)
    for t in range(STEPS):
        hidden = jnp.where(done[t][..., None], 0.0, hidden)
        hidden, step = module.apply(params, hidden, view[t : t + 1], mask[t : t + 1], never)
        np.testing.assert_allclose(logits[t], step[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last, hidden, rtol=1e-5, atol=1e-6)


def test_what_came_before_an_episodes_end_does_not_matter_after_it(actor):
    module, params, hidden, view, mask, done = actor
    _, logits = module.apply(params, hidden, view, mask, done)
    _, changed = module.apply(params, hidden + 1, view.at[:3].add(1.0), mask, done)
    np.testing.assert_array_equal(logits[3:, 0], changed[3:, 0])
    assert (logits[3:, 1] != changed[3:, 1]).any()


def test_agents_do_not_see_each_other(actor):
    module, params, hidden, view, mask, done = actor
    _, logits = module.apply(params, hidden, view, mask, done)
    _, changed = module.apply(params, hidden, view.at[:, :, 0].add(1.0), mask, done)
    np.testing.assert_array_equal(logits[:, :, 1:], changed[:, :, 1:])


def test_illegal_actions_are_never_taken_and_entropy_is_that_of_the_rest(actor):
    module, params, hidden, view, mask, done = actor
    mask = mask.at[..., 1:4].set(False)
    _, logits = module.apply(params, hidden, view, mask, done)
    keys = jax.random.split(jax.random.PRNGKey(3), 200)
    actions = jax.vmap(networks.sample, in_axes=(0, None))(keys, logits)
    assert set(np.unique(actions)) == {0, 4}
    assert set(np.unique(networks.mode(logits))) <= {0, 4}
    legal = np.asarray(logits)[..., [0, 4]].astype(np.float64)
    p = np.exp(legal) / np.exp(legal).sum(-1, keepdims=True)
    np.testing.assert_allclose(networks.entropy(logits), -(p * np.log(p)).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(
        networks.log_probability(logits, jnp.full(logits.shape[:-1], 4)), np.log(p[..., 1]), 1e-4
    )
    gradient = jax.grad(lambda x: networks.entropy(networks.mask_logits(x, mask)).sum())(logits)
    assert np.isfinite(gradient).all()


def test_types_are_explicit(actor):
    module, params, hidden, view, mask, done = actor
    hidden, logits = module.apply(params, hidden, view, mask, done)
    assert logits.dtype == hidden.dtype == jnp.float32
    assert networks.sample(jax.random.PRNGKey(0), logits).dtype == jnp.int32
    assert networks.mode(logits).dtype == jnp.int32
