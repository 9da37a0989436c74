"""Worker processes: jobs go in by order, shards come out by order, a few of them at a time."""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, cast

from tasks.data.store.job import Job, Maker
from tasks.data.store.shard import Shard
from tasks.errors import RunError

_QUIET = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
_QUIET |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


# A shard, and whether it had been made before.
Made = tuple[Shard, bool]


class _Worker:
    def __init__(self, maker: bytes):
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.data.store.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_QUIET, "PYTHONPATH": path},
        )
        self._in, self._out = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._maker: bytes | None = maker

    def make(self, job: Job) -> Made:
        try:
            if self._maker is not None:
                self._in.write(self._maker)
                self._maker = None
            pickle.dump(job, self._in)
            self._in.flush()
            made, error = pickle.load(self._out)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise RunError(
                f"a tokenizing process ended by itself (exit code {self._process.wait()}); what is done is kept, "
                "so start again, or with fewer of them: data.workers=1"
            ) from None
        if error is not None:
            raise error
        return made

    def stop(self) -> None:
        """Ends the process at once; a shard that it was writing is not complete, and so not there."""
        self._process.kill()
        for end in (self._in, self._out):
            with contextlib.suppress(OSError):  # what was still to be written has no reader any more
                end.close()
        self._process.wait()


def made_by_workers(maker: Maker, jobs: Iterable[Job], workers: int) -> Iterator[tuple[Job, Made]]:
    """Yields each job with its shard, in the order of the jobs; at most twice as many blocks as workers are in memory.

    Args:
        maker: makes one shard.
        jobs: what to make.
        workers: how many processes.

    Raises:
        DataError: the first job, by order, that cannot be done.
        RunError: a worker ended by itself.
    """
    packed = pickle.dumps(maker)
    crew: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    everyone = [_Worker(packed) for _ in range(workers)]
    for worker in everyone:
        crew.put(worker)

    def make(job: Job) -> Made:
        worker = crew.get()
        try:
            return worker.make(job)
        finally:
            crew.put(worker)

    waiting: deque[tuple[Job, Future[Made]]] = deque()
    threads = ThreadPoolExecutor(workers)
    try:
        for job in jobs:
            waiting.append((job, threads.submit(make, job)))
            if len(waiting) >= 2 * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in everyone:
            worker.stop()
        threads.shutdown()
