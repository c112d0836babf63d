"""Stock networks are the same networks: as many parameters, and the same function of them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import stock_flax
from benchmarks.cases import all_cases
from benchmarks.sizes import sizes_of
from ganno_env.datasets.catalogue import DATASETS
from ganno_env.networks import build
from ganno_env.types import InputSpec, Network
from tests.benchmarks.weights import as_flax, as_torch
from tests.inputs import input_spec_for

NAMES = ["mlp", "cnn2", "cnn3", "cnn5", "resnet9", "resnet18", "vit", "transformer"]
CASES = [case for case in all_cases() if case.batch_size == 64 and case.network in NAMES]
IMAGES, TEXT = InputSpec((12, 12, 3)), InputSpec((8,), num_tokens=11)


@pytest.fixture
def stock_torch():
    return pytest.importorskip("benchmarks.stock_torch", exc_type=ImportError)


def measured(case):
    """The sizes and number of parameters of a case's network."""
    spec = DATASETS[case.dataset]
    network = build(case.network, spec.input_spec, spec.num_classes, {"width": case.width})
    params, _ = jax.eval_shape(network.init, jax.random.key(0))
    return sizes_of(network, spec.input_spec), sum(x.size for x in jax.tree.leaves(params))


class Small(NamedTuple):
    """A network, what it takes, its parameters and state, examples, and its outputs in training."""

    network: Network
    spec: InputSpec
    params: Any
    state: Any
    examples: Any
    outputs: Any


@functools.cache
def small(name):
    """A small one, with random parameters: at initial values, biases and norms would not show."""
    spec = TEXT if input_spec_for(name).num_tokens else IMAGES
    network = build(name, spec, 11, {"width": 0.125})
    generator = np.random.default_rng(0)
    params, state = jax.tree.map(
        lambda x: generator.normal(0, 0.3, x.shape).astype(x.dtype),
        jax.eval_shape(network.init, jax.random.key(0)),
    )
    examples = generator.normal(size=(5, *spec.shape)).astype(np.float32)
    if spec.num_tokens:
        examples = generator.integers(0, spec.num_tokens, examples.shape, np.int32)
    outputs, _ = jax.jit(network.apply, static_argnums=3)(params, state, examples, True)
    return Small(network, spec, params, state, examples, outputs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.network)
def test_flax_has_as_many_parameters(case):
    sizes, count = measured(case)
    module = stock_flax.MODULES[case.network](sizes)
    example = jnp.zeros((1, *sizes.input_spec.shape), sizes.input_spec.batch(1).dtype)
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), example, False))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == count


# `tests/networks/test_families.py` has resnet18; the other cnns are as cnn3 is.
@pytest.mark.parametrize("name", ["mlp", "cnn3", "resnet9", "vit", "transformer"])
def test_flax_gives_the_same_outputs(name):
    network, spec, params, _, examples, outputs = small(name)
    module = stock_flax.MODULES[name](sizes_of(network, spec))
    variables = as_flax(network, spec, params)
    apply = functools.partial(module.apply, train=True, mutable=["batch_stats"])
    stock, _ = jax.jit(apply)(variables, examples)
    np.testing.assert_allclose(stock, outputs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.network)
def test_torch_has_as_many_parameters_and_learns_them_all(case, stock_torch):
    sizes, count = measured(case)
    model = stock_torch.MODULES[case.network](sizes)
    assert sum(x.numel() for x in model.parameters()) == count
    before = [x.detach().clone() for x in model.parameters()]
    generator = np.random.default_rng(0)
    inputs = generator.integers(0, sizes.input_spec.num_tokens or 256, (4, *sizes.input_spec.shape))
    targets = np.zeros((4, *DATASETS[case.dataset].target_shape), np.int32)
    batches = np.array([[0, 1], [2, 3]])
    stock_torch.training(model, inputs.astype(np.uint8), targets, batches, num_threads=1)()
    for old, new in zip(before, model.parameters(), strict=True):
        assert (old != new).any()


@pytest.mark.parametrize("name", NAMES)
def test_torch_gives_the_same_outputs(name, stock_torch):
    torch = pytest.importorskip("torch")
    network, spec, params, _, examples, outputs = small(name)
    model = stock_torch.MODULES[name](sizes_of(network, spec))
    channels_first = examples.transpose(0, 3, 1, 2) if examples.ndim == 4 else examples
    with torch.no_grad():
        arrays = as_torch(network, spec, params)
        for parameter, array in zip(model.parameters(), arrays, strict=True):
            parameter.copy_(torch.tensor(array))
        stock = model(torch.tensor(channels_first))
    np.testing.assert_allclose(stock.numpy(), outputs, rtol=1e-3, atol=1e-3)


def test_sizes_of_a_case_are_those_of_its_width():
    cases = {case.network: case for case in CASES}
    assert measured(cases["cnn3"])[0].outputs == (8, 16, 10)
    assert measured(cases["mlp"])[0].outputs == (16, 16, 10)
    wide = dataclasses.replace(cases["cnn3"], width=1.0)
    assert measured(wide)[0].outputs == (32, 64, 10)
