"""A stranger adds a loss, a LoRA rule, a layout, a sink and a check: each by what the README says, and no more."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("conf", "pipelines", "tasks", "tests", "examples", "README.md", "pyproject.toml")
ROWS = re.findall(r"^\| ([\w ]+) \| `(\w+)` \| `\w+\.py` \| `(\w+)`", (ROOT / "README.md").read_text("utf-8"), re.M)
ROOMS = {part: (room, table) for part, room, table in ROWS}
"""What the README's table says: by part, its room and what names it there."""

PARTS = {"loss": "Focal", "LoRA rule": "Gain", "layout": "Single", "sink": "Scribble", "check": "Few"}
NAMES = {"check": "tasks/settings.py"}
"""The file of the line, where it is not the face of the room."""
FILES = {
    "tasks/loss/focal.py": '''
"""The focal loss, Lin et al. (2017), https://arxiv.org/abs/1708.02002: what is right already weighs less."""

from typing import ClassVar, Literal

import mlx.core as mx

from tasks.artifact import Record
from tasks.loss.sums import LossSum, weighted_sum
from tasks.loss.token_cross_entropy import token_cross_entropy


class Focal(Record):
    """(1 - p)^gamma * -log p."""

    supervised_only: ClassVar[bool] = True
    kind: Literal["focal"] = "focal"
    gamma: float = 2.0

    def per_token(self, logits_NV: mx.array, targets_N: mx.array) -> mx.array:
        nll_N = token_cross_entropy(logits_NV, targets_N)
        return (1 - mx.exp(-nll_N)) ** self.gamma * nll_N

    def __call__(self, logits: mx.array, targets: mx.array, weights: mx.array) -> LossSum:
        return weighted_sum(self.per_token(logits, targets), weights)
''',
    "tasks/lora/gain.py": '''
"""A gain for each output of a projection, as in IA3, Liu et al. (2022), https://arxiv.org/abs/2205.05638."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tasks.lora.rule import Rule

if TYPE_CHECKING:
    import mlx.core as mx
    import mlx.nn as nn

    from tasks.lora.adapted import Adapted


class Gain(Rule):
    """y = g * W x, g = 1 at first."""

    fine_tune_type: ClassVar[str] = "gain"
    kind: Literal["gain"] = "gain"

    def wrap(self, linear: nn.Module, key: mx.array) -> Adapted:
        import mlx.core as mx

        from tasks.lora.adapted import Adapted

        class Gained(Adapted):
            trained = ("gain",)

            def __init__(self):
                super().__init__()
                self.linear, self.scale, self._key = linear, 1.0, None
                self.gain = mx.ones((linear["weight"].shape[0],))

            def __call__(self, x: mx.array) -> mx.array:
                return self.linear(x) * self.gain.astype(x.dtype)  # pyright: ignore[reportCallIssue]

        return Gained()

    @property
    def parameters(self) -> dict[str, Any]:
        return {}

    @classmethod
    def read(cls, parameters: dict[str, Any]) -> Gain:
        return cls()
''',
    "tasks/batch/single.py": '''
"""One example a batch, in random order."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from tasks.artifact import Record


class Single(Record):
    """Batches of one row."""

    packs: ClassVar[bool] = False
    kind: Literal["single"] = "single"

    def plan(self, lengths: Sequence[int], rng: np.random.Generator) -> list[list[list[int]]]:
        return [[[index]] for index in rng.permutation(len(lengths)).tolist()]

    def width(self, filled: int, longest: int = 0) -> int:
        return 1 + filled
''',
    "tasks/sink/scribble.py": '''
"""scribble.txt: a word for each thing that a sink is told."""

from tasks.sink.metrics import StepMetrics
from tasks.sink.sink import SinkContext, Status


class Scribble:
    """Counts steps."""

    def __init__(self, run: SinkContext):
        self._file = run.folder / "scribble.txt"
        self._words = [run.name, str(run.config["seed"]), f"{run.first}-{run.last}"]

    def write(self, metrics: StepMetrics) -> None:
        self._words.append(str(metrics.step))

    def close(self, status: Status) -> None:
        self._file.write_text(" ".join([*self._words, status]))
''',
    "tasks/check/few.py": '''
"""The adapter has fewer numbers than a million."""

from tasks.adapter import adapter_parameters
from tasks.check.subject import Finding, Subject


def check(subject: Subject) -> Finding:
    """Counts them on the loaded model."""
    numbers = sum(array.size for array in adapter_parameters(subject.model).values())
    return Finding(numbers < 1_000_000, f"{numbers} numbers")
''',
    "conf/loss/focal.yaml": "kind: focal\ngamma: 2.0\n",
    "conf/lora/gain.yaml": "kind: gain\ntargets: [all]\n",
    "conf/batch/single.yaml": "kind: single\n",
    "tests/loss/test_focal.py": """
import mlx.core as mx
import pytest

from tasks.loss import LOSSES


def test_a_coin_weighs_a_quarter():
    loss = LOSSES["focal"]()(mx.zeros((1, 2)), mx.array([0]), mx.ones(1))
    assert loss.mean.item() == pytest.approx(0.25 * 0.693147, rel=1e-5)
""",
    "tests/lora/test_gain.py": """
import mlx.core as mx
import mlx.nn as nn

from tasks.lora import RULES


def test_it_computes_the_same_at_first():
    linear, x = nn.Linear(4, 3), mx.ones((2, 4))
    assert mx.array_equal(RULES["gain"]().wrap(linear, mx.random.key(0))(x), linear(x))
""",
    "tests/batch/test_single.py": """
import numpy as np

from tasks.batch import LAYOUTS


def test_each_example_is_a_batch():
    assert sorted(LAYOUTS["single"]().plan([5, 9], np.random.default_rng(0))) == [[[0]], [[1]]]
""",
    "tests/check/test_few.py": """
import mlx.core as mx
import mlx.nn as nn

from tasks.check import CHECKS


class Loaded:
    model = nn.Linear(2, 3)


def test_it_counts():
    assert CHECKS["few"](Loaded()).passed
""",
    "tests/sink/test_scribble.py": """
from pathlib import Path

from tasks.sink import SINKS, SinkContext


def test_it_says_how_it_ended(tmp_path: Path):
    SINKS["scribble"](SinkContext(name="mine", config={"seed": 3}, folder=tmp_path, last=2)).close("failed")
    assert (tmp_path / "scribble.txt").read_text() == "mine 3 0-2 failed"
""",
}
TRAIN = """
import sys
from pipelines.config import compose
from pipelines.orchestrate.as_task import as_function
from pipelines.run.stages import run_stages

for choice in sys.argv[1:]:
    overrides = [
        *("+experiment=quickstart", "verify=quick", "evaluate=loss_only", "train.steps=3", "optim.warmup=1"),
        *("evaluate.examples=8", "orchestrate=false", "run_dir=runs/" + choice.partition("=")[0]),
        *choice.split(),
    ]
    report = run_stages(compose(overrides), overrides, as_function)
    assert report["verify"]["passed"], report["verify"]
    print(choice, report["train"]["steps"], report["status"])
"""


