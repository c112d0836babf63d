import math

import jax
import pytest

from systems.ppo.config import PPOConfig
from systems.ppo.mesh import make_mesh
from systems.ppo.registry import SYSTEMS
from systems.training.devices import available_cores
from tests.toys import Recall


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_envs": 0}, "num_envs=0; it must be a whole number of at least 1"),
        ({"num_envs": 4.0}, "num_envs=4.0; it must be a whole number"),
        ({"num_epochs": True}, "num_epochs=True; it must be a whole number"),
        ({"gamma": 1.5}, "gamma=1.5; it must be a number from 0 to 1"),
        ({"gamma": "high"}, "gamma='high'; it must be a number from 0 to 1"),
        ({"clip_range": 0.0}, "clip_range=0.0; it must be a number above 0"),
        ({"adam_epsilon": math.inf}, "adam_epsilon=inf; it must be a number above 0, and finite"),
        ({"actor_learning_rate": math.nan}, "actor_learning_rate=nan"),
        ({"clip_values": 1}, "clip_values=1; it must be true or false"),
        ({"actor_layers": (64, 0)}, r"actor_layers=\(64, 0\)"),
        ({"critic_layers": 64}, "critic_layers=64; it must be a list"),
        ({"sequence_length": 7}, "sequence_length=7 does not divide rollout_length=64"),
        ({"num_minibatches": 5}, "num_minibatches=5 does not divide the rollout's 32 sequences"),
        ({"total_timesteps": 255}, "total_timesteps=255 is less than one rollout.* 256"),
    ],
)
def test_bad_options_are_refused_with_value_and_remedy(changes, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(**changes)


def test_an_unknown_option_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'gama' \(did you mean 'gamma'\?\); known: total_time"):
        PPOConfig.parse({"gama": 0.9})
    assert PPOConfig.parse({"actor_layers": [8]}).actor_layers == (8,)


def test_the_papers_sizes():
    config = PPOConfig()
    assert config.num_sequences == 32
    assert config.num_updates == 195, "the steps left over would exceed the total"


def test_an_unknown_system_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown system 'ippo'.*known: rec_ippo, rec_mappo"):
        SYSTEMS["ippo"]


def test_meshes():
    devices = jax.devices()[:2]
    assert make_mesh(devices).size == len(devices)
    assert make_mesh(devices, num_envs=3).size == 1
    assert make_mesh(devices, 1).size == 1
    with pytest.raises(ValueError, match="num_devices=3; choose 1 to 2, or 'auto'"):
        make_mesh(devices, 3)
    with pytest.raises(ValueError, match="num_devices='all'"):
        make_mesh(devices, "all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 environments do not divide evenly among 2 devices"):
        make_mesh(devices, 2, num_envs=3)
    with pytest.raises(ValueError, match="do not divide evenly"):
        SYSTEMS["rec_ippo"](Recall(), PPOConfig(num_envs=3, num_minibatches=3), make_mesh(devices))
    assert available_cores() >= 1
