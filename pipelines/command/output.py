"""Keeps a command going when its reader leaves: `python -m pipelines.plan ... | head` ends as without `head`."""

import io
import os
import sys
from typing import Any


class Pipe(io.FileIO):
    """A file descriptor whose reader may leave: what is written after that is discarded."""

    def write(self, data: Any) -> int | None:
        """Writes; from the first broken pipe on, to nowhere."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


def survive_closed_pipes() -> None:
    """Lets a command come to its own end and exit status where nobody reads its standard output or error any more."""
    for name, original in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
        stream = getattr(sys, name)
        if original is None or stream is not original or stream.isatty():
            continue
        stream.flush()
        buffer = io.BufferedWriter(Pipe(stream.fileno(), "w", closefd=False))
        patient = io.TextIOWrapper(
            buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=stream.line_buffering
        )
        setattr(sys, name, patient)
