"""Every type that crosses packages.

Array shapes use these letters: L layers (= agents), F features, A actions, N examples, H W C image
height, width and channels, K outputs. Sizes are static; values live on the device.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from ganno import features

LayerKind: TypeAlias = features.LayerKind
LAYER_KINDS = features.LAYER_KINDS

PRNGKey: TypeAlias = chex.PRNGKey
LayerParams: TypeAlias = dict[str, Array]
"""What one layer learns: kernel, bias, and its norm's scale and shift."""
Params: TypeAlias = dict[str, LayerParams]
"""One entry per layer, keyed by `LayerSpec.name`. The order of layers is `Network.layers`, never
the dict's own (JAX sorts keys)."""
NetworkState: TypeAlias = dict[str, dict[str, Array]]
"""What a network keeps but does not learn, such as batch norm's running statistics. Often empty."""


Controls: TypeAlias = dict[str, Float[Array, "*updates L"]]
"""Each hyperparameter's value for each layer, or update and layer, by the control's name."""


@dataclasses.dataclass(frozen=True)
class LayerSpec:
    """A parameterised layer, which is what one agent controls."""

    name: str
    kind: LayerKind


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """What a network takes, for one example.

    Attributes:
        shape: (H, W, C) for an image, (T,) for a sequence of tokens.
        num_tokens: the size of the vocabulary; None where inputs are numbers.
    """

    shape: tuple[int, ...]
    num_tokens: int | None = None

    def batch(self, num_examples: int) -> jax.ShapeDtypeStruct:
        """The shape and type of so many examples: float32 numbers, or int32 tokens."""
        dtype = jnp.float32 if self.num_tokens is None else jnp.int32
        return jax.ShapeDtypeStruct((num_examples, *self.shape), dtype)

    def __str__(self) -> str:
        kind = "numbers" if self.num_tokens is None else f"tokens of {self.num_tokens} kinds"
        return f"{list(self.shape)} {kind}"


@dataclasses.dataclass(frozen=True)
class Network:
    """A network as a pair of pure functions and the layers they are made of.

    Attributes:
        name: what it was built as, for messages and tables.
        layers: the parameterised layers in order of depth; there is one agent for each.
        init: `key -> (params, network_state)`.
        apply: `(params, network_state, inputs, train) -> (outputs, network_state)`, with `inputs`
            as `InputSpec` and `Task.prepare` have them, and `outputs` float32 [N, ..., K].
    """

    name: str
    layers: tuple[LayerSpec, ...]
    init: Callable[[PRNGKey], tuple[Params, NetworkState]]
    apply: Callable[
        [Params, NetworkState, Shaped[Array, "N ..."], bool],
        tuple[Float[Array, "N ... K"], NetworkState],
    ]


