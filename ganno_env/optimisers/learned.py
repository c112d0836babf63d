"""Learned optimisers that are run by their authors' own libraries, on google/learned_optimization.

A library is an extra (`requirements-*.txt`) and is imported when its optimiser is asked for. The
weights that its authors trained are a file, which the user has and names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization
from jaxtyping import Array, Float

from ganno_env.controls import WEIGHT_DECAY, Hyperparameters, LayerValues, scale_layers
from ganno_env.optimisers.base import Optimiser
from ganno_env.types import Params

PACKAGES = ("learned_optimization", "gin", "haiku", "tensorflow")
"""What google/learned_optimization is and needs, as it is imported."""
PARTS = {"ff_mod_stack", "lstm_init_state", "rnn_params"}
"""The parts of the weights: the rule for each parameter, and the network that controls it."""


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedOptimiser:
    """A learned optimiser with the weights that its authors published.

    Attributes:
        name: what it is called.
        module, model: where its model's class is, and what that is called.
        options: what this class is given for the public weights.
        install: the command that installs what it needs.
        source: where its weights are.
        max_updates: how long a run may be; the libraries count in int32.
    """

    name: str
    module: str
    model: str
    options: Mapping[str, Any]
    install: str
    source: str
    max_updates: int = 2**31 - 1

    @property
    def package(self) -> str:
        """The package that its model is in."""
        return self.module.partition(".")[0]

    @property
    def version(self) -> str:
        """That package's version."""
        return importlib.metadata.version(self.package)

    @property
    def get_library(self) -> str:
        """How to get what it needs, in words."""
        return f"install it with: {self.install}"

    @property
    def get_weights(self) -> str:
        """How to get its weights, in words."""
        return f"get {self.source}, and name that file with {self.name.lower()}_weights=PATH"


def unavailable(learned: LearnedOptimiser, weights: Path | str | None) -> str | None:
    """Why it cannot be run, in one line, or None if it can. Nothing is imported or fetched.

    Args:
        learned: which optimiser.
        weights: the file of its weights, if there is one.
    """
    needed = dict.fromkeys((learned.package, *PACKAGES))
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        return f"not available: {learned.name} needs {', '.join(missing)}; {learned.get_library}"
    if weights is None:
        return (
            f"not available: {learned.name}'s weights are not part of its library; "
            f"{learned.get_weights}"
        )
    if not Path(weights).is_file():
        return f"not available: no file {weights}; {learned.get_weights}"
    return None


@functools.lru_cache(maxsize=4)
def load(learned: LearnedOptimiser, weights: Path | str, num_updates: int) -> Optimiser:
    """A learned optimiser for a run of `num_updates`, at a learning rate of 1: it sets its steps.

    Weight decay is the library's own (`WeightDecayWrapper`, as in its `prefab.LearnedOptimizer`),
    with a lambda for each layer: lambda theta joins the gradient that the optimiser is given, and
    lambda ||theta||^2 the loss. Decoupled, as other optimisers have it here, it would be another
    thing: at rate 1 each update would take lambda of the weights away.

    Args:
        learned: which optimiser.
        weights: the file that its authors published, or a `theta.state` of the same model. It is
            read once, as data, not code; equal arguments give the same object, and so share
            programs.
        num_updates: how many gradient updates the run has in all.

    Returns:
        The direction is minus its own update. Its update needs the minibatch's loss, `value`.

    Raises:
        ValueError: for weights that are missing, damaged or another model's, for a number of
            updates that it was not made for, and without the library.
    """
    if not 1 <= num_updates <= learned.max_updates:
        raise ValueError(
            f"{learned.name} cannot be run for {num_updates} updates: it is made for 1 to "
            f"{learned.max_updates}; take fewer epochs or larger batches"
        )
    theta = _read(learned, Path(weights))
    if reason := unavailable(learned, weights):
        raise ValueError(f"{learned.name} is {reason}")
    model_class, opt_to_optax_opt = import_library(learned)
    model = model_class(**learned.options)
    optimiser = model.opt_fn(_checked(learned, theta, model, Path(weights)))
    library = opt_to_optax_opt(optimiser, num_steps=num_updates)

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformationExtraArgs:
        return _with_decay(library, hyperparameters[WEIGHT_DECAY.name])

    return Optimiser(build, takes={WEIGHT_DECAY.name})


