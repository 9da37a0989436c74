"""Hydra's own settings name no code but Hydra's."""

import shutil
from pathlib import Path

import pytest

from pipelines.config import composition, no_code, require_no_code
from pipelines.config.composition import CONF
from tasks.errors import ConfigError


@pytest.mark.parametrize(
    "typed",
    [
        "+hydra.callbacks.x._target_=os.system",
        "+hydra.job_logging.handlers.x.class=os.system",
        "+hydra.job_logging.formatters.x={class:os.system}",
        "hydra.launcher._target_=subprocess.run",
        "+hydra.callbacks.x._target_=hydra.experimental.callbacks.PickleJobInfoCallback",
    ],
)
def test_what_hydra_would_call_around_a_run_is_refused(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"hydra\..* names code to call"):
        require_no_code(["+experiment=quickstart", typed])


def test_hydra_s_own_parts_are_let_be() -> None:
    require_no_code(["+experiment=quickstart", "hydra.sweep.dir=x", "hydra/job_logging=disabled"])


FILES = {
    "a callback": "callbacks: {x: {_target_: os.system}}",
    "a formatter": "job_logging: {formatters: {x: {(): os.system}}}",
    "a sweeper": "sweeper: {_target_: os.system}",
    "a launcher": "launcher: {_target_: os.system}",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("chosen", ["+experiment=evil", "+experiment=quickstart,evil", "+experiment=glob(*)"])
def test_what_a_file_names_is_refused_however_it_is_chosen(
    name: str, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = shutil.copytree(CONF, tmp_path / "conf")
    (conf / "experiment" / "evil.yaml").write_text(f"# @package _global_\nhydra:\n  {FILES[name]}\n")
    for module in (composition, no_code):
        monkeypatch.setattr(module, "CONF", conf)
    with pytest.raises(ConfigError, match=r"hydra\..*=os.system names code to call"):
        require_no_code([chosen])


def test_sweeps_of_values_and_of_harmless_choices_are_let_be() -> None:
    require_no_code(["+experiment=quickstart", "lora.rank=2,4", "lora=lora,rslora", "optim.lr=range(1,3)"])
