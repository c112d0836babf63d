"""A new control, optimiser, task, network or feature is one file and one line of registration.

Each file of `tests/new_members` ends with that line. Here it is run, and the contracts that hold
for all members are run over what it registered; no other file knows of it.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.controls import CONTROLS
from ganno_env.networks import NETWORKS, build
from ganno_env.observations import FEATURES
from ganno_env.optimisers import OPTIMISERS
from ganno_env.registration import by_name
from ganno_env.tasks import TASKS
from tests import test_contracts
from tests.inputs import input_spec_for, random_inputs
from tests.small import compiled, small_env, some_states

FOLDER = Path(__file__).parent / "new_members"
REGISTRIES = {
    "control": (CONTROLS, "gradient_clip"),
    "optimiser": (OPTIMISERS, "rmsprop"),
    "task": (TASKS, "brightness"),
    "network": (NETWORKS, "softmax_regression"),
    "feature": (FEATURES, "rate_ratio"),
}


@pytest.fixture
def member(request, monkeypatch):
    """The name of what one file registers, while the test runs."""
    registry, name = REGISTRIES[request.param]
    monkeypatch.setattr(registry, "_members", dict(registry._members))
    runpy.run_path(str(FOLDER / f"{request.param}.py"))
    assert name in registry
    return name


def only(kind):
    return pytest.mark.parametrize("member", [kind], indirect=True)


def trained(env, action=0, steps=2):
    """The end of an episode in which agents always do the same, and its timesteps."""
    reset, step = compiled(env)
    state, timestep = reset(jax.random.PRNGKey(0))
    timesteps = [timestep]
    for _ in range(steps):
        state, timestep = step(state, jnp.full((env.num_agents,), action, jnp.int32))
        timesteps.append(timestep)
        if action == 0 and env.reward.needs_no_op:
            np.testing.assert_array_equal(timestep.reward, 0.0)
    assert test_contracts.finite((state, timesteps))
    return state, timesteps


def test_each_file_registers_in_its_last_line_alone():
    files = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    assert files == sorted(REGISTRIES)
    for kind in files:
        lines = (FOLDER / f"{kind}.py").read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if ".add(" in line] == lines[-1:]


@only("control")
def test_a_control(member):
    test_contracts.test_controls_are_in_their_bounds(member)
    env = small_env(network="mlp", controls=["learning_rate", member], optimiser="sgd")
    assert {f"{member}", f"initial_{member}", "learning_rate"} <= set(env.feature_names)
    state, (first, *_) = trained(env, action=1)
    moved = state.controls[member] / state.initial_controls[member]
    np.testing.assert_allclose(moved, 1.1**2, rtol=1e-5)
    assert first.observation.agents_view.shape == (3, len(env.feature_names))
    start = {"learning_rate": 0.01, "weight_decay": 0.0, "reward": "accuracy"}
    clipped = small_env(network="mlp", optimiser="sgd", initial_controls={member: 0.0}, **start)
    state, _ = trained(clipped, steps=1)
    before, _ = compiled(clipped)[0](jax.random.PRNGKey(0))
    jax.tree.map(np.testing.assert_array_equal, state.inner.params, before.inner.params)


@only("optimiser")
def test_an_optimiser(member):
    test_contracts.test_optimisers_train(member)
    env = small_env(network="mlp", optimiser={"name": member, "decay": 0.5}, learning_rate=0.01)
    _, timesteps = trained(env)
    assert timesteps[-1].extras["train_loss"] < timesteps[0].extras["train_loss"]
    with pytest.raises(ValueError, match=r"optimiser.decay=2; it must be a number"):
        small_env(optimiser={"name": member, "decay": 2})
    with pytest.raises(ValueError, match="the optimiser has no momentum"):
        small_env(optimiser=member, controls=["momentum"])


@only("task")
def test_a_task(member):
    env = small_env(task=member, network="mlp", learning_rate=0.003)
    _, timesteps = trained(env, steps=env.time_limit)
    extras = [timestep.extras for timestep in timesteps]
    assert extras[-1]["validation_loss"] < extras[0]["validation_loss"]
    np.testing.assert_allclose(
        extras[-1]["validation_rmse"] ** 2, extras[-1]["validation_loss"], rtol=1e-4
    )


@only("network")
def test_a_network(member):
    spec = input_spec_for(member)
    network = build(member, spec, 10, {"width": 0.0625})
    begun, inputs = jax.jit(network.init)(jax.random.key(0)), random_inputs(spec, 4)
    test_contracts.test_networks_layers_hold_all_that_is_learned(network, begun)
    test_contracts.test_networks_are_pure_and_differentiable(network, begun, inputs)
    test_contracts.test_networks_lowerings_agree(network, begun, inputs)
    assert by_name({"name": f"digits_{member}"}) == {"dataset": "digits", "network": member}
    env = small_env(network=member, network_options=None)
    trained(env)


@only("feature")
def test_a_feature(member):
    states = jax.tree.map(lambda *x: jnp.concatenate(x), *some_states())
    test_contracts.test_features_are_finite_named_and_within_their_limits((member,), states)
    env = small_env(features=[member, "progress"], actions=["noop", "*10"], learning_rate=0.001)
    _, timesteps = trained(env, action=1)
    shown = [float(timestep.observation.agents_view[0, 0]) for timestep in timesteps]
    np.testing.assert_allclose(shown, [0.0, 1.0, 2.0], atol=1e-5)
