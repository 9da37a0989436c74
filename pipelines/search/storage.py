"""Opens the storage of a study: a file of SQLite, or a PostgreSQL that several machines share.

A database may be away for seconds or minutes: restarted, or locked by a backup. Every query is repeated until it is
answered, below Optuna, so that no sampler draws twice and no trial notices.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import optuna
import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError

from pipelines.search.patient_rdb import FAILURES, PatientRDB, open_rdb
from tasks.errors import ConfigError, RunError

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
PATIENCE = 600.0
"""Seconds for which a query that is not answered is repeated."""


class StorageError(RunError):
    """The study's storage did not answer in time, or its file is gone: never the fault of a trial."""


class Storage:
    """An open storage.

    Args:
        url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.
        patience: seconds for which a query that is not answered is repeated.
        busy: seconds that SQLite itself waits for a lock; Ctrl-C has no effect meanwhile.

    Attributes:
        rdb: Optuna's storage, each query of which is repeated while the database is away.
        name: the address without its password.

    Raises:
        ConfigError: the address is of another kind, or its driver is not installed.
        StorageError: nothing answers there.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE, busy: float = 5.0):
        self._patience, self._away, self._identity = patience, 0.0, None
        address = _address(url)
        self.name = address.render_as_string(hide_password=True)
        self._file = Path(address.database or "") if address.get_backend_name() == "sqlite" else None
        connect = {"timeout": busy} if self._file else {"connect_timeout": 10}
        options = {"connect_args": connect, "pool_pre_ping": True}
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # of an outage it would say its statements

        def opened() -> PatientRDB:
            return open_rdb(address.render_as_string(hide_password=False), options)

        with self.answering():
            try:  # a server that is not there at the start is more likely another's address than away
                self.rdb = self.patiently(opened) if self._file else opened()
            except ImportError:
                raise ConfigError(
                    f"sweep.storage={self.name}: the driver {address.get_driver_name()} is not installed; "
                    "uv sync --extra postgres"
                ) from None
        self.rdb.patiently = self.patiently
        self._identity = self._stat() if self._file else None

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns the error of a storage that does not answer into one line."""
        try:
            yield
        except FAILURES as error:
            raise StorageError(
                f"the study's storage {self.name} does not answer: {_reason(error)}; once it does, repeat the "
                "command to resume"
            ) from error

    def patiently(self, ask: Callable[[], Answer]) -> Answer:
        """The answer of `ask`, repeated for a while if the storage is away, which is logged once.

        Raises:
            StorageError: it did not answer in time, or its file is not there any more.
        """
        began, pause, logged = time.monotonic(), 0.05, False
        while True:
            self.check()
            try:
                answer = ask()
            except FAILURES as error:
                waited = time.monotonic() - began
                if not _passes(error) or waited > self._patience:
                    with self.answering():
                        raise
                if not logged and waited > 1:
                    log.warning("the study's storage %s is away (%s); waiting for it", self.name, _reason(error))
                    logged = True
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
            else:
                if pause > 0.05:
                    self._away += time.monotonic() - began
                if logged:
                    log.warning("the study's storage is back")
                return answer

    def clock(self) -> float:
        """Seconds by a clock that stops while the storage is away, when no worker's sign of life can be seen."""
        return time.monotonic() - self._away

    def check(self) -> None:
        """Refuses to go on without the file: SQLite would go on writing into one that has been removed.

        Raises:
            StorageError: the file is gone, or is another one.
        """
        if self._identity is not None and self._stat() != self._identity:
            raise StorageError(
                f"the study's storage {self._file} is gone, or was replaced while the study ran; put it back, then "
                "repeat the command to resume"
            )

    def _stat(self) -> tuple[int, int] | None:
        try:
            return (status := (self._file or Path()).stat()).st_dev, status.st_ino
        except OSError:
            return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it comes from; Optuna asks some questions otherwise after a failure, which fails by that."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    *_, error = _chain(error)
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _passes(error: BaseException) -> bool:
    """Whether it is an outage: a lock of SQLite's, or a server away. A full disk does not pass by itself."""
    for cause in _chain(error):
        if isinstance(cause, (OperationalError, InterfaceError)):
            return "sqlite" not in type(cause.orig).__module__ or "locked" in str(cause.orig)
    return False


def check_address(url: str) -> None:
    """Raises what `Storage` would for an address that it cannot use, without connecting.

    Raises:
        ConfigError: as `Storage`.
    """
    _address(url)


def exists(url: str) -> bool:
    """Whether a storage may exist at an address already, without connecting: SQLite would create its file."""
    address = _address(url)
    return address.get_backend_name() != "sqlite" or Path(address.database or "").exists()


def _address(url: str) -> sa.URL:
    fix = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    try:
        address = sa.make_url(url)
        backend = address.get_backend_name()
    except (SQLAlchemyError, NoSuchModuleError, ValueError):
        raise ConfigError(f"sweep.storage: {fix}") from None
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"sweep.storage={address.render_as_string(hide_password=True)}: {fix}")
    if backend == "sqlite" and not address.database:
        raise ConfigError("sweep.storage: a study in memory would not outlive its worker; write sqlite:///FILE")
    return address.set(drivername="postgresql+psycopg") if address.drivername == "postgresql" else address
