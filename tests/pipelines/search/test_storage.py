"""The storage: which addresses there are, and one line when it does not answer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError, PendingRollbackError

from pipelines.search.storage import Storage, check_address, exists
from tasks.errors import ConfigError, RunError


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("study.db", "write sqlite:///FILE or postgresql://"),
        ("mysql://me:secret@host/db", r"mysql://me:\*\*\*@host/db: write sqlite"),
        ("sqlite://", "in memory would not outlive its worker"),
    ],
)
def test_addresses_that_cannot_be_used(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_address(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(
        RunError, match=r"storage postgresql\+psycopg://me:\*\*\*@127.0.0.1:9/db does not answer: "
    ) as caught:
        Storage("postgresql://me:secret@127.0.0.1:9/db")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'no' / 'study.db'}"
    assert not exists(url)
    with pytest.raises(RunError, match="does not answer: unable to open database file; once it does"):
        Storage(url)


def test_a_file_that_is_taken_away_is_noticed_and_not_made_again(tmp_path: Path) -> None:
    storage = Storage(f"sqlite:///{tmp_path / 'study.db'}")
    storage.check()
    (tmp_path / "study.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(RunError, match="is gone, or was replaced"):
        storage.patiently(lambda: None)
    assert not (tmp_path / "study.db").exists()


def test_a_storage_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    storage, asked = Storage(f"sqlite:///{tmp_path / 'study.db'}", patience=60), []

    def ask() -> str:
        asked.append(0)
        if len(asked) < 2:
            raise OperationalError("", None, Exception("the server closed the connection"))
        return "there"

    assert storage.patiently(ask) == "there"


def test_a_second_failure_that_comes_of_an_outage_is_waited_for_as_well(tmp_path: Path) -> None:
    """As in Optuna's `_get_trials`, which asks again in the transaction that the outage has broken."""
    storage, asked = Storage(f"sqlite:///{tmp_path / 'study.db'}", patience=60), []

    def ask() -> str:
        asked.append(0)
        if len(asked) > 1:
            return "there"
        try:
            raise OperationalError("", None, Exception("the server closed the connection"))
        except OperationalError:
            raise PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")  # noqa: B904 (nor does SQLAlchemy name its cause)

    assert storage.patiently(ask) == "there"


def test_patience_ends(tmp_path: Path) -> None:
    def ask() -> None:
        raise OperationalError("", None, Exception("the server closed the connection"))

    storage = Storage(f"sqlite:///{tmp_path / 'study.db'}", patience=0)
    with pytest.raises(RunError, match=r"does not answer: .*the server closed the connection"):
        storage.patiently(ask)


def test_workers_that_start_together_make_the_tables_once(tmp_path: Path) -> None:
    for n in range(3):
        url, together = f"sqlite:///{tmp_path}/study{n}.db", threading.Barrier(6)

        def opened(_: int, url: str = url, together: threading.Barrier = together) -> str:
            together.wait()
            return Storage(url).rdb.get_current_version()

        with ThreadPoolExecutor(6) as workers:
            assert len({*workers.map(opened, range(6))}) == 1
