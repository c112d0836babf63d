"""Language modelling: at each place of a text, the token that comes next."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Integer

from ganno_env.tasks.measures import check_fit, correct, cross_entropy
from ganno_env.types import Dataset, InputSpec, Metric, Task

NAME = "language_modelling"


def language_modelling(dataset: Dataset) -> Task:
    """The next token at each of T places: cross-entropy, fraction that is right, and perplexity.

    An example's loss is the mean over its places. Perplexity is the exponential of the mean loss.
    """
    tokens, targets = dataset.train.inputs, dataset.train.targets
    integers = all(jnp.issubdtype(x.dtype, jnp.integer) for x in (tokens, targets))
    fits = integers and tokens.ndim == 2 and targets.shape == tokens.shape
    check_fit(fits, NAME, dataset, "tokens [N, T] with the next token at each of T places")
    return Task(
        name=dataset.name,
        data=dataset,
        input_spec=InputSpec(tokens.shape[1:], num_tokens=dataset.num_classes),
        num_outputs=dataset.num_classes,
        prepare=_prepare,
        loss=_loss,
        metrics={"accuracy": Metric(_accuracy), "perplexity": Metric(_loss, of_mean=jnp.exp)},
    )


def _prepare(tokens: Integer[Array, "N T"]) -> Int32[Array, "N T"]:
    return tokens.astype(jnp.int32)


def _loss(logits: Float[Array, "N T K"], targets: Integer[Array, "N T"]) -> Float[Array, " N"]:
    return cross_entropy(logits, targets).mean(1)


def _accuracy(logits: Float[Array, "N T K"], targets: Integer[Array, "N T"]) -> Float[Array, " N"]:
    return correct(logits, targets).mean(1)
