"""The whole course of a run on a tiny model of one family: plan, two steps, held-out loss and answers, verification."""

import json
from pathlib import Path
from typing import NamedTuple

import mlx.core as mx

from tasks.attention import honours_alone
from tasks.batch import Packed
from tasks.check import CHECKS
from tasks.data import TokenCache
from tasks.errors import GraftlineError
from tasks.evaluate import evaluate
from tasks.model import Model
from tasks.model.base import load_base
from tasks.plan import plan
from tasks.score.answers import batch_differs
from tasks.settings import Evaluate, Train, Verify
from tasks.verify import verify
from tests.families.configs import build, config_of
from tests.tiny import arrays, byte_tokenizer
from tests.training import recipe, train_in


class Course(NamedTuple):
    """What a family came to.

    Attributes:
        family: its module in mlx-lm.
        layout: `packed` or `bucketed`, as the plan agreed; empty where it was refused.
        attention: `blockwise` or the model's `own`.
        answers: generated in a `batch`, `one by one`, or `none`.
        verified: how many checks passed of how many.
        problems: what failed, in words.
    """

    family: str
    layout: str = ""
    attention: str = ""
    answers: str = ""
    verified: str = ""
    problems: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """A row of the table."""
        said = "; ".join(self.problems).replace("|", "\\|").replace("\n", " ")[:160]
        return f"| {self.family} | {self.layout} | {self.attention} | {self.answers} | {self.verified} | {said} |"


def run_course(family: str, cache: TokenCache, folder: Path) -> Course:
    """Goes the whole way, and says where it ended.

    Args:
        family: a module of `mlx_lm.models`.
        cache: rows under the tiny byte tokenizer.
        folder: where the model and the run go.
    """
    done = Course(family)
    try:
        model = build(family)
    except Exception as error:
        return done._replace(problems=(f"cannot be built: {type(error).__name__}: {error}",))
    source = Model(path=str(write_family(folder / "model", family, model)))
    asked, checks = recipe(layout=Packed(tokens=256), steps=2, train=Train(steps=2)), Verify(checks=tuple(CHECKS))
    answering = Evaluate(examples=4, generate=3, max_new_tokens=4)
    try:
        agreed = plan.fn(cache, source, asked, answering, checks, folder / "plan.json")
        base = load_base(source).model
        attention = "blockwise" if honours_alone(base, 256) else "own"
        done = done._replace(layout=agreed.layout.kind, attention=attention)
        trained = train_in(folder / "run", cache, source, asked.model_copy(update={"layout": agreed.layout}))
        scores = evaluate.fn(trained.adapter, cache, source, answering, folder / "evaluate.json")
        rows = cache.split("valid")
        prompts = [rows.ids(i)[: rows.prompt_length(i)].tolist() for i in range(3)]
        how = "none" if not scores.answered else "one by one" if batch_differs(base, prompts) else "batch"
        verdict = verify.fn(trained.adapter, source, checks)
    except GraftlineError as error:
        return done._replace(problems=(str(error),))
    except Exception as error:
        return done._replace(problems=(f"crashed: {type(error).__name__}: {error}",))
    passed = f"{sum(check.passed for check in verdict.checks)} of {len(verdict.checks)}"
    failed = [f"{check.name}: {check.detail}" for check in verdict.checks if not check.passed]
    return done._replace(answers=how, verified=passed, problems=(*scores.problems, *failed))


def write_family(folder: Path, family: str, model: object) -> Path:
    """Writes a model as a folder that mlx-lm loads; gives the folder."""
    folder.mkdir(parents=True)
    parameters = arrays(model.parameters())  # type: ignore[attr-defined]
    mx.save_safetensors(str(folder / "model.safetensors"), parameters, metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config_of(family)))
    byte_tokenizer().save_pretrained(folder)
    return folder
