"""What is learned of a dataset: one file a family, one registry line a task."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TypeAlias

from ganno_env.registry import Registry
from ganno_env.tasks.image_classification import image_classification
from ganno_env.tasks.language_modelling import language_modelling
from ganno_env.types import Dataset, Task

TaskBuilder: TypeAlias = Callable[[Dataset], Task]
"""Makes a task of a dataset; raises `ValueError` for one that it does not fit."""

TASKS: Registry[TaskBuilder] = Registry("task")
TASKS.add("image_classification", image_classification)
TASKS.add("language_modelling", language_modelling)


@functools.lru_cache(maxsize=32)
def build(dataset: Dataset, name: str | None = None) -> Task:
    """Returns what is learned of `dataset`: the task called `name`, else the dataset's usual one.

    Asked for twice alike, it is the same object, as environments and programs are compared by it.

    Raises:
        ValueError: for an unknown name, or a task that does not fit the dataset.
    """
    chosen = dataset.task if name is None else name
    task = TASKS[chosen](dataset)
    if chosen == dataset.task:
        return task
    return dataclasses.replace(task, name=f"{dataset.name}_{chosen}")
