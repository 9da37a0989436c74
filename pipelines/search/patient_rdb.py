"""Optuna's storage with retries: each query is repeated for a while, as `Storage` does, if the database is away."""

import time
from collections.abc import Callable
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

FAILURES = (SQLAlchemyError, StorageInternalError)
"""The errors of a storage that does not answer."""
TRIES = 10
"""Attempts at creating the tables, beside other workers that start at the same moment."""
ONCE = ("create_new_trial", "set_trial_state_values", "delete_study")
"""Queries that must not be repeated if a commit went through and its answer was lost; see Study."""
BESIDE = ("_set_trial_param", "_get_trials")
"""Private queries that Optuna's cache uses instead of public ones."""


class PatientRDB(RDBStorage):
    """Optuna's storage, its queries replaced by those of `_patient`, which repeat them.

    Attributes:
        patiently: `Storage.patiently` of the storage that it belongs to.
        wanted: the number of the trial that is being added: Optuna itself repeats a commit whose answer was lost.
    """

    patiently: Callable[[Callable[[], Any]], Any] = staticmethod(lambda ask: ask())  # until it is open
    wanted: int | None = None

    def _get_prepared_new_trial(self, *arguments: Any, **options: Any) -> Any:
        trial: Any = super()._get_prepared_new_trial(*arguments, **options)
        if self.wanted is not None and int(trial.number) != self.wanted:
            raise IsThere
        return trial


class IsThere(Exception):
    """Raised instead of adding a trial twice: its commit went through, the answer was lost."""


def _patient(name: str) -> Callable[..., Any]:
    query = getattr(RDBStorage, name)

    def ask(self: PatientRDB, *arguments: Any, **options: Any) -> Any:
        return self.patiently(lambda: query(self, *arguments, **options))

    return ask


for _name in (*sorted(BaseStorage.__abstractmethods__ - {*ONCE}), *BESIDE):
    setattr(PatientRDB, _name, _patient(_name))


def open_rdb(url: str, options: dict[str, Any]) -> PatientRDB:
    """Optuna's storage, its tables made where there are none; begun again where another worker makes them meanwhile."""
    for _ in range(TRIES):
        try:
            return PatientRDB(url, engine_kwargs=options)
        except FAILURES as error:
            if not _made_meanwhile(error):
                raise
        time.sleep(0.2)
    return PatientRDB(url, engine_kwargs=options)


def _made_meanwhile(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, IntegrityError) or "already exists" in str(error):
            return True
        error = error.__cause__
    return False
