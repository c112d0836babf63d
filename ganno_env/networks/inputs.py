"""What networks take: images, tokens, or any numbers."""

from __future__ import annotations

from ganno_env.types import InputSpec


class UnfitInput(ValueError):
    """Raised by a network's builder for inputs that it can't take; says what it takes."""


def image_shape(input_spec: InputSpec) -> tuple[int, int, int]:
    """Height, width and channels; raises `UnfitInput` if inputs are not images."""
    if input_spec.num_tokens is not None or len(input_spec.shape) != 3:
        raise UnfitInput("images [H, W, C]")
    height, width, channels = input_spec.shape
    return height, width, channels


def numbers_shape(input_spec: InputSpec) -> tuple[int, ...]:
    """The shape of one example's numbers; raises `UnfitInput` if inputs are tokens."""
    if input_spec.num_tokens is not None or not input_spec.shape:
        raise UnfitInput("arrays of numbers")
    return input_spec.shape


def sequence_shape(input_spec: InputSpec) -> tuple[int, int]:
    """Length and size of vocabulary; raises `UnfitInput` if inputs are no sequences of tokens."""
    if input_spec.num_tokens is None or len(input_spec.shape) != 1:
        raise UnfitInput("sequences of tokens")
    return input_spec.shape[0], input_spec.num_tokens
