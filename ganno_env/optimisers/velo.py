"""VeLO, the learned optimiser of Metz et al. (2022), run by its authors' own library.

The library, google/learned_optimization, is an extra (`requirements-velo.txt`) and is imported when
VeLO is asked for. Its authors' weights are a file, which the user has and names.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
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

MODEL = {"lstm_hidden_size": 512, "param_inits": 256, "use_bugged_loss_features": False}
"""What the library's `HyperV2` is given for the public weights, by the config that is with them."""
PARTS = {"ff_mod_stack", "lstm_init_state", "rnn_params"}
MAX_UPDATES = 150_000
"""Beyond this the library accumulates gradients: VeLO was not trained for longer runs."""

PACKAGES = ("learned_optimization", "gin", "haiku", "tensorflow")
INSTALL = "install it with: .venv/bin/python -m pip install --no-deps -r requirements-velo.txt"
GET_WEIGHTS = (
    "get gs://gresearch/learned_optimization/pretrained_lopts/"
    "aug12_continue_on_bigger_2xbs_200kstep_bigproblem_v2_5620/params, "
    "and name that file with velo_weights=PATH"
)


def unavailable(weights: Path | str | None) -> str | None:
    """Why VeLO cannot be run, in one line, or None if it can. Nothing is imported or fetched.

    Args:
        weights: the file of VeLO's weights, if there is one.
    """
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        return f"not available: VeLO needs {', '.join(missing)}; {INSTALL}"
    if weights is None:
        return f"not available: VeLO's weights are not part of its library; {GET_WEIGHTS}"
    if not Path(weights).is_file():
        return f"not available: no file {weights}; {GET_WEIGHTS}"
    return None


@functools.lru_cache(maxsize=2)
def velo(weights: Path | str, num_updates: int) -> Optimiser:
    """VeLO for a run of `num_updates`, whose learning rate is 1: it chooses its own steps.

    Weight decay is the library's own (`WeightDecayWrapper`, as in its `prefab.LearnedOptimizer`),
    with a lambda for each layer: lambda theta joins the gradient that VeLO is given, and
    lambda ||theta||^2 the loss. Decoupled, as other optimisers have it here, it would be another
    thing: at rate 1 each update would take lambda of the weights away.

    Args:
        weights: the file `params` that its authors published, or a `theta.state` of the same
            model. It is read once; equal arguments give the same object, and so share programs.
        num_updates: how many gradient updates the run has in all.

    Returns:
        The direction is minus VeLO's own update. Its update needs the minibatch's loss, `value`.

    Raises:
        ValueError: for weights that are missing, damaged or another model's, for a number of
            updates that VeLO was not made for, and without the library.
    """
    if not 1 <= num_updates <= MAX_UPDATES:
        raise ValueError(
            f"VeLO cannot be run for {num_updates} updates: it is made for 1 to {MAX_UPDATES}; "
            "take fewer epochs or larger batches"
        )
    theta = _read(Path(weights))
    if reason := unavailable(weights):
        raise ValueError(f"VeLO is {reason}")
    hyper_v2, opt_to_optax = _library()
    model = hyper_v2.HyperV2(**MODEL)
    optimiser = model.opt_fn(_checked(theta, model, Path(weights)))
    library = opt_to_optax.opt_to_optax_opt(optimiser, num_steps=num_updates)

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformationExtraArgs:
        return _with_decay(library, hyperparameters[WEIGHT_DECAY.name])

    return Optimiser(build, takes={WEIGHT_DECAY.name})


def _with_decay(
    library: optax.GradientTransformationExtraArgs, weight_decay: LayerValues
) -> optax.GradientTransformationExtraArgs:
    """The library's update after weight decay has joined the gradient and the loss."""

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

    return optax.GradientTransformationExtraArgs(library.init, update)


def _library() -> tuple[Any, Any]:
    """The library's modules `hyper_v2` and `opt_to_optax`."""
    try:
        with _undisturbed():
            from learned_optimization.optimizers import opt_to_optax
            from learned_optimization.research.general_lopt import hyper_v2
    except ImportError as error:
        raise ValueError(f"VeLO's library cannot be imported: {error}; {INSTALL}") from error
    return hyper_v2, opt_to_optax


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


def _read(path: Path) -> dict[str, Any]:
    """The weights in a file that the library wrote, alone or in its `ParameterCheckpoint`."""
    try:
        content = serialization.msgpack_restore(path.read_bytes())
    except OSError as error:
        raise ValueError(
            f"VeLO's weights {path} cannot be read: {error.strerror}; {GET_WEIGHTS}"
        ) from error
    except Exception as error:
        # Damaged bytes fail in as many ways as there are of them; none of it is code that is run.
        raise ValueError(f"VeLO's weights {path} are damaged: {error}; {GET_WEIGHTS}") from error
    theta = content.get("params", content) if isinstance(content, dict) else None
    if not isinstance(theta, dict) or set(theta) != PARTS:
        raise ValueError(f"{path} does not hold VeLO's weights, {sorted(PARTS)}; {GET_WEIGHTS}")
    return theta


def _checked(theta: dict[str, Any], model: Any, path: Path) -> Any:
    """The weights as `model` has them, if they are of its shapes."""
    target = jax.eval_shape(model.init, jax.random.PRNGKey(0))
    expected, found = _shapes(serialization.to_state_dict(target)), _shapes(theta)
    if wrong := sorted(expected.items() ^ found.items()):
        name = wrong[0][0]
        raise ValueError(
            f"{path} holds weights of another model than VeLO's {MODEL}: {name} is "
            f"{found.get(name, 'absent')}, not {expected.get(name, 'absent')}; {GET_WEIGHTS}"
        )
    return serialization.from_state_dict(target, theta)


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in leaves}
