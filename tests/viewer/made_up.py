"""Runs that are made up, what draws them, and what can be read of the pictures."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ganno_env.actions import ActedControl, ActionSet, JointActions
from ganno_env.controls import CONTROLS, PAPER_ACTIONS
from ganno_env.types import RunRecord
from ganno_env.viewer import TrainingViewer

STEPS = 30
THREE = ("learning_rate", "weight_decay", "momentum")


def record(num_layers: int, num_agents: int | None = None, tests: int = 1) -> RunRecord:
    rng = np.random.default_rng(0)
    loss = 2.3 * np.exp(-np.arange(STEPS) / 10)
    return RunRecord(
        controls={"learning_rate": 10 ** rng.uniform(-4, -2, (STEPS, num_layers))},
        actions=rng.integers(0, len(PAPER_ACTIONS), (STEPS, num_agents or num_layers)),
        train_loss=loss,
        train_accuracy=1 - loss / 2.5,
        validation_loss=loss + 0.1,
        validation_accuracy=0.95 - loss / 2.5,
        others={},
        test_accuracy=np.full((tests,), 0.9),
        seconds=np.array(1.0, np.float32),
    )


def with_rates(run: RunRecord, rates: np.ndarray) -> RunRecord:
    return run.replace(controls={"learning_rate": rates})


def record_of(num_layers: int, *controls: str, num_agents: int | None = None) -> RunRecord:
    """A run whose agents set several controls."""
    rng = np.random.default_rng(1)
    shape = STEPS, num_layers
    values = {
        "learning_rate": 10 ** rng.uniform(-4, -2, shape),
        "weight_decay": 10 ** rng.uniform(-5, -1, shape),
        "momentum": rng.uniform(0.5, 0.99, shape),
    }
    return record(num_layers, num_agents).replace(
        controls={name: values[name] for name in controls},
        actions=rng.integers(0, len(joint(*controls)), (STEPS, num_agents or num_layers)),
    )


def joint(*names: str) -> JointActions:
    controls = [CONTROLS[name] for name in names]
    return JointActions(tuple(ActedControl(c, c.bounds, ActionSet(c.actions)) for c in controls))


def viewer(num_layers: int, *controls: str) -> TrainingViewer:
    names = [f"block{i}_conv" for i in range(num_layers)]
    return TrainingViewer(names, joint(*(controls or ["learning_rate"])), "a title")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