@chex.dataclass(frozen=True)
class Batch:
    """Examples as they are stored: bytes stay bytes until they are used."""

    inputs: Shaped[Array, "N ..."]
    targets: Shaped[Array, "N ..."]

    @property
    def size(self) -> int:
        """The number of examples, N."""
        return int(self.targets.shape[0])


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["train", "validation", "test"],
    meta_fields=["name", "num_classes", "source", "task"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in three splits that never mix.

    Attributes:
        name: what it is registered as.
        train: what networks learn from.
        validation: held out from the official training set; what agents observe and are rewarded
            by.
        test: the official test set, for the figures in tables alone.
        num_classes: targets are whole numbers from 0 to this, exclusive.
        source: where the examples are from and whether they are the official ones.
        task: a name in `TASKS`: what is usually learned of it.
    """

    name: str
    train: Batch
    validation: Batch
    test: Batch
    num_classes: int
    source: str = ""
    task: str = "image_classification"


ExampleFunction: TypeAlias = Callable[
    [Float[Array, "N ... K"], Shaped[Array, "N ..."]], Float[Array, " N"]
]
"""`(outputs, targets) -> values`, one for each example."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A measure of how well a network does.

    Attributes:
        per_example: its value for each example.
        of_mean: what is reported, from the mean over examples; the mean itself by default.
    """

    per_example: ExampleFunction
    of_mean: Callable[[Float[Array, ""]], Float[Array, ""]] = lambda mean: mean


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What is learned: data, what a network is given and has to give, and how that is judged.

    Attributes:
        name: the dataset's, and the task's own where that is not the dataset's usual one.
        data: the examples, in three splits.
        input_spec: what a network takes.
        num_outputs: K, how many numbers a network gives for each target.
        prepare: from inputs as they are stored, [N, ...], to what a network takes.
        loss: each example's, which training minimises the mean of.
        metrics: further measures by name. "accuracy" is always one, a fraction in [0, 1]: it is
            what agents observe and are rewarded by, and what tables show.
    """

    name: str
    data: Dataset
    input_spec: InputSpec
    num_outputs: int
    prepare: Callable[[Shaped[Array, "N ..."]], Shaped[Array, "N ..."]]
    loss: ExampleFunction
    metrics: Mapping[str, Metric]

    def __post_init__(self) -> None:
        """Refuses a task without accuracy."""
        if "accuracy" not in self.metrics:
            raise ValueError(f"task {self.name!r} needs a metric called 'accuracy'")


@chex.dataclass(frozen=True)
class InnerState:
    """A network in training: all that the next gradient update depends on, but its rates."""

    params: Params
    network_state: NetworkState
    optimiser_state: Any
    num_updates: Int[Array, ""]


@chex.dataclass(frozen=True)
class Metrics:
    """How the network did over the last step. Accuracies are fractions in [0, 1].

    The training figures are means over the step's own minibatches, each taken before the update
    that it caused; the validation figures are of the whole validation split after the last update.
    `others` are the task's further metrics, on the validation split, by name.
    """

    train_loss: Float[Array, ""]
    train_accuracy: Float[Array, ""]
    validation_loss: Float[Array, ""]
    validation_accuracy: Float[Array, ""]
    others: dict[str, Float[Array, ""]] = dataclasses.field(default_factory=dict)


@chex.dataclass(frozen=True)
class LayerStatistics:
    """Per-layer dynamics after a step's last update (paper, appendix D).

    `update` is the optimiser's direction u_l with decoupled weight decay, before it is multiplied
    by the learning rate.
    """

    gradient_norm: Float[Array, " L"]
    update_norm: Float[Array, " L"]
    weight_norm: Float[Array, " L"]
    weight_mean: Float[Array, " L"]
    weight_variance: Float[Array, " L"]


class Observation(NamedTuple):
    """What agents see, in the shape that Mava asks for.

    Attributes:
        agents_view: one row of features for each agent; finite whatever the network does.
        action_mask: which actions are legal; here, always all of them.
        step_count: environment steps since the reset, the same for each agent.
    """

    agents_view: Float[Array, "agents F"]
    action_mask: Bool[Array, "agents A"]
    step_count: Int[Array, " agents"]


@chex.dataclass(frozen=True)
class State:
    """The environment's whole state.

    Attributes:
        key: for whatever is random after the reset.
        data_key: chooses the order of the training examples, epoch by epoch.
        inner: the network in training.
        controls: each hyperparameter's current value for each layer, by the control's name.
        initial_controls: each hyperparameter's value at the reset: the initial conditions.
        previous_action: each agent's last action, 0 (the no-op) at first.
        metrics, statistics: what the last step measured.
        step_count: environment steps since the reset.
    """

    key: PRNGKey
    data_key: PRNGKey
    inner: InnerState
    controls: Controls
    initial_controls: dict[str, Float[Array, ""]]
    previous_action: Int[Array, " agents"]
    metrics: Metrics
    statistics: LayerStatistics
    step_count: Int[Array, ""]


@chex.dataclass(frozen=True)
class RunRecord:
    """One supervised run under some controller, on the host (T steps of tau updates each).

    Attributes:
        controls: the learning rate, and each other control that agents set, by name: each layer's
            value at each step's last update.
        actions: each agent's, 0 where the controller takes none.
        train_loss, train_accuracy, validation_loss, validation_accuracy: see `Metrics`.
        test_accuracy: on the official test split, after each step (M = T) or the last (M = 1).
        seconds: the run's share of its device's time, compilation included.
        others: the task's further metrics on the validation split, by name.
    """

    controls: dict[str, Float[np.ndarray, "T L"]]
    actions: Int[np.ndarray, "T agents"]
    train_loss: Float[np.ndarray, " T"]
    train_accuracy: Float[np.ndarray, " T"]
    validation_loss: Float[np.ndarray, " T"]
    validation_accuracy: Float[np.ndarray, " T"]
    test_accuracy: Float[np.ndarray, " M"]
    seconds: Float[np.ndarray, ""]
    others: dict[str, Float[np.ndarray, " T"]] = dataclasses.field(default_factory=dict)
