"""Episodes as they were before there were several controls: traces taken then, kept as data.

`golden/single_control.npz` was written at the last commit in which the learning rate was the only
control that agents could set. There these traces are equal bit for bit; other processors round
otherwise, so that here they are compared to a few digits.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.small import small_env

GOLDEN = np.load(Path(__file__).parent / "golden" / "single_control.npz")
CASES = {
    "paper": {},
    "log": {"features": "log", "reward": "loss_difference", "optimiser": "lamb"},
    "sgd": {
        "optimiser": "sgd",
        "single_agent": True,
        "features": "global",
        "learning_rate": 0.01,
        "weight_decay": 0.1,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_an_episode_with_one_control_is_what_it_was(case):
    env = small_env(**CASES[case])
    state, timestep = jax.jit(env.reset)(jax.random.PRNGKey(3))
    traces = {"view/0": timestep.observation.agents_view}
    step = jax.jit(env.step)
    for t in range(3):
        choices = [(3 * t + 2 * i + 1) % env.action_dim for i in range(env.num_agents)]
        state, timestep = step(state, jnp.array(choices, jnp.int32))
        traces[f"view/{t + 1}"] = timestep.observation.agents_view
        traces[f"reward/{t + 1}"] = timestep.reward
        traces[f"rates/{t + 1}"] = state.controls["learning_rate"]
    layers = [jax.tree.leaves(state.inner.params[layer.name]) for layer in env.network.layers]
    squares = [sum(np.square(leaf, dtype=np.float64).sum() for leaf in layer) for layer in layers]
    traces["norms"] = np.sqrt(squares)
    for name, trace in traces.items():
        np.testing.assert_allclose(
            trace, GOLDEN[f"{case}/{name}"], rtol=1e-4, atol=1e-5, err_msg=name
        )
