"""The causal transformer: what each place may see, and the whole against plain einsums."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.networks import build
from ganno_env.types import InputSpec

LENGTH, TOKENS, OUTPUTS, HEADS, FEATURES = 7, 11, 5, 2, 12
SPEC = InputSpec((LENGTH,), num_tokens=TOKENS)
OPTIONS = {"depth": 2, "num_heads": HEADS, "num_features": FEATURES}
TEXT = jax.random.randint(jax.random.key(1), (3, LENGTH), 0, TOKENS)


@pytest.fixture(scope="module")
def network():
    return build("transformer", SPEC, OUTPUTS, OPTIONS)


@pytest.fixture(scope="module")
def params(network):
    """Away from initial values, at which biases and norms would not show."""
    params, state = network.init(jax.random.key(0))
    assert state == {}
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noisy = [x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


def plain(params, text):
    """One text [T], by the book: Radford et al. (2019) with einsums and loops over heads."""

    def norm(layer, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return scaled * layer["norm_scale"] + layer["norm_bias"]

    size = FEATURES // HEADS
    x = params["embedding"]["tokens"][text] + params["embedding"]["positions"]
    for i in range(2):
        layer = params[f"block_{i}_attention"]
        qkv = jnp.einsum("td,de->te", norm(layer, x), layer["qkv_kernel"]) + layer["qkv_bias"]
        query, key, value = jnp.split(qkv, 3, axis=-1)
        mixed = []
        for head in range(HEADS):
            mine = slice(head * size, (head + 1) * size)
            scores = jnp.einsum("qd,kd->qk", query[:, mine], key[:, mine]) / np.sqrt(size)
            weights = jnp.stack(
                [
                    jnp.concatenate(
                        [jax.nn.softmax(row[: place + 1]), jnp.zeros(LENGTH - place - 1)]
                    )
                    for place, row in enumerate(scores)
                ]
            )
            mixed.append(jnp.einsum("qk,kd->qd", weights, value[:, mine]))
        x = x + jnp.concatenate(mixed, -1) @ layer["out_kernel"] + layer["out_bias"]
        wide, back = params[f"block_{i}_expand"], params[f"block_{i}_contract"]
        hidden = jax.nn.gelu(norm(wide, x) @ wide["kernel"] + wide["bias"])
        x = x + hidden @ back["kernel"] + back["bias"]
    head = params["head"]
    return norm(head, x) @ head["kernel"] + head["bias"]


@pytest.mark.slow
def test_it_equals_plain_einsums_in_values_and_gradients(network, params):
    weights = jax.random.normal(jax.random.key(3), (3, LENGTH, OUTPUTS))

    def ours(params):
        outputs, _ = network.apply(params, {}, TEXT, True)
        return (outputs * weights).sum(), outputs

    def theirs(params):
        outputs = jnp.stack([plain(params, text) for text in TEXT])
        return (outputs * weights).sum(), outputs

    (_, outputs), gradient = jax.jit(jax.value_and_grad(ours, has_aux=True))(params)
    (_, expected), slopes = jax.jit(jax.value_and_grad(theirs, has_aux=True))(params)
    assert outputs.shape == (3, LENGTH, OUTPUTS)
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3), gradient, slopes
    )


@pytest.mark.parametrize("place", range(1, LENGTH))
def test_a_later_token_changes_no_earlier_output(network, params, place):
    changed = TEXT.at[:, place].set((TEXT[:, place] + 1) % TOKENS)
    before, after = (network.apply(params, {}, text, True)[0] for text in (TEXT, changed))
    np.testing.assert_array_equal(before[:, :place], after[:, :place])
    for later in range(place, LENGTH):
        assert not np.allclose(before[:, later], after[:, later])


def test_the_order_of_tokens_matters(network, params):
    swapped = TEXT.at[:, :2].set(jnp.array([3, 4]))
    outputs = [
        network.apply(params, {}, text, True)[0][:, -1]
        for text in (swapped, swapped.at[:, :2].set(jnp.array([4, 3])))
    ]
    assert not np.allclose(*outputs)


def test_its_agents():
    layers = build("transformer", InputSpec((64,), 98), 98).layers
    block = [("attention", "attention"), ("expand", "linear"), ("contract", "linear")]
    assert [(layer.name, layer.kind) for layer in layers] == [
        ("embedding", "linear"),
        *((f"block_{i}_{part}", kind) for i in range(2) for part, kind in block),
        ("head", "linear"),
    ]


@pytest.mark.parametrize(("width", "features"), [(1.0, 64), (0.25, 16), (0.01, 4), (0.3, 20)])
def test_width_is_in_whole_heads(width, features):
    network = build("transformer", SPEC, OUTPUTS, {"width": width})
    params, _ = jax.eval_shape(network.init, jax.random.key(0))
    assert params["embedding"]["tokens"].shape == (TOKENS, features)
    assert params["embedding"]["positions"].shape == (LENGTH, features)
    assert params["head"]["kernel"].shape == (features, OUTPUTS)
