"""What Hydra and pydantic say, in words that name the key, the value and the fix."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from pipelines.config import CONF, Run, compose_plain
from pipelines.config.explain import explain, explain_hydra
from tasks.batch import LAYOUTS
from tasks.lora import RULES
from tasks.loss import LOSSES
from tasks.optim import OPTIMIZERS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Could not find 'lora/lorra'", "lora=lorra: there is no such choice; did you mean lora. choose from lora"),
        ("Could not override 'experiment'. No match.", "no file of conf/experiment is chosen .* write \\+experiment="),
        ("Ambiguous value for argument '++lora.rank=2,4'\n1. ...", "^lora.rank=2,4: several values are several runs"),
        ("\n  first line\nsecond", "cannot be composed:   first line$"),
        ("", "cannot be composed: RuntimeError"),
    ],
)
def test_hydra(text: str, words: str) -> None:
    said = explain_hydra(RuntimeError(text), CONF)
    assert re.search(words, said), said


def test_every_choice_of_a_group_is_listed(tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    for name in ("b", "a"):
        (tmp_path / f"lora/{name}.yaml").write_text("")
    assert explain_hydra(RuntimeError("Could not find 'lora/zzz'"), tmp_path).endswith("choose from a, b")


def _explained(record: type[BaseModel], plain: dict) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        record.model_validate(plain)
    return [explain(detail, record) for detail in caught.value.errors()]


def test_pydantic() -> None:
    plain = compose_plain(["+experiment=quickstart"])
    plain["lora"]["rnk"] = 3
    plain["batch"] = {"kind": "padded", "tokens": 4}
    assert [line for line in _explained(Run, plain) if "there is no such key" in line] == [
        "batch.tokens=4: there is no such key with batch=padded; '~batch.tokens' takes it away",
        "lora.rnk=3: there is no such key; did you mean lora.rank?",
    ]


@pytest.mark.parametrize(
    ("group", "table"), [("batch", LAYOUTS), ("lora", RULES), ("loss", LOSSES), ("optim", OPTIMIZERS)]
)
def test_an_unknown_kind_lists_those_of_its_table(group: str, table: dict[str, object]) -> None:
    plain = compose_plain(["+experiment=quickstart"])
    plain[group]["kind"] = "fokal"
    choices = ", ".join(f"'{kind}'" for kind in table)
    assert f'{group}.kind="fokal": choose from {choices}' in _explained(Run, plain)
