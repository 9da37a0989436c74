"""The whole training state on disk, each checkpoint complete or absent; a damaged one is named and passed over."""

from tasks.checkpoint.directory import Checkpoint, newest_checkpoint, save_checkpoint

__all__ = ["Checkpoint", "newest_checkpoint", "save_checkpoint"]
