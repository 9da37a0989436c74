"""A real run as a process of its own, killed at a moment of one's choosing and started again."""

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.tiny import write_chat, write_model

ROOT = Path(__file__).resolve().parents[2]
LITTER = (".tmp", ".old", ".gone", ".lock", ".partial")


@dataclass
class Killed:
    """One run: how to start it, and what its kills hit.

    Args:
        folder: of its rows, its model and its run directories.
        steps: of the whole run.
        more: further overrides.
    """

    folder: Path
    steps: int = 60
    more: tuple[str, ...] = ()
    kills: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Writes the tiny model and the rows."""
        write_model(self.folder / "model", "qwen3")
        write_chat(self.folder / "train.jsonl", 40)
        write_chat(self.folder / "valid.jsonl", 8, start=100)

    def command(self, run_dir: Path) -> list[str]:
        """The command of the whole path: dropout, packed rows, accumulation, validation, a checkpoint every 3 steps."""
        return [
            *(sys.executable, "-m", "pipelines.finetune", "orchestrate=false", "sinks=[jsonl]", "verify=quick"),
            *(f"model.path={self.folder / 'model'}", f"data.train={self.folder / 'train.jsonl'}"),
            *(f"data.valid={self.folder / 'valid.jsonl'}", "batch=packed", "batch.tokens=128", "lora.dropout=0.2"),
            *(f"train.steps={self.steps}", "train.accumulate=2", "train.save_every=3", "train.eval_every=4"),
            *("optim.warmup=2", "verify.probe_tokens=48", "evaluate.generate=0", f"run_dir={run_dir}", *self.more),
        ]

    def start(self, run_dir: Path, env: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """Starts it; its own lock of the GPU, so that two of them need not wait for each other."""
        own = {"GRAFTLINE_GPU_LOCK": str(run_dir) + ".gpu", "OPENBLAS_NUM_THREADS": "1"}
        with Path(str(run_dir) + ".said").open("ab") as said:
            return subprocess.Popen(
                self.command(run_dir), stdout=said, stderr=said, cwd=ROOT, env={**os.environ, **own, **(env or {})}
            )

    def finish(self, run_dir: Path) -> None:
        """Runs it to its end."""
        process = self.start(run_dir)
        code = process.wait(300)
        assert code == 0, Path(str(run_dir) + ".said").read_text()[-3000:]

    def kill(self, run_dir: Path, rng: random.Random) -> bool:
        """Starts it and kills it: at a step, in a save, or at any time; False where it had ended before."""
        before, began, process = _file(run_dir), time.monotonic(), self.start(run_dir)
        kind, delay = rng.choice(["step", "step", "save", "time"]), rng.random() * 0.02
        target, limit = min(self.steps, _saved(run_dir) + rng.randint(1, 25)), rng.uniform(0.2, 4.0)

        def moment() -> bool:
            if kind == "time":
                return time.monotonic() - began > limit
            if _file(run_dir) == before:  # it has not come to training yet
                return False
            if kind == "save":
                return _told(run_dir) >= target - 3 and any(run_dir.glob("checkpoints/.step-*"))
            return _told(run_dir) >= target

        while process.poll() is None and not moment():
            time.sleep(0.0005)
        time.sleep(delay if kind == "step" else 0)
        alive = process.poll() is None
        process.kill()
        code = process.wait()
        said = Path(str(run_dir) + ".said").read_text()[-3000:]
        assert code in (0, -9), said
        if alive:
            left = sorted(path.name for path in run_dir.rglob(".*")) if run_dir.exists() else []
            self.kills.append(f"{kind}: {_told(run_dir)} told, {_saved(run_dir)} saved, left {left}")
        return alive

    def chain(self, name: str, kills: int, seed: int) -> dict[str, Any]:
        """Kills one run again and again, lets it end, and gives what it came to.

        It may end before it was killed that often.
        """
        rng, run_dir = random.Random(seed), self.folder / name
        before = len(self.kills)
        while len(self.kills) - before < kills and self.kill(run_dir, rng):
            pass
        self.finish(run_dir)
        return outcome(run_dir)


def outcome(run_dir: Path) -> dict[str, Any]:
    """What must not depend on kills: the adapter's bytes, the steps told, the counters, no litter."""
    report = json.loads((run_dir / "report.json").read_text())
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    told = ("step", "loss", "learning_rate", "grad_norm", "tokens", "supervised_tokens", "valid_loss")
    return {
        "sha256": report["adapter"]["sha256"],
        "metrics": [{name: line.get(name) for name in told} for line in lines],
        "tokens": (report["train"]["tokens"], report["train"]["supervised_tokens"]),
        "losses": [report["train"][name] for name in ("loss_first", "loss_last", "valid_loss")],
        "litter": sorted(
            str(path) for path in run_dir.rglob("*") if path.name.startswith(".") or path.suffix in LITTER
        ),
        "files": sorted(str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()),
    }


def _file(run_dir: Path) -> int:
    try:
        return (run_dir / "metrics.jsonl").stat().st_ino
    except OSError:
        return 0


def _told(run_dir: Path) -> int:
    try:
        return (run_dir / "metrics.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


def _saved(run_dir: Path) -> int:
    return max((int(path.name[5:]) for path in run_dir.glob("checkpoints/step-*")), default=0)
