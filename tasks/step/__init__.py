"""The training step: from a window of batches to updated masters, compiled or not, by one definition."""

from tasks.step.forward import Forward
from tasks.step.update import Update, Updated

__all__ = ["Forward", "Update", "Updated"]
