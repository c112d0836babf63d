"""Optimisers that optax does not have whole, and the care that its others need."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env.optimisers import build
from ganno_env.optimisers.adapting import adam_hypergradient
from ganno_env.optimisers.dog import GAMMA
from tests.inner.test_optimisers import DECAY, PARAMS, RATE, assert_close, trained, whole
from tests.small import small_env

TWO = {
    "first": {"kernel": jnp.array([[0.5, -2.0], [1.0, 3.0]]), "bias": jnp.array([0.2, 0.1])},
    "last": {"kernel": jnp.array([[3.0], [1.0]]), "bias": jnp.array([0.7])},
}


def flat(layer):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(layer)]).astype(np.float64)


def test_a_relative_step_moves_each_layer_by_the_rate_times_its_norm():
    (before, after), _ = trained(whole(build("adam_relative"), layers=TWO), TWO, (1.0,))
    plain = optax.with_extra_args_support(optax.adamw(RATE, weight_decay=DECAY))
    adamw, _ = trained(plain, TWO, (1.0,))
    for name in TWO:
        step, usual = (flat(p[name]) - flat(before[name]) for p in (after, adamw[1]))
        np.testing.assert_allclose(
            np.linalg.norm(step), RATE * np.linalg.norm(flat(before[name])), rtol=1e-5
        )
        np.testing.assert_allclose(
            step / np.linalg.norm(step), usual / np.linalg.norm(usual), rtol=1e-5
        )


def test_relative_steps_do_not_know_how_large_weights_are():
    """A layer that is ten times as large, with gradients a tenth: the same, ten times as large."""
    optimiser = whole(build({"name": "adam_relative", "eps": 1e-30}), decay=0.0, layers=TWO)
    ends = []
    for factor in (1.0, 10.0):
        params = jax.tree.map(lambda x, factor=factor: factor * x, TWO)
        state = optimiser.init(params)
        for _ in range(3):
            gradient = jax.tree.map(lambda x, factor=factor: jnp.sin(x / factor) / factor, params)
            with jax.numpy_dtype_promotion("standard"):
                updates, state = optimiser.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        ends.append(jax.tree.map(lambda x, factor=factor: x / factor, params))
    assert_close(*ends, rtol=1e-4)


def test_the_hypergradient_raises_rates_where_gradients_agree():
    """By NumPy: Adam with a factor for each layer, from the cosine of gradient and last step."""
    beta = 0.5
    path, _ = trained(whole(adam_hypergradient(beta), layers=TWO), TWO, (1.0, 1.0, -0.05, 0.9))
    for name in TWO:
        params, factor = flat(TWO[name]), 1.0
        mean = square = previous = np.zeros_like(params)
        for count, scale in enumerate((1.0, 1.0, -0.05, 0.9), start=1):
            gradient = scale * (params - 1.5)
            norms = np.linalg.norm(gradient) * np.linalg.norm(previous)
            factor *= 1 + beta * (gradient @ previous / norms if norms else 0.0)
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            adam = mean / (1 - 0.9**count) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
            previous = adam + DECAY * params
            params = params - RATE * factor * previous
            np.testing.assert_allclose(flat(path[count][name]), params, rtol=1e-4)
        assert factor != pytest.approx(1.0, abs=0.05)


def test_a_hyper_rate_that_could_turn_rates_round_is_refused():
    with pytest.raises(ValueError, match="below 1"):
        build({"name": "adam_hypergradient", "hyper_rate": 1.0})


def test_a_plateau_halves_steps_and_progress_does_not():
    optimiser = build({"name": "adam_plateau", "accumulation_size": 1, "patience": 2})
    transformation = whole(optimiser)
    ratios = []
    for losses in ([3.0, 2.0, 1.0, 0.5], [1.0, 1.0, 1.0, 1.0]):
        params, state = PARAMS, transformation.init(PARAMS)
        for loss in losses:
            with jax.numpy_dtype_promotion("standard"):
                updates, state = transformation.update(PARAMS, state, params, value=loss)
        ratios.append(optax.tree.norm(updates))
    np.testing.assert_allclose(ratios[1] / ratios[0], 0.5, rtol=1e-5)


@pytest.mark.parametrize("name", ["prodigy", "dadapt_adamw", "mechanic", "momo_adam"])
def test_decay_is_the_optimisers_own_and_no_share_of_the_weights_each_update(name):
    """At rate 1, decay beside the optimiser would take a fifth of the weights an update."""
    with_decay, without = (
        trained(whole(build(name), rate=1.0, decay=decay))[0][-1]["layer"] for decay in (DECAY, 0.0)
    )
    np.testing.assert_allclose(flat(with_decay), flat(without), rtol=0.02)
    assert not np.array_equal(flat(with_decay), flat(without))


def test_momo_adam_decays_by_its_own_rate():
    """Of gradients that say nothing nothing remains but decay, at the authors' rate of 0.01."""
    (before, *_, after), _ = trained(whole(build("momo_adam"), rate=1.0), scales=(0.0,) * 4)
    kept = flat(after["layer"]) / flat(before["layer"])
    np.testing.assert_allclose(kept, (1 / (1 + 0.01 * DECAY)) ** 4, rtol=1e-4)


