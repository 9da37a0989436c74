"""Fixtures of the whole suite: the test bank, tiny model folders, a token cache, and adapters trained for real."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tasks.data import Data, TokenCache
from tasks.model import Model
from tasks.tokenize import tokenize
from tests.tiny import write_chat, write_model
from tests.training import recipe, train_in

settings.register_profile("graftline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("graftline")  # a loaded machine is no error
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as under nohup, and in every process started here then
    signal.signal(signal.SIGINT, signal.default_int_handler)


if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # two of Prefect's servers on one database would lock it
    os.environ["PREFECT_HOME"] = str(Path(os.environ.get("PREFECT_HOME", tempfile.gettempdir())) / worker)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads them
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Splits the whole suite between two processes, file by file; named files and `-n` go as they are asked for."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.usepdb
    if hasattr(config, "workerinput"):
        return  # one of the two, which comes here as well
    home = tempfile.TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True)
    config.add_cleanup(home.cleanup)
    os.environ.setdefault("PREFECT_HOME", home.name)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each command that a test starts would compile everything again
    if whole and config.option.numprocesses is None and (os.cpu_count() or 1) > 1:
        config.option.numprocesses, config.option.dist, config.option.loadscopereorder = 2, "loadfile", False
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads wait by spinning, on the other one's core


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Orders and skips tests.

    Leaves the families out where they are not asked for; puts files with slow tests first; says why tests marked
    `metal` do not run, where there is no Mac's GPU.
    """
    import mlx.core as mx  # not at the top: `tasks` must be imported before it, to put a fast BLAS in front

    if "families" not in config.option.markexpr:
        items[:] = [item for item in items if not item.get_closest_marker("families")]
    slow = {item.path for item in items if item.get_closest_marker("flow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in slow)  # the last of them would keep one process waiting for the other
    if not mx.metal.is_available():
        for item in items:
            if item.get_closest_marker("metal"):
                item.add_marker(pytest.mark.skip(reason="needs a Mac's GPU"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the test bank: ../shared/data beside the repository, or GRAFTLINE_DATA."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("GRAFTLINE_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"the test bank is not at {folder}; set GRAFTLINE_DATA")
    return folder


@pytest.fixture(scope="session")
def shared_cases(shared_data: Path) -> Path:
    """The folder of inputs whose right value is known: `cases` beside the test bank."""
    folder = shared_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"the cases are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Gives the folder of a tiny random model, `model_folder("qwen3", dtype="bfloat16")`, written once."""
    root, written = tmp_path_factory.mktemp("models"), dict[str, Path]()

    def folder(family: str = "qwen3", **options: Any) -> Path:
        name = "-".join([family, *(str(value) for value in options.values())])
        if name not in written:
            written[name] = write_model(root / name, family, **options)
        return written[name]

    return folder


@pytest.fixture(scope="session")
def token_cache(model_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> TokenCache:
    """40 training rows and 8 validation rows under the tiny tokenizer, which all tiny models share."""
    root = tmp_path_factory.mktemp("tokens")
    data = Data(
        train=str(write_chat(root / "train.jsonl", 40)), valid=str(write_chat(root / "valid.jsonl", 8, start=100))
    )
    return tokenize.fn(data, Model(path=str(model_folder())), root / "cache")


@pytest.fixture(scope="session")
def trained(
    model_folder: Callable[..., Path], token_cache: TokenCache, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Path, Model]]:
    """Gives an adapter directory after three steps, and its base: `trained("qwen3", quantize=4)`; trained once."""
    root, done = tmp_path_factory.mktemp("runs"), dict[str, tuple[Path, Model]]()

    def adapter(family: str = "qwen3", quantize: int | None = None, **options: Any) -> tuple[Path, Model]:
        name = "-".join(map(str, [family, quantize, *options.values()]))
        if name not in done:
            source = Model.model_validate({"path": str(model_folder(family, **options)), "quantize": quantize})
            done[name] = Path(train_in(root / name, token_cache, source, recipe()).adapter.path), source
        return done[name]

    return adapter


@pytest.fixture
def damaged(trained: Callable[..., tuple[Path, Model]], tmp_path: Path) -> Path:
    """A copy of the trained qwen3 adapter, to be damaged."""
    return Path(shutil.copytree(trained()[0], tmp_path / "adapter"))
