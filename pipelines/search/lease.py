"""Leases each trial to one worker at a time, and lets another take it over from a dead one.

A worker beats: it adds one to the row every few seconds. It is dead for certain if it ran on this machine and the
kernel has freed its lock; of one on another machine it is assumed after `grace` seconds without a beat, by the clock of
whoever watches, so that no two clocks need agree. A row is taken by a compare-and-swap on owner and beat.
"""

import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.exc import IntegrityError

from pipelines.search.patient_rdb import FAILURES
from pipelines.search.storage import Storage
from tasks.errors import RunError

log = logging.getLogger(__name__)
_TABLE = sa.Table(
    "graftline_leases",
    sa.MetaData(),
    sa.Column("study", sa.String(256), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.String(256)),  # null: nobody
    sa.Column("beat", sa.BigInteger, nullable=False),
    sa.Column("claims", sa.Integer, nullable=False),  # in a row that did not end well
    sa.Column("seconds", sa.Float, nullable=False),  # of work
)
ADDING = -1
"""The number of the lease under which a worker adds a trial to the study."""


class TakenOver(RunError):
    """Another worker has taken the trial over: this one was away for longer than the grace."""


class Lease(NamedTuple):
    """A row as it was read."""

    owner: str | None
    beat: int
    claims: int
    seconds: float


class Leases:
    """The leases of one study, for one worker.

    Args:
        storage: the storage of the study.
        study: its name.
        folder: where the workers of this machine have their locks.
        grace: seconds without a beat after which a worker elsewhere counts as dead.
    """

    def __init__(self, storage: Storage, study: str, folder: Path, *, grace: float):
        self._storage, self._engine, self._study = storage, storage.rdb.engine, study
        self._folder, self._grace = folder, grace
        self._me = f"{socket.gethostname()}:{secrets.token_hex(8)}"
        self._seen: dict[int, tuple[str | None, int, float]] = {}  # owner, beat, when it was first seen so
        storage.patiently(lambda: _TABLE.create(self._engine, checkfirst=True))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keeps this worker's lock for the length of a block, a sign of life; after an error its file stays, free."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock_of(self._me)):
            yield
            self._lock_of(self._me).unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lets one worker of this machine at a time into a block; the others wait."""
        with FileLock(path := self._folder / "end.lock"):
            yield
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes the locks of dead workers at the end of a study, where they are not needed any more."""
        for path in self._folder.glob("*.lock"):
            with suppress(Timeout), FileLock(path, timeout=0):
                path.unlink(missing_ok=True)

    def rows(self) -> dict[int, Lease]:
        """All leases by the number of their trial."""
        wanted = sa.select(_TABLE.c.number, *(_TABLE.c[name] for name in Lease._fields))

        def ask() -> dict[int, Lease]:
            with self._engine.connect() as connection:
                selected = connection.execute(wanted.where(_TABLE.c.study == self._study)).all()
            return {row[0]: Lease(*row[1:]) for row in selected}

        return self._storage.patiently(ask)

    def take(self, number: int, row: Lease | None) -> bool:
        """Takes a trial that was read as `row`; False where another worker has it, or was faster.

        A lease that is this worker's already is taken again: a worker does one thing at a time, so it is one that it
        could not give back while the storage was away, or took without receiving the answer.
        """
        if row is None:
            taken = self._storage.patiently(lambda: self._insert(number))
        elif row.owner not in (None, self._me) and not self._is_dead(number, row):
            return False
        else:
            owner = _TABLE.c.owner.is_(None) if row.owner is None else _TABLE.c.owner == row.owner
            changes = {"owner": self._me, "claims": row.claims + 1}
            taken = self._storage.patiently(lambda: self._update(number, owner, _TABLE.c.beat == row.beat, **changes))
        if not taken and ((now := self.rows().get(number)) is None or now.owner != self._me):
            return False
        if row is not None and row.owner not in (None, self._me):
            log.info("took trial %d over from a worker that is dead", number)
        return True

    def give_back(self, number: int) -> None:
        """Ends this worker's work at a trial well; where the storage does not answer, it ends as if by death."""
        with suppress(*FAILURES):
            self._update(number, _TABLE.c.owner == self._me, owner=None, claims=0)

    @contextmanager
    def beating(self, number: int) -> Iterator["Beat"]:
        """Beats for a trial for the length of a block."""
        every, stop = max(0.05, self._grace / 6), threading.Event()
        beat, last = Beat(number), time.monotonic()

        def once() -> None:
            nonlocal last
            now = time.monotonic()
            try:
                if self._update(number, _TABLE.c.owner == self._me, seconds=_TABLE.c.seconds + (now - last)):
                    last = now
                else:
                    beat.taken_over = True
            except FAILURES:
                log.debug("a beat of trial %d did not reach the storage", number)

        def often() -> None:
            while not stop.wait(every):
                once()

        thread = threading.Thread(target=often, name="beat", daemon=True)
        thread.start()
        try:
            yield beat
        finally:
            stop.set()
            thread.join()
            once()

    def _insert(self, number: int) -> bool:
        row = {"study": self._study, "number": number, "owner": self._me, "beat": 0, "claims": 1, "seconds": 0.0}
        try:
            with self._engine.begin() as connection:
                connection.execute(_TABLE.insert().values(row))
        except IntegrityError:
            return False
        return True

    def _update(self, number: int, *where: sa.ColumnElement[bool], **changes: object) -> bool:
        mine = (_TABLE.c.study == self._study, _TABLE.c.number == number, *where)
        with self._engine.begin() as connection:
            done = connection.execute(_TABLE.update().where(*mine).values(beat=_TABLE.c.beat + 1, **changes))
        return done.rowcount == 1

    def _is_dead(self, number: int, row: Lease) -> bool:
        assert row.owner is not None
        path = self._lock_of(row.owner)
        if row.owner.partition(":")[0] == socket.gethostname() and path.exists():
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
            lock.release()
            return True
        owner, beat, since = self._seen.get(number, (None, -1, 0.0))
        if (owner, beat) != (row.owner, row.beat):
            self._seen[number] = row.owner, row.beat, self._storage.clock()
            return False
        return self._storage.clock() - since > self._grace

    def _lock_of(self, owner: str) -> Path:
        return self._folder / f"{owner.rpartition(':')[2]}.lock"


class Beat:
    """Whether the trial is still this worker's.

    Attributes:
        taken_over: set when it is not.
    """

    def __init__(self, number: int):
        self._number, self.taken_over = number, False

    def check(self) -> None:
        """Raises TakenOver where another worker has the trial now."""
        if self.taken_over:
            raise TakenOver(f"trial {self._number} was taken over by another worker while this one was away")
