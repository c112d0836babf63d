"""What a step compiles to: a guard of its speed that is not a stopwatch."""

from __future__ import annotations

import gc
import re

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ganno_env.compilation import jit_with_data
from tests.compilation import FUSED_AS_USUAL
from tests.inputs import slow_if_large
from tests.small import compiled, shared_env, small_env


def program(env):
    state = jax.eval_shape(env.reset, jax.random.PRNGKey(0))[0]
    action = jax.ShapeDtypeStruct((env.num_agents,), jnp.int32)
    return jax.jit(env.step).lower(state, action).compile(FUSED_AS_USUAL)


@pytest.mark.parametrize("network", slow_if_large(["cnn2", "resnet9"]))
def test_no_slow_operation_is_left(network):
    text = program(small_env(network=network, network_options={"width": 0.0625})).as_text()
    operations = set(re.findall(r"[\]})] ([a-z][a-z-]*)\(", text))
    assert "dot" in operations
    assert "while" in operations
    assert not {"convolution", "select-and-scatter", "reduce-window-max"} & operations
    assert "select_and_scatter" not in text


def test_an_updates_work_is_what_a_hand_counts():
    """Products and sums of a gradient update of `cnn2`, within a factor of 1.6.

    XLA's count adds what the hand leaves out: activations, pooling, the loss and the optimiser.
    """
    env = small_env(network_options={"width": 0.5})
    batch, channels, pixels, classes = 16, 16, 64, 10
    convolution = 2 * 9 * channels * pixels
    linear = 2 * channels * (pixels // 4) * classes
    # Forward; and backward to the weights and, but for the images, to the inputs.
    by_hand = batch * (2 * convolution + 3 * linear)
    state = env.inner.init(jax.random.key(0))
    controls = {name: jnp.zeros((2,), jnp.float32) for name in ("learning_rate", "weight_decay")}

    def update(state, indices):
        examples = jax.tree.map(lambda x: x[indices], env.task.data.train)
        return env.inner._update(state, controls, examples)[0]

    lowered = jax.jit(update).lower(state, jnp.zeros((batch,), jnp.int32))
    cost = lowered.compile(FUSED_AS_USUAL).cost_analysis()
    assert by_hand < cost["flops"] < 1.6 * by_hand
    # The patches of the one-channel images and the maps that they become, each touched a few times,
    # the maps most often: each of the four passes of pooling's gradient reads all four corners.
    patches, maps = 4 * 9 * pixels * batch, 4 * channels * pixels * batch
    assert cost["bytes accessed"] < 13 * (patches + maps)


def test_data_is_an_argument_of_the_program():
    """The same program, whatever the number of examples: none of it is a constant inside."""
    lengths = []
    for size in (200, 900):
        env = small_env(train_size=size, batch_size=16, num_steps=2)
        compiled = []
        original = jax.jit

        def spy(function, _compiled=compiled, _original=original, **kwargs):
            jitted = _original(function, **kwargs)

            def call(*arguments):
                _compiled.append(jitted.lower(*arguments).as_text())
                return jitted(*arguments)

            return call

        state, _ = jax.jit(env.reset)(jax.random.PRNGKey(0))
        action = jnp.zeros((2,), jnp.int32)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ganno_env.compilation.jax.jit", spy)
            jit_with_data(env.step)(state, action)
        lengths.append(len(compiled[0]))
    assert abs(lengths[0] - lengths[1]) < 200


def test_jit_with_data_is_jit():
    env = shared_env()
    reset, step = compiled(env)
    state, _ = reset(jax.random.PRNGKey(0))
    action = jnp.array([1, 7], jnp.int32)
    ours, theirs = jit_with_data(env.step)(state, action), step(state, action)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.allclose(a, b, rtol=1e-5, atol=1e-6)
    traces = []

    def counted(x):
        traces.append(1)
        return x + env.task.data.train.targets[0].astype(jnp.float32)

    function = jit_with_data(counted)
    for x in (jnp.float32(1), jnp.float32(2), jnp.ones((3,), jnp.float32)):
        function(x)
    assert len(traces) == 2  # one for each shape


def test_programs_share_their_data():
    """One buffer on each device, whatever the number of programs, and none once they are gone."""
    data = jnp.arange(1_003, dtype=jnp.float32)
    mesh = jax.make_mesh((2,), ("devices",), devices=jax.devices()[:2])
    everywhere = NamedSharding(mesh, PartitionSpec())

    def buffers():
        shards = [shard for x in jax.live_arrays() if x.shape == data.shape
                  for shard in x.addressable_shards]  # fmt: skip
        return len({(shard.device, shard.data.unsafe_buffer_pointer()) for shard in shards})

    programs = [
        jit_with_data(lambda i, factor=factor: factor * data[i], data_sharding=everywhere)
        for factor in (1.0, 2.0, 3.0)
    ]
    assert buffers() == 1
    assert [float(program(jnp.int32(5))) for program in programs] == [5.0, 10.0, 15.0]
    assert buffers() == 2
    del programs
    gc.collect()
    assert buffers() == 1
    other = data + 1
    assert float(jit_with_data(lambda i: other[i], data_sharding=everywhere)(jnp.int32(5))) == 6.0
