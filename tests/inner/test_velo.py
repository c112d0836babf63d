"""VeLO without its library: what is said, what is refused, and how weight decay joins in."""

from __future__ import annotations

import importlib.util
import logging
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import serialization

from ganno_env.optimisers import velo
from tests.inner.test_oracle import assert_close


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("nothing_installed")
def test_without_the_library_one_line_says_how_to_get_it():
    reason = velo.unavailable(None)
    assert reason.startswith("not available: ")
    assert "pip install --no-deps -r requirements-velo.txt" in reason
    assert "\n" not in reason
    assert (Path(__file__).parents[2] / reason.split()[-1]).is_file()


@pytest.fixture
def plausible(tmp_path):
    """A file that can be told from VeLO's weights with its library alone."""
    path = tmp_path / "theta.state"
    path.write_bytes(serialization.to_bytes({part: {} for part in velo.PARTS}))
    return path


@pytest.mark.usefixtures("nothing_installed")
def test_without_the_library_good_weights_are_refused_with_that_line(plausible):
    with pytest.raises(ValueError, match=r"VeLO is not available: .*requirements-velo\.txt"):
        velo.velo(plausible, 100)


def test_a_library_that_cannot_be_imported_is_one_error(plausible, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "learned_optimization", None)
    monkeypatch.setitem(sys.modules, "learned_optimization.optimizers", None)
    arguments = list(sys.argv)
    with pytest.raises(ValueError, match=r"cannot be imported: .*requirements-velo\.txt"):
        velo.velo(plausible, 100)
    assert sys.argv == arguments
    assert not logging.root.manager.disable


@pytest.mark.parametrize("weights", [None, "nowhere/params", "gs://bucket/params"])
def test_without_weights_one_line_says_how_to_get_them(monkeypatch, weights):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    reason = velo.unavailable(weights)
    assert reason.startswith("not available: ")
    assert "velo_weights=PATH" in reason
    assert "\n" not in reason
    assert weights is None or weights in reason


def test_with_library_and_weights_it_can_be_run(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert velo.unavailable(__file__) is None


class Bomb:
    """Pickled code, which would leave a file where it is run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


WHOLE = serialization.to_bytes({"params": {part: np.ones(100) for part in velo.PARTS}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"not msgpack", "damaged"),
        (WHOLE[:-50], "damaged"),
        (WHOLE.replace(b"float64", b"nothing"), "damaged"),
        (serialization.to_bytes({"a": np.ones(3)}), "does not hold VeLO's weights"),
        (serialization.to_bytes({"params": np.ones(3)}), "does not hold VeLO's weights"),
        (serialization.msgpack_serialize([1, 2]), "does not hold VeLO's weights"),
    ],
)
def test_a_damaged_or_other_file_is_one_error(tmp_path, content, message):
    path = tmp_path / "params"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        velo.velo(path, 100)
    assert str(path) in str(caught.value)
    assert "velo_weights=PATH" in str(caught.value)


def test_pickled_code_in_a_file_is_not_run(tmp_path):
    path = tmp_path / "params"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(ValueError, match="damaged"):
        velo.velo(path, 100)
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_one_error(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        velo.velo(tmp_path / "params", 100)


@pytest.mark.parametrize("num_updates", [0, 150_001])
def test_runs_that_velo_was_not_made_for_are_refused(tmp_path, num_updates):
    with pytest.raises(ValueError, match=f"{num_updates} updates"):
        velo.velo(tmp_path / "params", num_updates)


def test_decay_joins_the_gradient_and_the_loss_that_the_library_is_given():
    """By a library of our own in its place, which takes half of the gradient as its update."""
    seen = []

    def update(gradient, state, params, *, extra_args):
        seen.append(extra_args)
        return jax.tree.map(lambda leaf: 0.5 * leaf, gradient), state + 1

    library = optax.GradientTransformationExtraArgs(lambda params: 7, update)
    decay = 0.1
    decayed = velo._with_decay(library, {"a": jnp.float32(decay)})
    params = {"a": {"w": jnp.array([1.0, -2.0, 3.0])}}
    gradient = {"a": {"w": jnp.array([0.5, 0.25, -1.0])}}
    state = decayed.init(params)
    direction, state = decayed.update(gradient, state, params, value=jnp.float32(2.0))
    w, g = (np.asarray(tree["a"]["w"]) for tree in (params, gradient))
    np.testing.assert_allclose(direction["a"]["w"], -0.5 * (g + decay * w), rtol=1e-6)
    np.testing.assert_allclose(seen[0]["loss"], 2.0 + decay * (w**2).sum(), rtol=1e-6)
    assert state == 8


def test_weights_are_compared_with_the_models_shapes(tmp_path):
    model = SimpleNamespace(init=lambda key: {"a": jnp.zeros((3, 2)), "b": jnp.zeros(4)})
    right = {"a": np.ones((3, 2)), "b": np.arange(4.0)}
    assert_close(velo._checked(right, model, tmp_path), right, 0.0)
    for wrong, message in (
        ({"a": np.ones((3, 2))}, r"\['b'\] is absent, not \(4,\)"),
        ({"a": np.ones((2, 3)), "b": np.ones(4)}, r"\['a'\] is \(2, 3\), not \(3, 2\)"),
        (right | {"c": np.ones(1)}, r"\['c'\] is \(1,\), not absent"),
    ):
        with pytest.raises(ValueError, match=message):
            velo._checked(wrong, model, tmp_path)
