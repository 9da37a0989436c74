"""The training step: from a window of batches to updated masters, compiled or not, by one definition; and the loop."""

from tasks.step.forward import Forward
from tasks.step.loop import Fit
from tasks.step.recipe import Recipe
from tasks.step.update import Update, Updated

__all__ = ["Fit", "Forward", "Recipe", "Update", "Updated"]
