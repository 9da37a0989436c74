"""The command line as a person meets it: exit codes, one clear line, nothing left behind, Hydra's flags."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.command.line import command
from pipelines.config import CONF
from tests.pipelines.conftest import QUICK

ROOT = Path(__file__).resolve().parents[3]


def _command(module: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", f"pipelines.{module}", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=300,
        check=False,
    )


def _row(text: str, tmp_path: Path) -> str:
    (tmp_path / "rows.jsonl").write_text(text)
    return f"data.train={tmp_path / 'rows.jsonl'}"


GOOD = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (None, ["rows.jsonl", "no such file"]),
        ("", ["rows.jsonl", "empty"]),
        (GOOD + '{"messages": [\n', ["rows.jsonl:2"]),
        (GOOD + GOOD + '{"messages": []}\n', ["rows.jsonl:3"]),
        (GOOD + '{"messages": [{"role": "wizard", "content": "a"}]}\n', ["rows.jsonl:2", "wizard"]),
    ],
    ids=["no file", "empty file", "bad json", "no messages", "unknown role"],
)
def test_bad_rows_are_one_line_with_file_and_line(rows: str | None, words: list[str], tmp_path: Path) -> None:
    train = f"data.train={tmp_path / 'rows.jsonl'}" if rows is None else _row(rows, tmp_path)
    done = _command("finetune", train, f"run_dir={tmp_path / 'run'}", "orchestrate=false")
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1, done.stderr
    assert len(errors) == 1
    assert all(word in errors[0] for word in words), errors
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_tokenizer_without_a_chat_template(tmp_path: Path) -> None:
    import json
    import shutil

    shutil.copytree(ROOT / "examples/starter/model", tmp_path / "model")
    (tmp_path / "model/chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((tmp_path / "model/tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (tmp_path / "model/tokenizer_config.json").write_text(json.dumps(config))
    done = _command("finetune", "+experiment=quickstart", f"model.path={tmp_path / 'model'}", "orchestrate=false")
    assert done.returncode == 1
    assert "chat template" in done.stderr.splitlines()[-1]


def test_a_mistake_in_the_configuration_costs_no_heavy_import() -> None:
    code = (
        "import sys; sys.argv = ['x', 'lora.rnk=1', 'data.train=x'];"
        "import runpy\n"
        "try: runpy.run_module('pipelines.finetune', run_name='__main__')\n"
        "except SystemExit as done:\n"
        "    print(done.code, [m for m in ('prefect', 'transformers', 'mlx_lm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "1 []"
    assert done.stderr.count("\n") == 1


def test_hydras_own_flags() -> None:
    shown = _command("finetune", "--cfg", "job", "+experiment=quickstart", "lora.rank=4")
    assert shown.returncode == 0, shown.stderr
    assert "rank: 4" in shown.stdout
    helped = _command("finetune", "--help")
    assert helped.returncode == 0
    assert helped.stdout.startswith("Trains a LoRA adapter")
    assert "experiment: " in helped.stdout


@pytest.mark.parametrize("flag", ["--config-dir=/tmp", "-cd=/tmp", "--config-path=/tmp", "--config-name=x"])
def test_files_of_another_folder_are_not_read(
    flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["finetune", flag, "-m", "+experiment=evil"])
    with pytest.raises(SystemExit) as ended:
        command("pipelines.finetune", lambda _: None)
    assert ended.value.code == 1
    assert (
        capsys.readouterr().err == f"error: {flag}: a run is composed of the files of {CONF} alone; put yours there\n"
    )


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["-m"], ["--info"]])
def test_a_mistake_beside_hydras_flags_is_one_line_of_ours(flags: list[str]) -> None:
    done = _command("finetune", *flags, "+experiment=quikstart", "lora.rank=2,4" if "-m" in flags else "lora.rank=2")
    assert done.returncode == 1
    assert done.stderr.startswith("error: experiment=quikstart: there is no such choice; did you mean quickstart?")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            ["--lora.rank=4", "--learning-rate=0.01"],
            "error: learning_rate=0.01: there is no such key; write optim.lr=0.01",
        ),
        (["--lora.rank", "4"], "error: --lora.rank 4: keys are written without dashes, with '=': lora.rank=4"),
        (["-m", "lora.targets=[q_proj,", "v_proj]"], "error: the shell split 'lora.targets=[q_proj, v_proj]' at"),
    ],
)
def test_keys_as_other_tools_take_them_are_understood_or_answered(typed: list[str], words: str) -> None:
    done = _command("finetune", "+experiment=quickstart.yaml", *typed)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(words)


def test_info_takes_what_it_is_about() -> None:
    done = _command("finetune", "--info", "searchpath")
    assert done.returncode == 0, done.stderr
    assert "conf" in done.stdout


def test_shell_completion() -> None:
    line = "python -m pipelines.finetune memory="
    asked = _command("finetune", "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert {"memory=roomy", "memory=tight"} <= set(asked.stdout.split()), asked.stderr


@pytest.mark.parametrize("module", ["verify", "evaluate"])
def test_help_of_the_commands_without_hydras_flags(module: str) -> None:
    done = _command(module, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"python -m pipelines.{module} adapter=" in done.stdout


def test_a_blas_that_is_not_there_is_one_line() -> None:
    done = _command("finetune", "+experiment=quickstart", GRAFTLINE_BLAS="/no/such.so")
    if sys.platform.startswith("linux"):
        assert done.returncode == 1
        assert done.stderr.startswith("error: GRAFTLINE_BLAS=/no/such.so cannot be used: ")
        assert done.stderr.count("\n") == 1


def test_multirun_runs_each_in_one_folder_with_a_summary(tmp_path: Path) -> None:
    done = _command(
        "finetune",
        "-m",
        *QUICK,
        "orchestrate=false",
        "train.steps=1",
        "lora=glob(*)",
        "lora.rank=range(2,6,2)",
        f"hydra.sweep.dir={tmp_path}/all",
        GRAFTLINE_GPU_LOCK=str(tmp_path / "lock"),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.parent.name for path in (tmp_path / "all").glob("*/report.json")) == ["0", "1", "2", "3"]
    lines = (tmp_path / "all" / "summary.md").read_text().splitlines()
    assert lines[2].startswith("| run | lora | lora.rank | status | held-out loss |")
    tried = [tuple(cell.strip() for cell in line.split("|")[2:5]) for line in lines[4:]]
    assert tried == [(rule, rank, "verified") for rule in ("lora", "rslora") for rank in ("2", "4")]
    assert f"{tmp_path}/all/summary.md" in done.stdout


def test_multirun_takes_a_folder_of_ones_own(tmp_path: Path) -> None:
    done = _command(
        "finetune",
        "-m",
        *QUICK,
        "orchestrate=false",
        "train.steps=1",
        "lora.rank=2,4",
        f"run_dir={tmp_path}/${{lora.rank}}",
        f"hydra.sweep.dir={tmp_path}/all",
        GRAFTLINE_GPU_LOCK=str(tmp_path / "lock"),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.parent.name for path in tmp_path.glob("*/report.json")) == ["2", "4"]
    assert (tmp_path / "all" / "summary.md").read_text().count("| verified |") == 2


def test_multirun_stops_at_the_first_mistake(tmp_path: Path) -> None:
    done = _command(
        "finetune", "-m", *QUICK, "orchestrate=false", "lora.rank=0,4", f"hydra.sweep.dir={tmp_path / 'run'}"
    )
    assert done.returncode == 1
    assert "error: lora.rank=0" in done.stderr
    assert "| not finished |" in (tmp_path / "run" / "summary.md").read_text()
    assert not [*tmp_path.glob("run/*/config.yaml")]


def test_a_crash_says_what_was_being_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.command.line import _run
    from tasks.errors import GraftlineError

    module = tmp_path / "crashing.py"
    body = "e = RuntimeError('[metal] out of memory'); e.add_note('training step 3 of 9'); raise e"
    module.write_text(f"def main(_): exec({body!r})")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        GraftlineError, match=r"crashed while training step 3 of 9: RuntimeError: \[metal\] out of memory"
    ):
        _run("crashing", list, [])
