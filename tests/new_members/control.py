"""The largest norm of a layer's gradient, as a control: an agent may clip its layer's gradient."""

import jax.numpy as jnp
import optax

from ganno_env.controls import CONTROLS, Control, scale_layers


def clip_stage(values):
    """The stage that scales down each layer's gradient to its own largest norm."""

    def update(gradient, params):
        norms = {name: optax.tree.norm(layer) for name, layer in gradient.items()}
        scales = {
            name: jnp.minimum(1.0, values[name] / jnp.maximum(norm, 1e-9))
            for name, norm in norms.items()
        }
        return scale_layers(gradient, scales)

    return optax.stateless(update)


GRADIENT_CLIP = Control("gradient_clip", (0.0, 1e3), (0.1, 10.0), clip_stage, "gradient")
CONTROLS.add(GRADIENT_CLIP.name, GRADIENT_CLIP)
