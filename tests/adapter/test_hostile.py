"""A hostile adapter directory ends `verify` in one line: no crash, no traceback, no memory beyond a bound."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from tests.adapter.hostile import HOSTILE, RESEALED, reseal

ROOT = Path(__file__).resolve().parents[2]
ROOM = 3 << 30
"""Bytes of address space above what the libraries take: an adapter of 200 kB needs a hundredth of it."""


def test_each_hostile_directory_ends_in_one_line(trained, tmp_path):
    adapter, source = trained()
    for n, (name, harm) in enumerate(HOSTILE.items()):
        folder = Path(shutil.copytree(adapter, tmp_path / f"{n}"))
        harm(folder)
        if name in RESEALED:
            reseal(folder)
    child = [sys.executable, "-m", __name__, str(tmp_path), source.path]
    ended = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)
    found = dict(json.loads(line) for line in ended.stdout.splitlines())
    left = [name for name in HOSTILE if name not in found]
    assert not left, f"{left[0]}: exit {ended.returncode}: {ended.stderr[-2000:]}"
    assert {name: said for name, said in found.items() if not _is_one_line(said)} == {}
    assert found["a path of the hub"].startswith(
        "ConfigError: the adapter's manifest names 'attacker/model' of the hub"
    )


def test_random_directories_end_in_one_line():
    """In a child, so that a segfault is seen. More of them: python -m tests.bench.adapter_fuzz --cases 20000."""
    child = [sys.executable, "-m", "tests.bench.adapter_fuzz", "--cases", "500"]
    ended = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"exit {ended.returncode}: {ended.stdout[-1000:]}{ended.stderr[-3000:]}"
    assert "each ended in a line" in ended.stdout


def _is_one_line(said: str) -> bool:
    kind, _, text = said.partition(": ")
    return (
        kind.endswith("Error")
        and kind[:-5] in ("Adapter", "Config", "Model", "Target", "Verify")
        and (text.isprintable() and 0 < len(text) < 4000)
    )


def main(folder: Path, base: str) -> None:
    """The child: `verify` with every directory, and what became of it, a line each."""
    from pipelines.command.adapter_argument import with_adapter
    from tasks.errors import GraftlineError
    from tasks.verify import verify

    taken = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if sys.platform == "linux" else 0
    )
    if taken:
        resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))
    for n, name in enumerate(HOSTILE):
        overrides = [f"adapter={folder / str(n)}"]
        try:
            if "path" not in name and "revision" not in name:
                overrides += [f"model.path={base}"]
            adapter, run = with_adapter(overrides)
            verdict = verify.fn(adapter, run.model, run.verify)
            said = f"VerifyError: {verdict.failures()}" if not verdict.passed else "nothing was said"
        except GraftlineError as error:
            said = f"{type(error).__name__}: {error}"
        except Exception as error:  # which a person would see as a crash
            said = f"crashed: {type(error).__name__}: {error}"
        print(json.dumps([name, said]), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    sys.stdout = sys.stderr
    main(Path(sys.argv[1]), sys.argv[2])
