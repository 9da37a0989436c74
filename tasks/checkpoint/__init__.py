"""The whole training state on disk, each checkpoint complete or absent; a damaged one is named and passed over."""

from tasks.checkpoint.saved import Checkpoint, best_checkpoint, newest_checkpoint, save_checkpoint

__all__ = ["Checkpoint", "best_checkpoint", "newest_checkpoint", "save_checkpoint"]
