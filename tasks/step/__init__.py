"""The training step: from a window of batches to updated masters, compiled or not, by one definition; and the loop.

Only the recipe is imported here, so that decoding a configuration stays light; take the rest from its file.
"""

from tasks.step.recipe import Recipe

__all__ = ["Recipe"]
