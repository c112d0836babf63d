"""What is refused when an environment is put together, before anything is compiled."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence

import jax

from ganno_env.controls import CONTROLS
from ganno_env.inner.shuffle import MAX_EXAMPLES, MAX_POSITION
from ganno_env.observations import FEATURES, control_features
from ganno_env.types import Dataset, Network, Task


def check_sizes(dataset: Dataset, batch_size: int) -> None:
    """Refuses batches larger than the split, and splits larger than can be put in order."""
    num_examples = dataset.train.size
    if batch_size > num_examples:
        raise ValueError(
            f"batch_size={batch_size} is larger than the training split of {dataset.name} "
            f"({num_examples} examples); choose at most that, or a larger train_size"
        )
    if num_examples > MAX_EXAMPLES:
        raise ValueError(f"{num_examples} training examples are more than {MAX_EXAMPLES}")


@functools.lru_cache(maxsize=64)  # environments are built anew with other options all the time
def check_fit(network: Network, task: Task) -> None:
    """Refuses a network that does not take the task's inputs to as many numbers as it asks for."""
    params, state = jax.eval_shape(network.init, jax.random.key(0))
    try:
        outputs, _ = jax.eval_shape(
            lambda p, s, x: network.apply(p, s, x, False), params, state, task.input_spec.batch(2)
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"network {network.name!r} does not take inputs of {task.input_spec}, as {task.name} "
            f"has; build it for that task ({error})"
        ) from error
    expected = (2, *task.data.train.targets.shape[1:], task.num_outputs)
    if outputs.shape != expected:
        raise ValueError(
            f"network {network.name!r} has outputs of {list(outputs.shape[1:])} for an example and "
            f"{task.name} needs {list(expected[1:])}; build it for that task"
        )


def check_layers(network: Network) -> None:
    """Refuses a network without layers, a layer without parameters, and parameters of no layer."""
    if not network.layers:
        raise ValueError(f"network {network.name!r} has no layers, so no agents")
    names = [layer.name for layer in network.layers]
    shapes, _ = jax.eval_shape(network.init, jax.random.key(0))
    for name in names:
        if not jax.tree.leaves(shapes.get(name, {})):
            raise ValueError(
                f"layer {name!r} of network {network.name!r} has no parameters, so its agent would "
                "have nothing to control; list only layers that learn"
            )
    if unknown := sorted(set(shapes) - set(names)):
        raise ValueError(
            f"network {network.name!r} has parameters {unknown} that belong to none of its layers, "
            "so no agent would control them"
        )


def check_features(features: Sequence[str], single_agent: bool) -> None:
    """Refuses layerwise features for an agent that has no layer of its own."""
    layerwise = [name for name in features if FEATURES[name].layerwise]
    if single_agent and layerwise:
        raise ValueError(
            f"single_agent=True; a single agent sees global features alone, not {layerwise}; use "
            "features=global, or features that are not layerwise"
        )


def check_controls_seen(features: Sequence[str], present: Collection[str]) -> None:
    """Refuses features of a control that the environment does not have."""
    for control in CONTROLS.values():
        seen = sorted(control_features(control).keys() & set(features))
        if seen and control.name not in present:
            raise ValueError(
                f"features has {seen[0]!r}, and this environment has no {control.name}; add it to "
                "controls, give its initial value in initial_controls, or leave the feature out"
            )


def steps_within_horizon(
    num_examples: int,
    batch_size: int,
    epochs: float,
    updates_per_step: int,
    num_steps: int | None,
) -> int:
    """The number of environment steps in an episode: `num_steps`, or all that its epochs hold."""
    examples = epochs * num_examples
    if examples > MAX_POSITION:
        raise ValueError(
            f"epochs={epochs!r} of {num_examples} examples are more than {MAX_POSITION} examples "
            f"in an episode; choose at most {MAX_POSITION // num_examples} epochs"
        )
    updates = int(examples) // batch_size
    longest = updates // updates_per_step
    if longest < 1:
        raise ValueError(
            f"updates_per_step={updates_per_step} is beyond the horizon: {epochs} epochs of "
            f"{num_examples} examples (train_size) in batches of {batch_size} (batch_size) are "
            f"{updates} updates; choose fewer updates_per_step, smaller batches or more epochs"
        )
    if num_steps is None:
        return longest
    if num_steps > longest:
        raise ValueError(
            f"num_steps={num_steps!r}; it must be at most {longest}, as the horizon is "
            f"{updates} updates, {updates_per_step} a step; for more, raise epochs"
        )
    return num_steps