@pytest.mark.parametrize("name", ["dog", "dowg", "cocob"])
def test_decay_is_a_penalty_where_the_authors_have_one(name):
    """With λ it trains as without, on gradients that λθ has been added to."""
    with_decay, _ = trained(whole(build(name), rate=1.0), scales=(1.0, 0.5, -0.3))
    without = whole(build(name), rate=1.0, decay=0.0)
    state, params = without.init(PARAMS), PARAMS
    for scale in (1.0, 0.5, -0.3):
        gradient = jax.tree.map(lambda x, scale=scale: scale * (x - 1.5) + DECAY * x, params)
        updates, state = without.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    assert_close(with_decay[-1], params)


@pytest.mark.parametrize("name", ["prodigy", "dadapt_adamw", "mechanic"])
def test_a_cosine_decay_is_within(name):
    """Multiplied from outside, it would be no part of what they estimate."""
    cosine = optax.cosine_decay_schedule(1.0, 5)
    plain = {
        "prodigy": optax.contrib.prodigy(cosine, weight_decay=DECAY),
        "dadapt_adamw": optax.contrib.dadapt_adamw(cosine, weight_decay=DECAY),
        "mechanic": optax.contrib.mechanize(optax.adamw(cosine, weight_decay=DECAY)),
    }[name]
    ours, _ = trained(whole(build({"name": name, "num_updates": 5}), rate=1.0))
    theirs, _ = trained(optax.with_extra_args_support(plain))
    assert_close(ours, theirs, rtol=1e-5)
    constant, _ = trained(whole(build(name), rate=1.0))
    assert not np.allclose(flat(ours[-1]["layer"]), flat(constant[-1]["layer"]), rtol=1e-9)


def evaluated(optimiser, path, state):
    own = state[0][0]  # of the direction's chain, the optimiser's own
    return optimiser.evaluation_params(own, path[-1])


def test_schedule_free_is_evaluated_at_its_average():
    optimiser = build("schedule_free")
    path, state = trained(whole(optimiser))
    plain, plain_state = trained(optax.contrib.schedule_free_adamw(RATE, weight_decay=DECAY))
    expected = optax.contrib.schedule_free_eval_params(plain_state, plain[-1])
    assert_close(evaluated(optimiser, path, state), expected, rtol=1e-5)
    assert not np.allclose(flat(expected["layer"]), flat(path[-1]["layer"]), rtol=1e-3)


def test_dog_is_evaluated_at_the_average_of_its_iterates():
    optimiser = build({"name": "dog", "initial_step": 0.1})
    transformation = whole(optimiser, rate=1.0)
    assert_close(evaluated(optimiser, [PARAMS], transformation.init(PARAMS)), PARAMS)
    path, state = trained(transformation, scales=(1.0, 1.0, 1.0, 1.0))
    mean = np.zeros_like(flat(PARAMS["layer"]))
    for t, params in enumerate(path[1:], start=1):
        weight = (GAMMA + 1) / (GAMMA + t)
        mean = (1 - weight) * mean + weight * flat(params["layer"])
    np.testing.assert_allclose(flat(evaluated(optimiser, path, state)["layer"]), mean, rtol=1e-5)


def test_layerwise_dog_is_dog_of_each_layer():
    path, _ = trained(whole(build({"name": "dog", "layerwise": True}), rate=1.0, layers=TWO), TWO)
    for name, layer in TWO.items():
        alone, _ = trained(optax.contrib.dog(weight_decay=DECAY), {name: layer})
        assert_close(path[-1][name], alone[-1][name])


def test_muon_makes_matrices_of_kernels_alone():
    kernel = jax.random.normal(jax.random.PRNGKey(0), (3, 3, 2, 5))
    params = {"layer": {"kernel": kernel, "bias": jnp.ones(5)}}
    path, _ = trained(whole(build("muon"), rate=1.0, decay=0.0), params, (1.0,))
    step = np.reshape(path[0]["layer"]["kernel"] - path[1]["layer"]["kernel"], (18, 5))
    values = np.linalg.svd(step)[1] / (0.2 * np.sqrt(18))
    assert np.all((values > 0.6) & (values < 1.3))  # Newton-Schulz leaves them near 1
    adam, _ = trained(optax.with_extra_args_support(optax.nadam(1.0)), {"b": jnp.ones(5)}, (1.0,))
    np.testing.assert_allclose(path[1]["layer"]["bias"], adam[1]["b"], rtol=1e-5)


def test_agents_cannot_set_by_layer_what_an_optimiser_has_for_all():
    with pytest.raises(ValueError, match="one weight_decay for all layers"):
        small_env(optimiser="prodigy", controls=["weight_decay"])
    small_env(optimiser="mechanic", controls=["weight_decay"])
