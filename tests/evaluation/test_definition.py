"""What a method is: the same while it does the same, another as soon as it does something else."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import jax.numpy as jnp
import optax
import pytest

from ganno_env.config import InterfaceConfig
from ganno_env.controls import WEIGHT_DECAY
from ganno_env.evaluation import (
    METHODS,
    Method,
    NotAvailableError,
    define,
    make_method,
    random_controller,
    schedule_controller,
)
from ganno_env.evaluation import controller as controllers
from ganno_env.evaluation.methods import Setting
from ganno_env.evaluation.planning import Variant
from ganno_env.optimisers import Optimiser
from ganno_env.schedules import SCHEDULES, decays, warmups
from tests.small import small_env


@pytest.fixture(scope="module")
def env():
    return small_env()


def scheduled(builder, env, monkeypatch):
    """The definition of a schedule, were this its code."""
    monkeypatch.setitem(SCHEDULES._members, "tried", builder)
    return define(Method("tried", schedule_controller("tried")), env)


def of(direction, rescaling=None):
    """An optimiser of optax's parts, before and after weight decay."""
    if rescaling is None:
        return Optimiser(lambda hyperparameters: direction)
    return Optimiser(
        lambda hyperparameters: optax.chain(
            direction, WEIGHT_DECAY.stage(hyperparameters["weight_decay"]), rescaling
        ),
        takes={"weight_decay"},
    )


def optimised(optimiser, env):
    return define(Method("tried", schedule_controller("constant"), Variant(optimiser)), env)


def test_every_method_is_defined_in_json_and_alike_each_time(env):
    definitions = {}
    for name in METHODS:
        try:
            definition = define(make_method(name, Setting(env)), env)
        except NotAvailableError:
            continue
        assert define(make_method(name, Setting(env)), env) == definition
        definitions[name] = json.dumps(definition)
    assert len(set(definitions.values())) == len(definitions), "two methods are one"


@pytest.mark.parametrize(
    ("module", "constant", "value", "name"),
    [
        (decays, "EXPONENTIAL_END", 0.02, "exponential"),
        (decays, "PIECEWISE_MILESTONES", (0.4, 0.75), "piecewise"),
        (warmups, "WARMUP_PART", 0.3, "warmup_cosine"),
        (warmups, "ONE_CYCLE_PART", 0.5, "one_cycle"),
    ],
)
def test_a_schedules_constants_are_part_of_it(module, constant, value, name, env, monkeypatch):
    before = define(make_method(name, Setting(env)), env)
    monkeypatch.setattr(module, constant, value)
    controllers._rates.cache_clear()
    after = define(make_method(name, Setting(env)), env)
    assert before["controller"] != after["controller"]
    assert before["optimiser"] == after["optimiser"]


def test_a_schedules_code_is_part_of_it(env, monkeypatch):
    constant = scheduled(decays.constant, env, monkeypatch)
    assert constant == scheduled(lambda rate, n: lambda count: rate, env, monkeypatch)
    assert constant != scheduled(lambda rate, n: lambda count: 1.001 * rate, env, monkeypatch)
    assert constant != scheduled(lambda rate, n: lambda count: 0.001, env, monkeypatch)
    late = lambda rate, n: lambda count: jnp.where(count == n - 1, 0.0, rate)  # noqa: E731
    assert constant != scheduled(late, env, monkeypatch)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (optax.contrib.prodigy(1.0), optax.contrib.prodigy(50.0)),
        (optax.contrib.prodigy(1.0), optax.contrib.prodigy(1.0, betas=(0.9, 0.99))),
        (optax.scale_by_adam(), optax.scale_by_adam(eps=1e-6)),
        (optax.scale_by_adam(), optax.scale_by_adam(b2=0.99)),
        (optax.scale_by_adam(), optax.chain(optax.clip(100.0), optax.scale_by_adam())),
        (optax.trace(0.9), optax.trace(0.9, nesterov=True)),
        (optax.scale_by_lion(), optax.scale_by_lion(b1=0.95)),
    ],
    ids=["prodigy rate", "prodigy betas", "eps", "b2", "clip", "nesterov", "lion"],
)
def test_an_optimisers_constants_are_part_of_it(one, other, env):
    assert optimised(of(one), env) != optimised(of(other), env)


def test_both_parts_of_an_optimiser_and_the_order_of_weight_decay_count(env):
    adam = optax.scale_by_adam()
    plain = optimised(of(adam), env)
    assert plain == optimised(of(optax.scale_by_adam()), env)
    assert plain != optimised(of(adam, optax.scale_by_trust_ratio()), env)
    assert optimised(of(adam, optax.scale(2.0)), env) != optimised(
        of(optax.chain(adam, optax.scale(2.0))), env
    )


def test_the_environments_own_optimiser_is_what_counts_where_none_is_named(env):
    method = Method("constant", schedule_controller("constant"))
    assert define(method, env) != define(method, small_env(optimiser="sgd"))


def test_a_controllers_code_is_part_of_it(env):
    def definition(decide, schedules=False):
        begin = lambda env, rate: ()  # noqa: E731
        return define(
            Method("tried", controllers.Controller("tried", begin, decide, schedules)), env
        )

    def act(env, carry, timestep, key, action):
        return carry, jnp.full((env.num_agents,), action, jnp.int32)

    def on_plateau(env, carry, timestep, key, patience):
        stuck = timestep.extras["validation_loss"] > patience
        return carry, jnp.where(stuck, 3, 0) * jnp.ones((env.num_agents,), jnp.int32)

    assert definition(partial(act, action=0)) == definition(partial(act, action=0))
    assert definition(partial(act, action=0)) != definition(partial(act, action=1))
    assert definition(partial(on_plateau, patience=0.2)) != definition(
        partial(on_plateau, patience=0.8)
    )
    assert define(Method("random", random_controller()), env) != definition(partial(act, action=0))


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.003},
        {"version": 2},
        {"stated": {"policy": "b", "greedy": False}},
        {"stated": {"policy": "a", "greedy": True}},
        {"variant": Variant(interface=InterfaceConfig.of(bounds=(0.0, 0.5)))},
        {"variant": Variant(interface=InterfaceConfig.of(actions=["noop", "*2"]))},
    ],
)
def test_what_a_method_states_is_part_of_it(change, env):
    method = Method("m", random_controller(), stated={"policy": "a", "greedy": False})
    assert define(method, env) != define(dataclasses.replace(method, **change), env)


def test_what_is_stated_is_not_tried(env):
    def explode(env, rate):
        raise AssertionError

    controller = dataclasses.replace(random_controller(), begin=explode)
    assert define(Method("m", controller, stated={"controller": "x"}), env)["controller"] == "x"
