"""Learned optimisers without their libraries: what is said, what is refused, what is joined.

A library of our own stands in their place where one is needed.
"""

from __future__ import annotations

import importlib.util
import logging
import pickle
import shlex
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import serialization

from ganno_env.optimisers import learned
from ganno_env.optimisers.celo import CELO
from ganno_env.optimisers.velo import VELO
from tests.inner.test_oracle import assert_close

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("optimiser", [VELO, CELO], ids=lambda optimiser: optimiser.name)


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def all_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


@EACH
@pytest.mark.usefixtures("nothing_installed")
def test_without_the_library_one_line_says_how_to_get_it(optimiser):
    reason = learned.unavailable(optimiser, None)
    assert reason.startswith(f"not available: {optimiser.name} needs {optimiser.package}, ")
    assert reason.endswith(f"install it with: {optimiser.install}")
    assert "\n" not in reason


@EACH
def test_what_is_to_be_installed_is_there_and_pinned(optimiser):
    requirements = ROOT / shlex.split(optimiser.install)[-1]
    lines = requirements.read_text().splitlines()
    assert any(line.startswith(f"{optimiser.package} @ git+https://") for line in lines)
    assert f"#     {optimiser.install}" in lines
    for line in lines:
        assert not line or line[0] in "#-" or "==" in line or "@" in line.partition(" @ ")[2], line


@pytest.fixture
def plausible(tmp_path):
    """A file that can be told from the weights with a library alone."""
    path = tmp_path / "theta.state"
    path.write_bytes(serialization.to_bytes({part: {} for part in learned.PARTS}))
    return path


@EACH
@pytest.mark.usefixtures("nothing_installed")
def test_without_the_library_good_weights_are_refused_with_that_line(optimiser, plausible):
    message = rf"{optimiser.name} is not available: .*requirements-{optimiser.name.lower()}\.txt"
    with pytest.raises(ValueError, match=message):
        learned.load(optimiser, plausible, 100)


@EACH
@pytest.mark.usefixtures("all_installed")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_library_that_cannot_be_imported_is_one_error(optimiser, plausible, monkeypatch, at_once):
    stand_in(monkeypatch, optimiser, model=None)
    gone = "learned_optimization.optimizers" if at_once else optimiser.module
    monkeypatch.setitem(sys.modules, gone, None)
    arguments = list(sys.argv)
    with pytest.raises(ValueError, match=r"cannot be imported: .*requirements-.*\.txt"):
        learned.load(optimiser, plausible, 100)
    assert sys.argv == arguments
    assert not logging.root.manager.disable


@EACH
@pytest.mark.usefixtures("all_installed")
@pytest.mark.parametrize("weights", [None, "nowhere/params", "gs://bucket/params"])
def test_without_weights_one_line_says_how_to_get_them(optimiser, weights):
    reason = learned.unavailable(optimiser, weights)
    assert reason.startswith("not available: ")
    assert f"{optimiser.name.lower()}_weights=PATH" in reason
    assert "\n" not in reason
    assert weights is None or weights in reason


@EACH
@pytest.mark.usefixtures("all_installed")
def test_with_library_and_weights_it_can_be_run(optimiser):
    assert learned.unavailable(optimiser, __file__) is None