def extended(folder: Path) -> Path:
    """A copy of the sources with the parts in it: their files, and for each a line in its room."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for name, text in FILES.items():
        assert not (folder / name).exists()
        (folder / name).write_text(text.lstrip("\n"), encoding="utf-8")
    for part, kind in PARTS.items():
        room, table = ROOMS[part]
        face = folder / NAMES.get(part, f"tasks/{room}/__init__.py")
        opening = rf"(^{table}\b.*= ?(?:Annotated\[|Literal\[|\{{))"
        before, named, after = re.split(opening, face.read_text("utf-8"), flags=re.M)
        if part in NAMES:
            face.write_text(f'{before}{named}"{kind.lower()}", {after}', encoding="utf-8")
            continue
        member = f'"{kind.lower()}": {kind}, ' if named.endswith("{") else f"{kind} | "
        first = before.index(f"from tasks.{room}.")
        imported = f"from tasks.{room}.{kind.lower()} import {kind}\n"
        face.write_text(before[:first] + imported + before[first:] + named + member + after, encoding="utf-8")
    return folder


def passes(folder: Path, *command: str) -> str:
    """What a command of this Python says in the copy, which must be to its satisfaction."""
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.flow
def test_a_part_is_its_files_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    folder = extended(tmp_path / "copy")
    (folder / "TREE.md").write_text(passes(folder, "-m", "tests.tree"), encoding="utf-8")
    tests = [name for name in FILES if name.startswith("tests/")]
    passes(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_tree.py", *tests)
    rooms = [f"tasks/{ROOMS[part][0]}" for part in PARTS]
    users = (
        "pipelines/config/run.py",
        "pipelines/run/stages.py",
        "tasks/plan.py",
        "tasks/verify.py",
        "tasks/step/recipe.py",
    )
    passes(folder, "-m", "pyright", "--pythonpath", sys.executable, *rooms, *users)
    choices = ["loss=focal", "lora=gain", "batch=single ~batch.tokens", "sinks=[scribble]", "verify.checks=[files,few]"]
    said = passes(folder, "-c", TRAIN, *choices)
    assert said.splitlines() == [f"{choice} 3 verified" for choice in choices]
    assert (folder / "runs/sinks/scribble.txt").read_text() == "quickstart 0 0-3 1 2 3 finished"
