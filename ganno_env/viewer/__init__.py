"""Pictures of a training run: rates, actions, losses and accuracies on one axis of updates."""

from ganno_env.viewer.episode import Episode
from ganno_env.viewer.figures import TrainingViewer, draw_schedule, save

__all__ = ["Episode", "TrainingViewer", "draw_schedule", "save"]