class Bomb:
    """Pickled code, which would leave a file where it is run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


WHOLE = serialization.to_bytes({"params": {part: np.ones(100) for part in learned.PARTS}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"not msgpack", "damaged"),
        (WHOLE[:-50], "damaged"),
        (WHOLE.replace(b"float64", b"nothing"), "damaged"),
        (serialization.to_bytes({"a": np.ones(3)}), "does not hold Celo's weights"),
        (serialization.to_bytes({"params": np.ones(3)}), "does not hold Celo's weights"),
        (serialization.msgpack_serialize([1, 2]), "does not hold Celo's weights"),
    ],
)
def test_a_damaged_or_other_file_is_one_error(tmp_path, content, message):
    path = tmp_path / "params"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        learned.load(CELO, path, 100)
    assert str(path) in str(caught.value)
    assert "celo_weights=PATH" in str(caught.value)


def test_pickled_code_in_a_file_is_not_run(tmp_path):
    path = tmp_path / "params"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(ValueError, match="damaged"):
        learned.load(CELO, path, 100)
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_one_error(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        learned.load(VELO, tmp_path / "params", 100)


@pytest.mark.parametrize(
    ("optimiser", "num_updates"), [(VELO, 0), (CELO, 0), (VELO, 150_001), (CELO, 2**31)]
)
def test_runs_that_it_was_not_made_for_are_refused(tmp_path, optimiser, num_updates):
    with pytest.raises(ValueError, match=f"{optimiser.name} cannot be run for {num_updates} upd"):
        learned.load(optimiser, tmp_path / "params", num_updates)


class Model:
    """What a library's model is: here a step of the gradient, times a + b * loss.

    It mixes types of numbers, as the libraries do.
    """

    def __init__(self, **options):
        self.options = options

    def init(self, key):
        return {part: {"step": jnp.zeros(2) * jnp.arange(2)} for part in learned.PARTS}

    def opt_fn(self, theta):
        return theta["ff_mod_stack"]["step"], self.options


def stand_in(monkeypatch, optimiser, model=Model):
    """Puts a library of our own in the place of the optimiser's; what it is given is returned."""
    given = []

    def opt_to_optax_opt(made, num_steps):
        step, options = made

        def update(gradient, state, params, *, extra_args):
            size = step[0] + step[1] * extra_args["loss"]
            return jax.tree.map(lambda leaf: -size * leaf, gradient), state - 1

        def init(params):
            return jnp.ones(()) * jnp.int32(num_steps)

        given.append((options, num_steps))
        return optax.GradientTransformationExtraArgs(init, update)

    opt_to_optax = SimpleNamespace(opt_to_optax_opt=opt_to_optax_opt)
    for name, content in {
        "learned_optimization": {},
        "learned_optimization.optimizers": {"opt_to_optax": opt_to_optax},
        optimiser.package: {},
        optimiser.module: {optimiser.model: model},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return given


@EACH
@pytest.mark.usefixtures("all_installed")
def test_its_update_is_the_librarys_with_decay_in_the_gradient_and_the_loss(
    optimiser, tmp_path, monkeypatch
):
    given = stand_in(monkeypatch, optimiser)
    theta = {part: {"step": np.zeros(2, np.float32)} for part in learned.PARTS}
    theta["ff_mod_stack"]["step"] = np.array([0.5, 0.25], np.float32)
    path = tmp_path / "theta.state"
    path.write_bytes(serialization.to_bytes(theta))
    made = learned.load(optimiser, path, 30)
    assert given == [(dict(optimiser.options), 30)]
    assert made.takes == {"weight_decay"}

    w = {"a": np.array([1.0, -2.0, 3.0], np.float32), "b": np.array([2.0], np.float32)}
    g = {"a": np.array([0.5, 0.25, -1.0], np.float32), "b": np.array([-0.5], np.float32)}
    decay = {"a": 0.1, "b": 0.01}
    rates = {name: jnp.float32(value) for name, value in decay.items()}
    transformation = made.build({"weight_decay": rates})
    params, gradient = ({k: {"w": jnp.array(v)} for k, v in tree.items()} for tree in (w, g))
    state = transformation.init(params)
    direction, state = transformation.update(gradient, state, params, value=jnp.float32(2.0))
    loss = 2.0 + sum(decay[name] * (w[name] ** 2).sum() for name in w)
    for name in w:
        expected = (0.5 + 0.25 * loss) * (g[name] + decay[name] * w[name])
        np.testing.assert_allclose(direction[name]["w"], expected, rtol=1e-6)
    assert state == 29


@EACH
@pytest.mark.usefixtures("all_installed")
def test_weights_are_read_once_and_importing_disturbs_nothing(optimiser, plausible, monkeypatch):
    stand_in(monkeypatch, optimiser)
    theta = {part: {"step": np.zeros(2, np.float32)} for part in learned.PARTS}
    plausible.write_bytes(serialization.to_bytes({"params": theta}))
    arguments = list(sys.argv)
    assert learned.load(optimiser, plausible, 7) is learned.load(optimiser, plausible, 7)
    assert learned.load(optimiser, plausible, 7) is not learned.load(optimiser, plausible, 8)
    assert sys.argv == arguments
    assert not logging.root.manager.disable


def test_weights_are_compared_with_the_models_shapes(tmp_path):
    model = SimpleNamespace(init=lambda key: {"a": jnp.zeros((3, 2)), "b": jnp.zeros(4)})
    right = {"a": np.ones((3, 2)), "b": np.arange(4.0)}
    assert_close(learned._checked(CELO, right, model, tmp_path), right, 0.0)
    for wrong, message in (
        ({"a": np.ones((3, 2))}, r"\['b'\] is absent, not \(4,\)"),
        ({"a": np.ones((2, 3)), "b": np.ones(4)}, r"\['a'\] is \(2, 3\), not \(3, 2\)"),
        (right | {"c": np.ones(1)}, r"\['c'\] is \(1,\), not absent"),
    ):
        with pytest.raises(ValueError, match=message):
            learned._checked(CELO, wrong, model, tmp_path)
