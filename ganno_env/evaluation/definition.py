"""What a method is, as plain JSON: what its entry says, and what it does when it is tried.

Options say what somebody meant; code says what happens. So the parts of a method are tried on
small made-up inputs, and what they do is digested: who changes a constant in code has changed the
method, whether or not its name or version was changed with it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY
from ganno_env.env import NetworkTraining
from ganno_env.evaluation.controller import Carry, Controller, Decide
from ganno_env.evaluation.methods import Method
from ganno_env.optimisers import Optimiser, own_state, update_direction
from ganno_env.types import PRNGKey, State

RATE, DECAY = 0.00314159, 0.0271828
"""Of trials: numbers from which a schedule does not come to round ones."""
MOST_STEPS = 9
"""Of an episode, evenly spaced, on which a controller is tried."""
UPDATES = 16
"""On which an optimiser is tried."""
SCALES = 10.0 ** np.arange(-9, 4, 2)
"""Of made-up gradients: from where an epsilon counts to where clipping does."""
DIGITS = 4
"""That count, so that machines which round otherwise find the same method."""


def define(method: Method, env: NetworkTraining) -> dict[str, Any]:
    """What a method's runs in `env` depend on, beside the run's own rate, decay and seed.

    Args:
        method: what to define; what it states is taken as it is, the rest is tried.
        env: where it is run.

    Returns:
        Plain JSON.
    """
    # Methods that change nothing share the environment, and with it what was compiled for it.
    changed = method.variant.of(env)
    # A schedule looks at no more than the time, and need not be tried with each optimiser.
    looked_at = env if method.controller.schedules else changed
    tried = {
        "controller": lambda: _digest(_decisions(method.controller, looked_at)),
        "optimiser": lambda: _updates(changed.optimiser),
    }
    found = {name: trial() for name, trial in tried.items() if name not in method.stated}
    interface = method.variant.interface
    return {
        "interface": None if interface is None else _shown(interface.options()),
        "learning_rate": method.learning_rate,
        "version": method.version,
        "options": _shown(changed.optimiser.options),
        **found,
        **method.stated,
    }


def _shown(value: Any) -> Any:
    """Names and numbers as JSON has them."""
    if isinstance(value, Mapping):
        return {name: _shown(item) for name, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, (list, tuple)) else value


def _decisions(controller: Controller, env: NetworkTraining) -> list[Any]:
    """What it decides at some steps of an episode, each in a made-up state."""
    carry = controller.begin(env, RATE)
    decisions = []
    for step in np.unique(np.linspace(0, env.time_limit - 1, MOST_STEPS).astype(int)):
        state = _made_up_state(env, int(step))
        carry, decision = _decide(controller.decide, env, carry, state, jax.random.PRNGKey(step))
        # Of a schedule's rates over a step, [tau, L], those that it begins and ends with.
        decisions.append(decision[np.array([0, -1])] if controller.schedules else decision)
    return decisions


@functools.partial(jax.jit, static_argnums=(0, 1))
def _decide(
    decide: Decide, env: NetworkTraining, carry: Carry, state: State, key: PRNGKey
) -> tuple[Carry, Array]:
    return decide(env, carry, env.observe(state), key)


@functools.lru_cache(maxsize=4 * MOST_STEPS)
def _made_up_state(env: NetworkTraining, step: int) -> State:
    """A state as of `step`, of the right shapes, whose small numbers are arbitrary."""
    random = np.random.default_rng(step)

    def fill(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> Array:
        if path[0].name == "inner":  # a network's parameters are many, and nobody sees them
            return jnp.zeros(leaf.shape, leaf.dtype)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(random.uniform(0.1, 0.9, leaf.shape), leaf.dtype)
        return jnp.asarray(random.integers(0, env.action_dim, leaf.shape), leaf.dtype)

    state = jax.tree.map_with_path(fill, _state_shapes(env))
    inner = dataclasses.replace(state.inner, num_updates=jnp.int32(step * env.updates_per_step))
    return dataclasses.replace(state, inner=inner, step_count=jnp.int32(step))


@functools.lru_cache(maxsize=4)
def _state_shapes(env: NetworkTraining) -> Any:
    initial = {LEARNING_RATE.name: jnp.float32(RATE), WEIGHT_DECAY.name: jnp.float32(DECAY)}
    return jax.eval_shape(lambda key: env.reset_from(key, initial)[0], jax.random.PRNGKey(0))


@functools.lru_cache(maxsize=64)
def _updates(optimiser: Optimiser) -> str:
    """A digest of what an optimiser makes of made-up gradients of many scales.

    It is of directions, and of the parameters that a network would be evaluated with.
    """
    shape = (len(SCALES), 2)
    random = np.random.default_rng(0)
    gradients = random.normal(size=(UPDATES, *shape)) * SCALES[:, None]
    params = {"layer": {"kernel": jnp.asarray(random.normal(size=shape), jnp.float32)}}
    values = {LEARNING_RATE.name: RATE, WEIGHT_DECAY.name: DECAY}
    hyperparameters = {name: {"layer": jnp.float32(value)} for name, value in values.items()}
    controls = (WEIGHT_DECAY, LEARNING_RATE)
    transformation = update_direction(optimiser, controls, hyperparameters)

    def update(carry: tuple[Any, Any], gradient: Any) -> tuple[tuple[Any, Any], Any]:
        params, state = carry
        grads = {"layer": {"kernel": gradient}}
        # As in the supervised loop: optax's own arithmetic mixes types.
        with jax.numpy_dtype_promotion("standard"):
            direction, state = transformation.update(grads, state, params, value=jnp.float32(1))
        params = jax.tree.map(lambda p, d: p - RATE * d, params, direction)
        own = own_state(optimiser, controls, state)
        return (params, state), (direction, optimiser.evaluation_params(own, params))

    start = params, transformation.init(params)
    _, made = jax.jit(functools.partial(jax.lax.scan, update))(
        start, jnp.asarray(gradients, jnp.float32)
    )
    return _digest(jax.tree.map(lambda x: x[np.array([0, 1, UPDATES // 2, -1])], made))


def _digest(values: PyTree) -> str:
    """Of numbers as they are to a few digits."""
    leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(values)]
    texts = [f"{number + 0.0:.{DIGITS}g}" for leaf in leaves for number in leaf.tolist()]
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()[:16]
