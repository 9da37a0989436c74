import ctypes
import os
import sys
from types import SimpleNamespace

import mlx.core as mx
import pytest

from pipelines.config import compose
from tasks.device import blas
from tasks.errors import ConfigError


@pytest.fixture
def loaded(monkeypatch):
    """A Linux process without MLX where `libopenblas.so` is the one BLAS there is; lists what was asked for."""
    asked: list[tuple[str, int]] = []

    def load(name: str, mode: int):
        asked.append((name, mode))
        if name == "libempty.so":
            return SimpleNamespace()
        if "openblas.so" not in name or name.endswith(".0"):
            raise OSError(f"{name}: cannot open shared object file")
        return SimpleNamespace(cblas_sgemm=None)

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "mlx.core", raising=False)
    monkeypatch.delenv("GRAFTLINE_BLAS", raising=False)
    return asked


def test_the_first_that_is_there_is_loaded_for_all_to_see(loaded):
    assert blas.load_blas() == "libopenblas.so"
    assert [name for name, _ in loaded] == ["libopenblas.so.0", "libopenblas.so"]
    assert all(mode == ctypes.RTLD_GLOBAL for _, mode in loaded)


def test_a_file_that_was_named_is_the_only_one_tried(loaded, monkeypatch):
    monkeypatch.setenv("GRAFTLINE_BLAS", "/opt/libopenblas.so")
    assert blas.load_blas() == "libopenblas.so"
    assert [name for name, _ in loaded] == ["/opt/libopenblas.so"]


@pytest.mark.parametrize(
    ("name", "why"), [("libempty.so", "it has no cblas_sgemm"), ("/no/such/file.so", "cannot open shared object file")]
)
def test_a_named_library_that_cannot_be_used_is_told(loaded, monkeypatch, name, why):
    monkeypatch.setenv("GRAFTLINE_BLAS", name)
    assert blas.load_blas() is None
    problem = f"GRAFTLINE_BLAS={name} cannot be used: {why}; name a BLAS library's file, or none"
    assert blas.blas_problem() == problem
    with pytest.raises(ConfigError) as caught:
        compose(["+experiment=quickstart"])
    assert str(caught.value) == problem
    monkeypatch.setenv("GRAFTLINE_BLAS", "none")
    assert (blas.load_blas(), blas.blas_problem()) == (None, None)


def test_none_keeps_the_reference(loaded, monkeypatch):
    monkeypatch.setenv("GRAFTLINE_BLAS", "none")
    assert (blas.load_blas(), loaded) == (None, [])


def test_a_mac_needs_none(loaded, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert (blas.load_blas(), loaded) == (None, [])


def test_after_mlx_it_is_too_late(loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlx.core", SimpleNamespace())
    assert (blas.load_blas(), loaded) == (None, [])


LATE = "OpenBLAS is here, but mlx was imported first: import tasks before mlx"
NONE = "installing OpenBLAS makes it several times faster"


@pytest.mark.skipif(sys.platform != "linux" or mx.default_device() == mx.gpu, reason="a BLAS is for CPUs under Linux")
@pytest.mark.parametrize(
    ("there", "chosen", "remedy"),
    [("libopenblas.so", None, LATE), ("", None, NONE), ("", "none", "GRAFTLINE_BLAS=none keeps it")],
)
def test_the_remedy_is_that_of_what_is_wrong(monkeypatch, there, chosen, remedy):
    def load(name: str):
        if name != there:
            raise OSError(f"{name}: cannot open shared object file")
        return SimpleNamespace(cblas_sgemm=None)

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr("tasks.BLAS", None)
    monkeypatch.delenv("GRAFTLINE_BLAS", raising=False)
    if chosen:
        monkeypatch.setenv("GRAFTLINE_BLAS", chosen)
    assert blas.device().endswith(f", MLX's own reference BLAS; {remedy})")


@pytest.mark.parametrize(
    ("vendor", "lacks", "chosen", "core"),
    [
        ("AuthenticAMD", "", None, "SkylakeX"),
        ("AuthenticAMD", "avx512bw", None, None),
        ("GenuineIntel", "", None, None),
        ("AuthenticAMD", "", "Zen", "Zen"),
    ],
)
def test_an_amd_processor_with_wide_vectors_gets_kernels_for_them(monkeypatch, tmp_path, vendor, lacks, chosen, core):
    seen = list[str | None]()

    def load(_name: str, mode: int):
        seen.append(os.environ.get("OPENBLAS_CORETYPE"))
        return SimpleNamespace(cblas_sgemm=None)

    flags = " ".join(flag for flag in ("fpu", "avx2", *blas.WIDE) if flag != lacks)
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"vendor_id\t: {vendor}\nflags\t\t: {flags}\n", encoding="utf-8")
    monkeypatch.setattr(blas, "CPUINFO", cpuinfo)
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "mlx.core", raising=False)
    monkeypatch.delenv("GRAFTLINE_BLAS", raising=False)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    if chosen:
        monkeypatch.setenv("OPENBLAS_CORETYPE", chosen)
    blas.load_blas()
    assert seen == [core]
    assert os.environ.get("OPENBLAS_CORETYPE") == chosen


def test_where_nothing_tells_of_the_processor_openblas_chooses(monkeypatch, loaded, tmp_path):
    monkeypatch.setattr(blas, "CPUINFO", tmp_path / "none")
    assert blas.load_blas() == "libopenblas.so"


class Threads:
    """What OpenBLAS offers to count its threads with."""

    def __init__(self) -> None:
        self.now = 2

    def openblas_get_num_threads(self) -> int:
        return self.now

    def openblas_set_num_threads(self, n: int) -> None:
        self.now = n


@pytest.mark.parametrize(("weights", "inside"), [(64 * 192, 1), (1024 * 1024, 2)])
def test_small_products_take_one_thread_and_give_the_others_back(monkeypatch, weights, inside):
    library = Threads()
    monkeypatch.setattr(blas, "_openblas", lambda: library)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with blas.threads_for(weights):
        assert library.now == inside
    assert library.now == 2


def test_who_chose_the_threads_keeps_them(monkeypatch):
    library = Threads()
    monkeypatch.setattr(blas, "_openblas", lambda: library)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    with blas.threads_for(1):
        assert library.now == 2
