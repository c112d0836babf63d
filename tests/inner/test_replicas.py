"""How a batch of replicas runs: the same results as one by one, whatever is around."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.inner.replicas import in_turn, side_by_side

TABLE = jnp.arange(12.0).reshape(3, 4)
XS, YS = jnp.arange(8.0).reshape(2, 4), jnp.ones((2, 5))
WANTED = jnp.array([True, False])


def function(x, y):
    return {"sum": TABLE @ x + y.sum(), "table": TABLE[0]}


@pytest.fixture(params=[in_turn, side_by_side])
def how(request):
    return request.param


def assert_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_a_batch_is_one_by_one(how):
    whole = how(function)
    expected = jax.tree.map(lambda *x: jnp.stack(x), function(XS[0], YS[0]), function(XS[1], YS[1]))
    assert_equal(jax.vmap(whole)(XS, YS), expected)
    assert_equal(jax.vmap(whole, in_axes=(0, None))(XS, YS[1]), expected)
    nested = jax.vmap(jax.vmap(whole, in_axes=(0, None)))(jnp.stack([XS, XS]), YS)
    assert_equal(nested, jax.tree.map(lambda x: jnp.stack([x, x]), expected))
    same = jax.vmap(lambda _: whole(XS[1], YS[1]), out_axes=None, axis_size=2)(None)
    assert_equal(same, function(XS[1], YS[1]))


def test_a_branch_that_only_some_take(how):
    def choose(wanted, x, y):
        return jax.lax.cond(wanted, how(function), lambda *_: function(0 * x, y), x, y)

    expected = [function(XS[0], YS[0]), function(0 * XS[1], YS[1])]
    assert_equal(
        jax.jit(jax.vmap(choose))(WANTED, XS, YS),
        jax.tree.map(lambda *x: jnp.stack(x), *expected),
    )


def test_what_is_closed_over_may_differ_too(how):
    def apply(wanted, table, x):
        product = how(lambda x: table @ x)
        return jax.lax.cond(wanted, product, lambda x: -product(x), x)

    tables = jnp.stack([TABLE, 2 * TABLE])
    expected = jnp.stack([TABLE @ XS[0], -2 * TABLE @ XS[1]])
    assert_equal(jax.vmap(apply)(WANTED, tables, XS), expected)


def test_on_a_cpu_replicas_do_not_share_a_product():
    """`docs/performance.md`: a batched product is slower than the same ones in turn."""
    text = {
        how: str(jax.make_jaxpr(jax.vmap(how(function)))(XS, YS)) for how in (in_turn, side_by_side)
    }
    assert "scan" in text[in_turn]
    assert "scan" not in text[side_by_side]