def _with_decay(
    library: optax.GradientTransformationExtraArgs, weight_decay: LayerValues
) -> optax.GradientTransformationExtraArgs:
    """The library's update after weight decay has joined the gradient and the loss."""

    def init(params: Params) -> Any:
        with jax.numpy_dtype_promotion("standard"):  # it counts in integers, and divides floats
            return library.init(params)

    def update(
        gradient: Params, state: Any, params: Params, *, value: Float[Array, ""], **_: Any
    ) -> tuple[Params, Any]:
        decay = scale_layers(params, weight_decay)
        # It asks for a key, and draws nothing.
        extra_args = {
            "loss": value + optax.tree.vdot(decay, params),
            "key": jax.random.PRNGKey(0),
        }
        decayed = jax.tree.map(jnp.add, gradient, decay)
        step, state = library.update(decayed, state, params, extra_args=extra_args)
        return jax.tree.map(jnp.negative, step), state

    return optax.GradientTransformationExtraArgs(init, update)


def import_library(learned: LearnedOptimiser) -> tuple[Any, Any]:
    """The class of its model, and the library's `opt_to_optax_opt`.

    Raises:
        ValueError: if they cannot be imported.
    """
    try:
        with _undisturbed():
            from learned_optimization.optimizers import opt_to_optax

            module = importlib.import_module(learned.module)
    except ImportError as error:
        raise ValueError(
            f"{learned.name}'s library cannot be imported: {error}; {learned.get_library}"
        ) from error
    return getattr(module, learned.model), opt_to_optax.opt_to_optax_opt


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A context in which importing the library has no effect on anything else.

    It reads the command line for flags of its own, where it stumbles on pytest's -v; it calls it an
    error that there is no Oryx, with which it would log; and it imports TensorFlow, for paths in
    Google's storage, which says at length how it would compute.
    """
    arguments, disabled = sys.argv, logging.root.manager.disable
    sys.argv = arguments[:1]
    logging.disable(logging.ERROR)
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        yield
    finally:
        sys.argv = arguments
        logging.disable(disabled)


def _read(learned: LearnedOptimiser, path: Path) -> dict[str, Any]:
    """The weights in a file that the library wrote, alone or in its `ParameterCheckpoint`."""
    get = learned.get_weights
    try:
        content = serialization.msgpack_restore(path.read_bytes())
    except OSError as error:
        raise ValueError(
            f"{learned.name}'s weights {path} cannot be read: {error.strerror}; {get}"
        ) from error
    except Exception as error:
        # Damaged bytes fail in as many ways as there are of them; none of it is code that is run.
        raise ValueError(f"{learned.name}'s weights {path} are damaged: {error}; {get}") from error
    theta = content.get("params", content) if isinstance(content, dict) else None
    if not isinstance(theta, dict) or set(theta) != PARTS:
        raise ValueError(f"{path} does not hold {learned.name}'s weights, {sorted(PARTS)}; {get}")
    return theta


def _checked(learned: LearnedOptimiser, theta: dict[str, Any], model: Any, path: Path) -> Any:
    """The weights as `model` has them, if they are of its shapes."""
    with jax.numpy_dtype_promotion("standard"):
        target = jax.eval_shape(model.init, jax.random.PRNGKey(0))
    expected, found = _shapes(serialization.to_state_dict(target)), _shapes(theta)
    if wrong := sorted(expected.items() ^ found.items()):
        name = wrong[0][0]
        raise ValueError(
            f"{path} holds weights of another model than {learned.name}'s {dict(learned.options)}: "
            f"{name} is {found.get(name, 'absent')}, not {expected.get(name, 'absent')}; "
            f"{learned.get_weights}"
        )
    return serialization.from_state_dict(target, theta)


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in leaves}
