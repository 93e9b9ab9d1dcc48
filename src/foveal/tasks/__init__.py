"""The tasks, one record a file. `TASKS` is written out by hand: what is not here does not exist. Where nobody says
which task it is, it is the first one whose answer suits the targets."""

from foveal.errors import RecipeError
from foveal.task import Task
from foveal.tasks.classification import CLASSIFICATION
from foveal.tasks.detection import DETECTION
from foveal.tasks.multilabel import MULTILABEL
from foveal.tasks.regression import REGRESSION

__all__ = ["TASKS", "named_task"]

TASKS: dict[str, Task] = {task.name: task for task in (DETECTION, MULTILABEL, REGRESSION, CLASSIFICATION)}


def named_task(name: str) -> Task:
    """The task of that name.

    Raises:
        RecipeError: no such task.
    """
    if name not in TASKS:
        raise RecipeError(f"No task is called {name!r}; there are {', '.join(TASKS)}.")
    return TASKS[name]
