"""How large a network is, for a counterpart in another library that is to be as large."""

from __future__ import annotations

import dataclasses

import jax

from ganno_env.types import InputSpec, Network

PATCH_SIZE = 4
NUM_HEADS = 4
"""As the builders of `vit` and `transformer` have them, which no parameter's shape tells."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a counterpart is built from.

    Attributes:
        input_spec: what the network takes.
        outputs: of each layer, in order of depth, how many numbers it gives at a place. The last
            layer's are the logits.
    """

    input_spec: InputSpec
    outputs: tuple[int, ...]

    @property
    def num_blocks(self) -> int:
        """Of a transformer, between the embedding and the head, with three layers each."""
        return (len(self.outputs) - 2) // 3


def sizes_of(network: Network, input_spec: InputSpec) -> Sizes:
    """The sizes of a network that takes `input_spec`, from its parameters' shapes."""
    params, _ = jax.eval_shape(network.init, jax.random.key(0))
    outputs = tuple(_num_outputs(params[layer.name]) for layer in network.layers)
    return Sizes(input_spec, outputs)


def _num_outputs(shapes: dict[str, jax.ShapeDtypeStruct]) -> int:
    """The last axis of a layer's kernel, of its last one, or of its table of embeddings."""
    kernel = next(name for name in ("kernel", "out_kernel", "tokens") if name in shapes)
    return shapes[kernel].shape[-1]
