"""What the commands print: a line a side, and one JSON object last."""

import json
import statistics
import sys
from importlib.metadata import version
from typing import Any

import mlx.core as mx

from tasks.device.blas import device


def setting() -> dict[str, str]:
    """Where the figures are from."""
    return {"device": device(), "mlx": version("mlx"), "mlx_lm": version("mlx-lm"), "python": sys.version.split()[0]}


def side(tokens: int, seconds: list[float], peak: int, resident: int | None = None, **more: Any) -> dict[str, Any]:
    """The figures of a side: medians over its rounds."""
    median = statistics.median(seconds)
    spread = (max(seconds) - min(seconds)) / median
    found = {
        "tokens_per_second": round(tokens / median, 1),
        "tokens_a_round": tokens,
        "seconds_a_round": round(median, 4),
        "spread": round(spread, 3),
        "peak_gb": round(peak / 1e9, 4),
    }
    if resident is not None:
        found["resident_gb"] = round(resident / 1e9, 4)
    return {**found, **more}


def show(command: str, sides: dict[str, dict[str, Any]], **more: Any) -> None:
    """Prints the table and the JSON line."""
    for name, found in sides.items():
        extra = "  ".join(f"{k}={v}" for k, v in found.items() if k not in ("tokens_per_second", "peak_gb"))
        print(f"{name:44} {found['tokens_per_second']:>10,.0f} tokens/s {found['peak_gb']:9.3f} GB  {extra}")
    print(json.dumps({"command": command, **setting(), **more, "sides": sides}), flush=True)


def free() -> None:
    """Gives the allocator's cache back, so that the next side starts with the whole memory."""
    mx.synchronize()
    mx.clear_cache()
