"""Which layers a tree of parameters has, in Flax's two ways, as dataclasses, and by hand."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from ganno.layers import Parameter
from ganno.layers import find_layers as layers_of
from ganno.optax import find_layers

CONVOLUTIONAL, LINEAR, ATTENTION = "convolutional", "linear", "attention"


def kinds(params, rule=None):
    return {layer.name: layer.kind for layer in find_layers(params, rule)}


def arrays(**shapes):
    return {name: jnp.ones(shape) for name, shape in shapes.items()}


class Block(nn.Module):
    """A pre-norm block of a transformer."""

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(x))
        return x + nn.Dense(8)(nn.relu(nn.Dense(16)(nn.LayerNorm()(x))))


class Linen(nn.Module):
    """Convolutions with norms, a block, a head; more than ten of one, to see how they count."""

    @nn.compact
    def __call__(self, x):
        for _ in range(11):
            x = nn.BatchNorm(use_running_average=False)(nn.Conv(8, (3, 3))(x))
        x = Block()(x.reshape(len(x), -1, 8))
        return nn.Dense(2)(x.mean(1))


def test_linen():
    params = jax.eval_shape(Linen().init, jax.random.key(0), jnp.ones((1, 4, 4, 1)))["params"]
    layers = find_layers(params)
    block = {
        "Block_0/Dense_0": LINEAR,
        "Block_0/Dense_1": LINEAR,
        "Block_0/MultiHeadDotProductAttention_0": ATTENTION,
    }
    convolutions = {f"Conv_{i}": CONVOLUTIONAL for i in range(11)}
    assert kinds(params) == block | convolutions | {"Dense_0": LINEAR}
    by_name = {layer.name: layer for layer in layers}
    assert set(by_name["Conv_10"].parameters) == {
        "Conv_10/kernel", "Conv_10/bias", "BatchNorm_10/scale", "BatchNorm_10/bias",
    }  # fmt: skip
    assert list(by_name)[3:6] == ["Conv_0", "Conv_1", "Conv_2"]
    assert sum(layer.size for layer in layers) == sum(x.size for x in jax.tree.leaves(params))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.bn1 = nnx.BatchNorm(4, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(2, 8, rngs=rngs)
        self.blocks = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(2)])
        self.positions = nnx.Param(jnp.zeros((1, 5, 4)))
        self.fc = nnx.Linear(4, 2, rngs=rngs)


def test_nnx():
    state = nnx.state(nnx.eval_shape(lambda: Nnx(nnx.Rngs(0))), nnx.Param)
    expected = {
        "attn": ATTENTION, "blocks/0": LINEAR, "blocks/1": LINEAR, "conv1": CONVOLUTIONAL,
        "fc": LINEAR, "positions": LINEAR,
    }  # fmt: skip
    assert kinds(state) == kinds(nnx.to_pure_dict(state)) == expected
    (convolution,) = (layer for layer in find_layers(state) if layer.name == "conv1")
    assert "bn1/scale" in convolution.parameters


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Affine:
    weight: jax.Array
    bias: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Model:
    """Fields, as Equinox has them, are in order of definition."""

    stem: Affine
    norm: Affine
    mixer: Affine
    attention: dict[str, Affine]
    body: list[Affine]


def test_fields_are_in_order_of_definition():
    affine = lambda *shape: Affine(jnp.ones(shape), jnp.ones((shape[0], 1, 1)))  # noqa: E731
    model = Model(
        affine(4, 3, 3, 3), affine(4), affine(4, 4), {"query": affine(4, 4)}, [affine(2, 4)]
    )
    assert [(x.name, x.kind) for x in find_layers(model)] == [
        ("stem", CONVOLUTIONAL), ("mixer", LINEAR), ("attention", ATTENTION), ("body/0", LINEAR),
    ]  # fmt: skip
    assert "norm/weight" in find_layers(model)[0].parameters


def test_by_hand():
    assert kinds(arrays(b1=3, w1=(2, 3), b2=1, w2=(3, 1))) == {"w1": LINEAR, "w2": LINEAR}
    pairs = [(jnp.ones((2, 3)), jnp.ones(3)), (jnp.ones((3, 1)), jnp.ones(1))]
    assert kinds(pairs) == {"0": LINEAR, "1": LINEAR}
    norm_first = {"a_norm": arrays(scale=3), "dense": arrays(kernel=(3, 2))}
    (only,) = find_layers(norm_first)
    assert (only.name, len(only.parameters)) == ("dense", 2)
    # An array of vectors alone is no attention, whatever it is called.
    assert kinds({"dense": arrays(kernel=(3, 2)), "ln_attn": arrays(scale=3)}) == {"dense": LINEAR}


def test_what_cannot_be_placed_is_named():
    with pytest.raises(ValueError, match=r"layer experts/up is of: its shape is \[4, 8, 8\]"):
        find_layers({"experts": arrays(up=(4, 8, 8))})
    for nothing in ({}, {"norm": arrays(scale=3)}, jnp.ones(9)):
        with pytest.raises(ValueError, match="there are no layers"):
            find_layers(nothing)


def test_a_function_replaces_the_rule():
    params = {"experts": arrays(up=(4, 8, 8), down=(4, 8, 8)), "head": arrays(kernel=(8, 2))}

    def rule(path, shape):
        return path.partition("/")[0], LINEAR if len(shape) > 2 else ATTENTION

    assert kinds(params, rule) == {"experts": LINEAR, "head": ATTENTION}
    with pytest.raises(ValueError, match=r"experts/down: unknown kind of layer 'liner'"):
        find_layers(params, lambda path, shape: ("a", "liner"))
    with pytest.raises(ValueError, match=r"'a' as attention and, of experts/up, linear"):
        find_layers(params, lambda path, shape: ("a", LINEAR if "up" in path else ATTENTION))


def test_layers_print_as_a_table():
    parameters = [Parameter("stem/kernel", (3, 3, 3, 64), "stem", CONVOLUTIONAL)]
    parameters += [
        Parameter("head/kernel", (64, 10), "head"),
        Parameter("head/bias", (10,), "head"),
    ]
    assert str(layers_of(parameters)).splitlines() == [
        "layer  kind             parameters",
        "stem   convolutional         1,728",
        "head   linear                  650",
    ]
