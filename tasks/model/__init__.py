"""The base model: where it comes from (`Model`), how it is loaded frozen (`load`), where its blocks are (`family`).

Only the record is imported here, so that decoding a configuration stays light; take the rest from its file.
"""

from tasks.model.config import Model

__all__ = ["Model"]
