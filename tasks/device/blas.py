"""A fast BLAS for MLX's CPU backend, where the machine has one.

MLX's CPU wheel for Linux carries the reference BLAS: about 5 GFLOP/s on two cores, where OpenBLAS or MKL reach
50 to 170. The wheel looks `cblas_sgemm` up at run time, so a library that is loaded with global symbols before
`mlx.core` is first imported takes its place. Only float32 products gain. macOS uses Accelerate and needs none of this.
"""

import ctypes
import ctypes.util
import glob
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SMALL = 2**15
"""Weights of a matrix up to which one thread does: its products with a row of tokens are over before a second thread
has started. Measured at 12,288 (the starter model), where a second thread doubles the processor's time for nothing."""

CPUINFO = Path("/proc/cpuinfo")
WIDE = ("avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")
"""What a processor must have for OpenBLAS's AVX-512 kernels, which it names after Intel's SkylakeX."""

REFERENCE = "MLX's own reference BLAS"

_problem: str | None = None


def load_blas() -> str | None:
    """Loads the first BLAS found in front of MLX's own and returns its file name; None where there is none.

    `GRAFTLINE_BLAS` names a library file, or `none` to keep the reference BLAS. Must run before `mlx.core` is
    imported; importing `tasks` does it. `blas_problem` says why a named one cannot be used.
    """
    global _problem
    _problem = None
    chosen = os.environ.get("GRAFTLINE_BLAS")
    if chosen == "none" or not sys.platform.startswith("linux"):
        return None
    if "mlx.core" in sys.modules:
        return None
    reason = ""
    for name in [chosen] if chosen else _candidates():
        try:
            with _wide_kernels():
                library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            reason = str(error).removeprefix(f"{name}: ")
            continue
        if hasattr(library, "cblas_sgemm"):
            return Path(name).name
        reason = "it has no cblas_sgemm"
    if chosen:
        _problem = f"GRAFTLINE_BLAS={chosen} cannot be used: {reason}; name a BLAS library's file, or none"
    return None


def blas_problem() -> str | None:
    """Why the library that GRAFTLINE_BLAS named at the import of `tasks` is not in use; None where all is well."""
    return _problem


@contextmanager
def threads_for(weights: int) -> Iterator[None]:
    """Inside, OpenBLAS takes one thread if the largest matrix has few weights; as many as before on leaving.

    Other libraries, and a machine whose OPENBLAS_NUM_THREADS is set, are left alone.

    Args:
        weights: of the largest matrix that tokens are multiplied with.

    Example:
        >>> with threads_for(64 * 192):
        ...     pass
    """
    library = _openblas()
    if weights > SMALL or library is None or "OPENBLAS_NUM_THREADS" in os.environ:
        yield
        return
    before = library.openblas_get_num_threads()
    library.openblas_set_num_threads(1)
    try:
        yield
    finally:
        library.openblas_set_num_threads(before)


def _openblas() -> Any:
    from tasks import BLAS

    if BLAS is None:
        return None
    library = ctypes.CDLL(os.environ.get("GRAFTLINE_BLAS") or BLAS)
    return library if hasattr(library, "openblas_set_num_threads") else None


@contextmanager
def _wide_kernels() -> Iterator[None]:
    """OpenBLAS that is loaded inside takes its AVX-512 kernels on an AMD processor that has what they need.

    Versions older than the processor do not know it, and take those of 2013: a small model's step was an eighth slower
    by them (0.3.21 on Zen 5). An OPENBLAS_CORETYPE that is set is left alone.
    """
    if "OPENBLAS_CORETYPE" in os.environ or not _wide_amd():
        yield
        return
    os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"
    try:
        yield
    finally:
        del os.environ["OPENBLAS_CORETYPE"]  # NumPy's own OpenBLAS knows best


def _wide_amd() -> bool:
    try:
        with CPUINFO.open(encoding="utf-8") as cpuinfo:
            first = cpuinfo.read(4096).split()  # the first core's; a large machine's file is long
    except OSError:
        return False
    return "AuthenticAMD" in first and set(WIDE) <= set(first)


def _candidates() -> list[str]:
    beside_python = glob.glob(str(Path(sys.prefix) / "lib" / "libmkl_rt.so*"))
    return ["libopenblas.so.0", "libopenblas.so", *beside_python, "libmkl_rt.so.2", "libmkl_rt.so"]


def device() -> str:
    """What MLX computes on, in words; on a CPU, with which BLAS.

    Example:
        >>> device().startswith(("cpu", "gpu"))
        True
    """
    import mlx.core as mx

    from tasks import BLAS
    from tasks.device.backend import kind

    name = mx.device_info().get("device_name", "")
    if kind() == "gpu" or sys.platform == "darwin":
        return f"{kind()} ({name})"
    return f"cpu ({name}, {BLAS or f'{REFERENCE}; {_remedy()}'})"


def _remedy() -> str:
    """How to get a fast BLAS where MLX's own is in use."""
    chosen = os.environ.get("GRAFTLINE_BLAS")
    if chosen == "none":
        return "GRAFTLINE_BLAS=none keeps it"
    for name in [chosen] if chosen else _candidates():
        with suppress(OSError):
            if hasattr(
                ctypes.CDLL(name), "cblas_sgemm"
            ):  # its symbols stay its own: it would be too late to share them
                library = "OpenBLAS" if "openblas" in name else "MKL" if "mkl" in name else name
                return f"{library} is here, but mlx was imported first: import tasks before mlx"
    return "installing OpenBLAS makes it several times faster"
