"""How the cost of tokenizing grows with the number of rows: python -m tests.bench.data_scale --rows 1000 10000

It writes chat rows of about 1 KB itself, builds the token cache of them as a run does, and opens it again as the next
run does. Each size runs in a process of its own, so that its peak memory is its own. The last line is JSON.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

STARTER = Path(__file__).resolve().parents[2] / "examples" / "starter"
ROW_BYTES = 1000


def write_rows(path: Path, rows: int, seed: int = 0) -> None:
    """Conversations of the starter's own words, `rows` of them, all different."""
    draw = random.Random(seed)
    with (STARTER / "train.jsonl").open(encoding="utf-8") as file:
        words = " ".join(json.loads(line)["messages"][0]["content"] for line in file).split()
    texts = [" ".join(draw.choices(words, k=26)) for _ in range(4096)]
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            messages, size = [], 20
            while size < ROW_BYTES - 120:
                for role in ("user", "assistant"):
                    text = f"{n} {draw.choice(texts)}" if not messages else draw.choice(texts)
                    messages.append({"role": role, "content": text})
                    size += len(text) + 36
            file.write(json.dumps({"messages": messages}) + "\n")


def measure(folder: Path, model: str, workers: int | None) -> dict[str, float]:
    """Builds the cache of `folder`/rows.jsonl, and opens it again in this process."""
    from transformers import AutoTokenizer

    from tasks.data import Data, build_cache

    tokenizer = AutoTokenizer.from_pretrained(model)
    data = Data(train=str(folder / "rows.jsonl"), workers=workers)

    def build():
        return build_cache(data, tokenizer, tokenizer_fingerprint=str(model), root=folder / "cache")

    together = Together()
    start = time.perf_counter()
    cache = build()
    seconds = time.perf_counter() - start
    together.stop()
    time.sleep(2.5)  # a file is trusted by its times when they are two seconds old
    build()
    start = time.perf_counter()
    again = build()
    split = again.split("train")
    assert all(len(split.ids(n)) for n in (0, len(split) - 1))
    reopened = time.perf_counter() - start
    assert again.reused
    stats = cache.splits["train"]
    return {
        "rows": stats.rows,
        "bytes": (folder / "rows.jsonl").stat().st_size,
        "tokens": sum(split.tokens for split in cache.splits.values()),
        "seconds": round(seconds, 2),
        "rows_per_second": round(stats.rows / seconds, 1),
        "ms_per_row": round(1000 * seconds / stats.rows, 4),
        "peak_rss_mb": round(peak_mb(), 1),
        "peak_rss_all_mb": round(max(together.most, peak_mb()), 1),
        "reopen_seconds": round(reopened, 4),
    }


def peak_mb() -> float:
    """The peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


class Together:
    """The most that this process and its workers held at one time, where /proc tells."""

    def __init__(self):
        self.most, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.most = max(self.most, sum(map(_resident, ["self", *_children()])))


def _children() -> list[str]:
    found: list[str] = []
    for listed in Path("/proc/self/task").glob("*/children"):
        try:
            found += listed.read_text().split()
        except OSError:
            continue
    return found


def _resident(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmRSS:")), 0.0)


def main() -> None:
    """Measures each size, or, with --folder, one that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--model", default=str(STARTER / "model"), help="a folder with a tokenizer")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder is not None:
        print(json.dumps(measure(given.folder, given.model, given.workers)))
        return
    print(
        f"{'rows':>9} {'MB':>7} {'seconds':>8} {'rows/s':>8} {'ms/row':>7} {'peak MB':>8} {'all MB':>7} {'reopen s':>8}"
    )
    found = []
    for rows in given.rows:
        folder = Path(tempfile.mkdtemp(prefix="data-scale-"))
        try:
            write_rows(folder / "rows.jsonl", rows)
            command = [sys.executable, "-m", "tests.bench.data_scale", "--folder", str(folder), "--model", given.model]
            command += [] if given.workers is None else ["--workers", str(given.workers)]
            output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        finally:
            shutil.rmtree(folder)
        one = json.loads(output.splitlines()[-1])
        found.append(one)
        print(
            f"{one['rows']:9,} {one['bytes'] / 1e6:7.1f} {one['seconds']:8.1f} {one['rows_per_second']:8.0f} "
            f"{one['ms_per_row']:7.3f} {one['peak_rss_mb']:8.0f} {one['peak_rss_all_mb']:7.0f} "
            f"{one['reopen_seconds']:8.3f}",
            flush=True,
        )
    print(json.dumps({"model": given.model, "workers": given.workers, "sizes": found}))


if __name__ == "__main__":
    main()
