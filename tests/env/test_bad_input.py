"""Bad arguments: one `ValueError` each, with the value and the remedy, before any compilation."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import jumanji
import pytest

from ganno.options import Count
from ganno_env import NetworkTraining, make_env
from ganno_env.networks import NETWORKS, build
from ganno_env.optimisers import OPTIMISERS
from ganno_env.registration import check_options
from ganno_env.rewards import REWARDS
from ganno_env.types import LayerSpec
from tests.small import small_env


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "digit"}, "unknown dataset 'digit'.*did you mean 'digits'"),
        ({"network": "cnn4"}, "unknown network 'cnn4'.*known: .*cnn5"),
        (
            {"network_options": {"depth": 3}},
            "'network_options.depth'; known: .*options.width",
        ),
        ({"network_options": {"width": 0}}, "network_options.width=0; .* above 0"),
        (
            {"network_options": {"channels": [0]}},
            r"channels=\[0\]; .*whole number from 1",
        ),
        (
            {"network_options": {"lowering": "fast"}},
            "lowering='fast'; .*one of auto, matmul",
        ),
        ({"optimiser": "adamm"}, "unknown optimiser 'adamm'"),
        ({"reward": "money"}, "unknown reward 'money'; known: accuracy_difference"),
        ({"features": "some"}, "unknown feature set 'some'"),
        ({"actions": ["noop", "grow"]}, "unknown action 'grow'"),
        ({"batch_size": 201}, "batch_size=201 is larger than the training split.*200"),
        ({"batch_size": 0}, "batch_size=0; it must be a whole number of at least 1"),
        ({"batch_size": 1.5}, "batch_size=1.5; it must be a whole number"),
        ({"updates_per_step": 0}, "updates_per_step=0; it must be a whole number"),
        ({"updates_per_step": 22}, "beyond the horizon.*are 21 updates"),
        ({"epochs": 0}, "epochs=0; it must be a number above 0"),
        ({"num_steps": 5}, "num_steps=5; it must be at most 4.*raise epochs"),
        ({"num_steps": 0}, "num_steps=0; it must be a whole number of at least 1"),
        ({"learning_rate": 1.5}, r"learning_rate=1.5; it is beyond its bounds \[0.0, 1.0\]"),
        ({"learning_rate": -0.1}, "beyond its bounds"),
        ({"learning_rate": (1e-2, 1e-5)}, "0 < low < high"),
        ({"learning_rate": (0.0, 1e-2)}, "0 < low < high"),
        (
            {"bounds": [0.1]},
            r"bounds=\[0.1\]; it must be \[low, high\]",
        ),
        ({"bounds": 0.1}, "bounds=0.1"),
        ({"bounds": ["low", "high"]}, r"bounds=\['low', 'high'\]"),
        (
            {"bounds": [0.1, 0.01]},
            r"bounds=\(0.1, 0.01\); .* 0.0 <= low < high <= 1.0",
        ),
        ({"bounds": [0.0, 2.0]}, r"bounds=\(0.0, 2.0\)"),
        ({"weight_decay": (1e-5,)}, r"a number, or \[low, high\]"),
        ({"weight_decay": "small"}, "weight_decay='small'"),
        ({"single_agent": True}, "a single agent sees global features alone"),
        ({"batchsize": 3}, r"unknown option 'batchsize' \(did you mean 'batch_size'"),
        ({"train_size": 10**6}, "1000000"),
        ({"validation_size": 0}, "validation_size"),
    ],
)
def test_arguments_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small_env(**changes)


def test_an_unknown_id_lists_the_known_ones():
    with pytest.raises(ValueError, match="Ganno-Digits-Cnn2-v0"):
        jumanji.make("Ganno-Digits-Cnn9-v0")


def test_a_layer_without_parameters_is_refused():
    task = small_env().task
    network = build("mlp", task.input_spec, task.num_outputs)
    extra = dataclasses.replace(network, layers=(*network.layers, LayerSpec("relu", "linear")))
    with pytest.raises(ValueError, match=r"layer 'relu'.*has no parameters"):
        NetworkTraining(task, extra)


def test_parameters_of_no_layer_are_refused():
    task = small_env().task
    network = build("mlp", task.input_spec, task.num_outputs)
    fewer = dataclasses.replace(network, layers=network.layers[:-1])
    with pytest.raises(ValueError, match="belong to none of its layers"):
        NetworkTraining(task, fewer)
    with pytest.raises(ValueError, match="has no layers"):
        NetworkTraining(task, dataclasses.replace(network, layers=()))


def test_an_action_of_another_shape_is_refused():
    env = small_env()
    state, _ = jax.eval_shape(env.reset, jax.random.PRNGKey(0))
    with pytest.raises(AssertionError, match=r"has shape \(3,\) but expected \(2"):
        jax.eval_shape(env.step, state, jnp.zeros((3,), jnp.int32))


def test_a_new_networks_options_are_checked_by_its_builders_annotations(monkeypatch):
    def mine(input_spec, num_outputs, sizes: list[int], depth: Count = 1, any_value=None):
        del depth, any_value
        return build("mlp", input_spec, num_outputs, {"widths": sizes})

    monkeypatch.setitem(NETWORKS._members, "mine", mine)
    assert (
        small_env(network="mine", network_options={"sizes": [4], "any_value": {}}).num_agents == 2
    )
    for options, message in (
        ({}, "network_options.sizes is missing; it must be a list, each a whole number"),
        ({"sizes": ["x"]}, r"network_options.sizes=\['x'\]; it must be a list"),
        ({"sizes": [4], "depth": 0}, "network_options.depth=0; it must be a whole number of at"),
        ({"sizes": [4], "dept": 1}, r"'network_options.dept' \(did you mean 'network_options.dep"),
    ):
        with pytest.raises(ValueError, match=message):
            small_env(network="mine", network_options=options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("actions", 3),
        ("features", False),
        ("features", 3),
        ("epochs", None),
        ("epochs", "ten"),
        ("epochs", float("inf")),
        ("learning_rate", None),
        ("learning_rate", "0.1"),
        ("split_seed", "x"),
        ("split_seed", 1.5),
        ("split_seed", -1),
        ("network_options", 2),
        ("data_dir", ["a"]),
        ("data_dir", 5),
        ("single_agent", 7),
        ("single_agent", "no"),
        ("optimiser", 3),
        ("reward", True),
        ("dataset", None),
        ("network", ["cnn2"]),
        ("batch_size", True),
        ("updates_per_step", "5"),
        ("num_steps", 1.0),
        ("train_size", "all"),
    ],
)
def test_a_value_of_another_type_is_named_with_what_is_allowed(name, value):
    with pytest.raises(ValueError, match=name) as error:
        small_env(**{name: value})
    said = str(error.value)
    assert said.startswith(f"{name}={value!r}; it must be ")
    assert "\n" not in said


def test_parts_may_be_given_as_objects():
    sgd = OPTIMISERS["sgd"]()
    env = small_env(optimiser=sgd, reward=REWARDS["accuracy"])
    assert env.optimiser is sgd
    assert env.reward is REWARDS["accuracy"]
    for part in (env.task, env.network):
        with pytest.raises(ValueError, match=f"{type(part).__name__.lower()}=3; it must be a"):
            NetworkTraining(
                **{"task": env.task, "network": env.network} | {type(part).__name__.lower(): 3}
            )


@pytest.mark.parametrize(
    ("given", "meant"),
    [("epoch", "epochs"), ("optimizer", "optimiser"), ("width", "network_options.width")],
)
def test_a_near_miss_is_told(given, meant):
    with pytest.raises(ValueError, match=rf"unknown option '{given}' \(did you mean '{meant}'\?"):
        make_env(**{given: 1})


def test_names_in_commands_are_whole():
    for options, message in (
        ({"epochs": "ten"}, "^env.epochs='ten'; it must be"),
        ({"network": "vit", "network_options": {"depth": 0}}, "^env.network_options.depth=0"),
        ({"width": 1}, "^unknown option 'env.width' .*'env.network_options.width'"),
        (3, "^env=3; it must be a mapping"),
    ):
        with pytest.raises(ValueError, match=message):
            check_options(options, "env.")
    assert check_options({"network_options": {"depth": 3}}, "env.", "vit")
