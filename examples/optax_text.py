"""A character-level transformer in Flax and optax: five initial rates, and ways to go on from each.

    pip install 'ganno[optax,plot]' flax
    python examples/optax_text.py     # or --smoke

The text is what every machine has: the source of Python's standard library. Every way begins with
the same weights and sees the same batches. The table is printed, and written with a picture to
`--out`.
"""

from __future__ import annotations

import argparse
import functools
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from report import Results

import ganno.optax

LENGTH, BATCH, DECAY = 64, 32, 1e-2
RATES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
CHARACTERS = 128
"""ASCII; all others count as one of it."""


class Block(nn.Module):
    """Attention to what came before, then two dense layers, each after a norm."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Tokens to tokens, [B, T, D]."""
        mask = nn.make_causal_mask(x[..., 0])
        x = x + nn.MultiHeadDotProductAttention(4, name="attention")(nn.LayerNorm()(x), mask=mask)
        hidden = nn.gelu(nn.Dense(4 * self.features, name="expand")(nn.LayerNorm()(x)))
        return x + nn.Dense(self.features, name="contract")(hidden)


class Transformer(nn.Module):
    """A decoder (Vaswani et al., 2017) of characters."""

    features: int = 64
    depth: int = 2

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """The next character's logits at each place, [B, T, CHARACTERS]."""
        positions = nn.Embed(LENGTH, self.features, name="positions")(jnp.arange(tokens.shape[1]))
        x = nn.Embed(CHARACTERS, self.features, name="characters")(tokens) + positions
        for i in range(self.depth):
            x = Block(self.features, name=f"block_{i}")(x)
        return nn.Dense(CHARACTERS, name="head")(nn.LayerNorm()(x))


def chained(last: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Adam with decoupled weight decay, as `optax.adamw`, but for the learning rate."""
    return optax.with_extra_args_support(
        optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(DECAY), last)
    )


def agents(rate: float, steps: int) -> optax.GradientTransformationExtraArgs:
    """An agent for each layer, which begins at the rate."""
    return chained(ganno.optax.schedule_by_agents(total_steps=steps, learning_rate=rate))


def constant(rate: float, steps: int) -> optax.GradientTransformationExtraArgs:
    """The rate that is given."""
    return chained(optax.scale_by_learning_rate(rate))


def one_cycle(rate: float, steps: int) -> optax.GradientTransformationExtraArgs:
    """Up to the rate and down to nothing (Smith, 2018)."""
    return chained(optax.scale_by_learning_rate(optax.cosine_onecycle_schedule(steps, rate)))


def one_cycle_fixed(rate: float, steps: int) -> optax.GradientTransformationExtraArgs:
    """The same up to 0.01, whatever rate is given."""
    return one_cycle(0.01, steps)


def plateau(rate: float, steps: int) -> optax.GradientTransformationExtraArgs:
    """A tenth of the rate when the mean loss of 50 batches has not fallen for two times 50."""
    reduce = optax.contrib.reduce_on_plateau(0.1, patience=2, accumulation_size=50)
    return optax.chain(constant(rate, steps), reduce)


WAYS: dict[str, Callable[[float, int], optax.GradientTransformationExtraArgs]] = {
    "schedule_by_agents": agents,
    "one cycle at the given rate": one_cycle,
    "one cycle at 0.01": one_cycle_fixed,
    "reduce_on_plateau": plateau,
    "constant": constant,
}


def corpus(characters: int) -> np.ndarray:
    """So many characters of the standard library's source, each a number below CHARACTERS."""
    text = b""
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text += file.read_bytes()
        if len(text) >= characters:
            break
    return np.minimum(np.frombuffer(text[:characters], np.uint8), CHARACTERS - 1).astype(np.int32)


def windows(text: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Pieces of LENGTH + 1 characters, [B, LENGTH + 1]."""
    return text[starts[:, None] + np.arange(LENGTH + 1)]


def loss(params: Any, batch: jax.Array) -> jax.Array:
    """Mean cross-entropy, in nats a character."""
    logits = Transformer().apply({"params": params}, batch[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:]).mean()


def train(way: str, rate: float, seed: int, text: np.ndarray, steps: int) -> tuple[float, Any]:
    """Loss on what was held out, the last tenth of the text, and what agents did, if any."""
    optimiser = WAYS[way](rate, steps)
    tokens = jnp.zeros((1, LENGTH), jnp.int32)
    params = Transformer().init(jax.random.key(seed), tokens)["params"]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any, batch: jax.Array) -> tuple[Any, Any]:
        value, gradient = jax.value_and_grad(loss)(params, batch)
        updates, state = optimiser.update(gradient, state, params, value=value)
        return optax.apply_updates(params, updates), state

    held_out = len(text) // 10
    random, state = np.random.default_rng(seed), optimiser.init(params)
    for _ in range(steps):
        starts = random.integers(0, len(text) - held_out - LENGTH, BATCH)
        params, state = step(params, state, windows(text, starts))
    starts = np.arange(len(text) - held_out, len(text) - LENGTH, LENGTH)[:500]
    final = float(jax.jit(loss)(params, windows(text, starts)))
    return final, ganno.optax.history(state, params) if way == "schedule_by_agents" else None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/examples/optax_text"))
    parser.add_argument("--characters", type=int, default=2_000_000, help="of text")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--smoke", action="store_true", help="does it run? 31 updates, one way")
    options = parser.parse_args()
    if options.smoke:
        options.characters, options.steps, options.seeds = 20_000, 31, 1
        options.rates, options.ways = [1e-3], ["schedule_by_agents"]
    text = corpus(options.characters)
    results = Results("held-out loss (nats a character)", options.rates)
    for seed in range(options.seeds):
        for rate in options.rates:
            for way in options.ways:
                final, history = train(way, rate, seed, text, options.steps)
                results.add(way, rate, final)
                if history is not None and seed == 0:
                    results.histories[rate] = history
    results.write(options.out)


if __name__ == "__main__":
    main()
