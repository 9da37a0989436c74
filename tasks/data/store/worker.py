"""A worker process: reads a Maker from standard input, then jobs, and answers each when its shard is written.

It is started by name (`python -m tasks.data.store.worker`), never by a copy of the parent or of its main module, so
that it is the same on every system, needs no guard in a user's script, and holds nothing but what tokenizing needs.
"""

import os
import pickle
import signal
import sys
from typing import IO


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Makes shards until there are no more requests; an answer is (made, None) or (None, error), pickled.

    Args:
        requests: a pickled Maker, then jobs.
        answers: one for each job.
    """
    make = pickle.load(requests)
    while True:
        try:
            job = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = make(job), None
        except Exception as error:
            answer = None, error
        answers.write(_pickled(answer))
        answers.flush()


def _pickled(answer: tuple) -> bytes:
    try:
        return pickle.dumps(answer)
    except Exception:  # an error that holds what cannot be sent is sent as its words
        return pickle.dumps((None, RuntimeError(f"{type(answer[1]).__name__}: {answer[1]}")))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand between two answers
    serve(sys.stdin.buffer, own)
