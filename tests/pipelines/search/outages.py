"""A database that is away: each kind of question fails once, or a file of SQLite is locked now and then."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError


def _locked(statement: str) -> OperationalError:
    return OperationalError(statement, None, sqlite3.OperationalError("database is locked"))


@contextmanager
def each_question_fails_once(*, answer_lost: bool) -> Iterator[set[str]]:
    """Fails every statement, but for those that make the tables, the first time that it is asked; gives what failed.

    Args:
        answer_lost: it is the commit after the statement that fails, once it has been done.
    """
    failed, last = set[str](), threading.local()

    def execute(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        last.statement = statement
        if not (answer_lost or statement in failed or statement.lstrip().startswith("CREATE")):
            failed.add(statement)
            raise _locked(statement)

    def commit(connection: sa.Connection) -> None:
        statement = getattr(last, "statement", "")
        if answer_lost and statement not in failed and not statement.lstrip().startswith("CREATE"):
            failed.add(statement)
            assert connection.connection.dbapi_connection is not None
            connection.connection.dbapi_connection.commit()
            raise _locked(statement)

    heard = (("before_cursor_execute", execute), ("commit", commit))
    for name, hear in heard:
        event.listen(sa.Engine, name, hear)
    try:
        yield failed
    finally:
        for name, hear in heard:
            event.remove(sa.Engine, name, hear)


@contextmanager
def locked_now_and_then(path: Path, times: int, seconds: float) -> Iterator[list[float]]:
    """Holds a file of SQLite for some seconds, again and again; gives when it did."""
    done, held = threading.Event(), list[float]()

    def hold() -> None:
        while not path.exists() and not done.wait(0.01):
            pass
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            while len(held) < times and not done.wait(0.1):
                connection.execute("BEGIN EXCLUSIVE")
                held.append(time.monotonic())
                time.sleep(seconds)
                connection.execute("COMMIT")

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield held
    finally:
        done.set()
        thread.join()
