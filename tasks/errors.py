"""Errors for users: every mistake a user can make is one of these, and names what, where, both values and the fix."""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

SECRETS = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "WANDB_API_KEY", "PGPASSWORD"),
    *("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"),
)
"""Variables of the environment whose values are written nowhere."""


def one_line(text: object, most: int = 200) -> str:
    r"""Text of a file for a message: on one line, of bounded length, its control and invisible characters escaped.

    Example:
        >>> one_line("a\nb\x1b[2J")
        'a\\nb\\x1b[2J'
    """
    whole = str(text)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in whole[:most])
    return shown + "..." * (len(whole) > most)


def hide_secrets(text: str) -> str:
    """Text without the passwords of its addresses, without tokens of the hub, and without this process's secrets.

    Example:
        >>> hide_secrets("postgresql://me:pa55word@host/db with hf_abcdefghijkl")
        'postgresql://me:***@host/db with hf_***'
    """
    for name in SECRETS:
        for secret in {(value := os.environ.get(name, "")), value.partition(":")[2]}:
            text = text.replace(secret, "***") if len(secret) >= 6 else text
    text = re.sub(r"(\w://[^\s:/@'\"]*):[^\s@/'\"]+@", r"\1:***@", text)
    return re.sub(r"\bhf_[A-Za-z0-9]{8,}", "hf_***", text)


class GraftlineError(Exception):
    """A user's mistake or a bad result; the command prints its text as one line, without secrets, and exits 1."""

    def __str__(self) -> str:
        return hide_secrets(super().__str__())


class ConfigError(GraftlineError):
    """Keys, values or choices of the configuration are wrong; all problems of a run are gathered into one.

    Args:
        problems: a line for each.

    Example:
        >>> print(ConfigError("lora.rank=0: give 1 or more", "seed=-1: give 0 or more"))
        2 problems in the configuration:
          lora.rank=0: give 1 or more
          seed=-1: give 0 or more
    """

    def __init__(self, *problems: str):
        self.problems = problems
        super().__init__(*problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return super().__str__()
        return hide_secrets("\n  ".join([f"{len(self.problems)} problems in the configuration:", *self.problems]))


class DataError(GraftlineError):
    """A source or a row cannot be trained on.

    Args:
        reason: what is wrong and how to mend or allow it.
        path: the file, where known.
        line: its line, counted from 1, where known.

    Example:
        >>> str(DataError("no assistant turn", path="chat.jsonl", line=17))
        'chat.jsonl:17: no assistant turn'
    """

    def __init__(self, reason: str, *, path: str | Path | None = None, line: int | None = None):
        self.reason, self.path, self.line = reason, path, line
        where = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(where + reason)


class ModelError(GraftlineError):
    """A model folder is incomplete, unreadable or of an unsupported shape."""


class TargetError(GraftlineError):
    """A LoRA target names no projection of the model's blocks."""


class AdapterError(GraftlineError):
    """An adapter directory is damaged or does not fit the model; names the tensors, with both shapes."""


class RunError(GraftlineError):
    """A run directory cannot be used, or a run cannot go on."""


class VerifyError(GraftlineError):
    """A verdict failed; names the checks."""


class Interrupted(GraftlineError):
    """A signal stopped the run after a checkpoint was written.

    Args:
        signum: the signal, 2 or 15; the command exits with 128 + signum.
        resume: how to resume, for the end of the message; a caller with another command of its own replaces it.

    Example:
        >>> stopped = Interrupted("stopped after step 7 of 9", 2, "to resume, repeat the command")
        >>> str(stopped), stopped.what
        ('stopped after step 7 of 9; to resume, repeat the command', 'stopped after step 7 of 9')
    """

    def __init__(self, message: str, signum: int, resume: str = ""):
        self.what, self.signum, self.resume = message, signum, resume
        super().__init__(f"{message}; {resume}" if resume else message)

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[str, int, str]]:
        return type(self), (self.what, self.signum, self.resume)  # Prefect pickles what a task raises


class Pruned(GraftlineError):
    """Ends a training that is not worth going on with; raised by a sink that watches it."""


class Paused(Interrupted):
    """The hours that a run may train in are over, or have not come; the command exits as after SIGTERM."""

    def __init__(self, message: str, signum: int = 15, resume: str = ""):
        super().__init__(message, signum, resume)


def suggest(word: str, known: Iterable[str], otherwise: str | None = None, *, cutoff: float = 0.6) -> str:
    """The fix for a name that does not exist: the one that was probably meant.

    Args:
        word: the name as typed.
        known: what there is.
        otherwise: the text where no name is near; None lists the known names.
        cutoff: how near a name must be, from 0 to 1.

    Example:
        >>> suggest("lorra", ["lora", "rslora"])
        'did you mean lora?'
        >>> suggest("x", ["lora", "rslora"])
        'choose from lora, rslora'
    """
    known = [*known]
    near = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    if near:
        return f"did you mean {near[0]}?"
    return f"choose from {', '.join(known)}" if otherwise is None else otherwise
