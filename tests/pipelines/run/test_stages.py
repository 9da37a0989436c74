"""The stages give one report, with the files of a run directory beside it."""

import json
from collections.abc import Callable
from pathlib import Path

from pipelines.config import compose
from pipelines.run.stages import run_stages


def test_the_stages_as_plain_functions_give_a_sealed_run_directory(
    quick: Callable[..., list[str]], tmp_path: Path
) -> None:
    overrides = quick("orchestrate=false")
    report = run_stages(compose(overrides), overrides, lambda stage: stage.fn)
    folder = tmp_path / "run"
    assert report["run_dir"] == str(folder)
    assert json.loads((folder / "report.json").read_text())["adapter"] == report["adapter"]
    assert json.loads((folder / "manifest.json").read_text())["command"][3:] == overrides
