"""Training: the step, from a window of batches to updated masters, compiled or not, and the loop around it.

Only the recipe is imported here, so that decoding a configuration stays light; take the rest from its file.
"""

from tasks.step.recipe import Recipe

__all__ = ["Recipe"]
