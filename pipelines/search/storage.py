"""Opens the storage of a study: a file of SQLite, or a PostgreSQL that several machines share."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import IntegrityError, NoSuchModuleError, SQLAlchemyError

from tasks.errors import ConfigError, RunError

Found = TypeVar("Found")
FAILURES = (SQLAlchemyError, StorageInternalError)
"""What a storage that does not answer raises."""
TRIES = 10
"""Attempts at creating the tables, beside other workers that start at the same moment."""


class Storage:
    """An open storage.

    Args:
        url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.
        patience: seconds for which a storage that does not answer is asked again.

    Attributes:
        rdb: Optuna's.
        name: the address without its password.

    Raises:
        ConfigError: the address is of another kind, or its driver is not installed.
        RunError: nothing answers there.
    """

    def __init__(self, url: str, *, patience: float = 60.0):
        self._patience = patience
        address = _address(url)
        self.name = address.render_as_string(hide_password=True)
        self._file = Path(address.database or "") if address.get_backend_name() == "sqlite" else None
        connect = {"timeout": 60} if self._file else {"connect_timeout": 10}
        options = {"connect_args": connect, "pool_pre_ping": True}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self.answering():
            try:
                self.rdb = _opened(address.render_as_string(hide_password=False), options)
            except ImportError:
                raise ConfigError(
                    f"sweep.storage={self.name}: the driver {address.get_driver_name()} is not installed; "
                    "uv sync --extra postgres"
                ) from None
        self._identity = self._stat()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Says in one line that the storage does not answer, where it does not."""
        try:
            yield
        except FAILURES as error:
            cause = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
            raise RunError(
                f"the study's storage {self.name} does not answer: {reason}; once it does, repeat the command to resume"
            ) from error

    def patiently(self, ask: Callable[[], Found]) -> Found:
        """What `ask` gives, asked again for a while if the storage does not answer: a trial is worth more than that.

        Raises:
            RunError: it did not answer in time, or its file is not there any more.
        """
        until = time.monotonic() + self._patience
        while True:
            self.check()
            try:
                return ask()
            except FAILURES:
                if time.monotonic() > until:
                    with self.answering():
                        raise
            time.sleep(1)

    def check(self) -> None:
        """Refuses to go on without the file: SQLite would go on writing into one that has been removed.

        Raises:
            RunError: the file is gone, or is another one.
        """
        if self._file is not None and self._stat() != self._identity:
            raise RunError(
                f"the study's storage {self._file} is gone, or was replaced while the study ran; put it back, then "
                "repeat the command to resume"
            )

    def _stat(self) -> tuple[int, int] | None:
        try:
            return (status := (self._file or Path()).stat()).st_dev, status.st_ino
        except OSError:
            return None


def _opened(url: str, options: dict[str, Any]) -> optuna.storages.RDBStorage:
    """Optuna's storage, its tables made where there are none; begun again where another worker makes them meanwhile."""
    for _ in range(TRIES):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
        except FAILURES as error:
            if not _made_meanwhile(error):
                raise
        time.sleep(0.2)
    return optuna.storages.RDBStorage(url, engine_kwargs=options)


def _made_meanwhile(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, IntegrityError) or "already exists" in str(error):
            return True
        error = error.__cause__
    return False


def check_address(url: str) -> None:
    """Raises what `Storage` would for an address that it cannot use; asks nobody.

    Raises:
        ConfigError: as `Storage`.
    """
    _address(url)


def exists(url: str) -> bool:
    """Whether something may be there already; a file of SQLite that is not there would be made by looking."""
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
