"""Lists the deployments in the Prefect UI: each flow with the page that it shows there."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from pipelines.deploy.schedule import Schedule, to_prefect

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

OVERRIDES = """\
Each **override** changes one setting:

| override | what it changes |
|---|---|
| `data.train=/data/chat.jsonl` | the rows to learn from |
| `model=qwen3_0_6b` | a choice of `conf/model` |
| `model.path=/models/mine` | a model folder, or a name on the Hugging Face hub |
| `lora.rank=16` | the size of the adapter |
| `optim.lr=3e-4` | the learning rate |
| `train.steps=500` | how long, in optimizer steps |
| `window=22:00-06:00` | trains in those hours only; a later run of these settings resumes |
| `name=nightly` | the folder under `outputs/runs` |
"""
PATHS = "Paths are those of the machine that serves."
FINETUNE = f"""\
A model and a dataset in, a verified **LoRA adapter** out: tokenize, plan, inject, train, evaluate, verify.

Pick an **experiment**; `none` starts from the defaults of `conf/config.yaml`. {OVERRIDES}
{PATHS} Cancelling saves a checkpoint first; a run with that `run_dir=` resumes.
"""
EVALUATE = f"""\
Held-out loss and answers of an **adapter**, beside those of its base. The result is a page with both.

The base, and how the adapter is attached, are read from the adapter's own manifest. Overrides that help:

| override | what it changes |
|---|---|
| `model.path=/models/mine` | the base, where the manifest names none |
| `evaluate.generate=16` | how many answers are generated; 0 measures the loss alone |
| `evaluate.examples=200` | how many rows the loss is over |
| `data.format=chat` | how the rows are read |

{PATHS}
"""
VERIFY = f"""\
Reloads an **adapter** from disk and checks it again: its bytes, its logits, its base, its gradients. The result is a \
page with each check; a check that fails makes the run fail, by name.

| override | what it changes |
|---|---|
| `model.path=/models/mine` | the base, where the adapter's manifest names none |
| `verify=quick` | the checks that need no gradient |

{PATHS}
"""
SWEEP = f"""\
A search for the best adapter: **trials** of one run, the hopeless ones stopped early, until the budget is spent.

Pick a **sweep**, what is tried, and the **experiment** that is varied. A sweep started again resumes; started \
on several machines with one `sweep.storage`, they share its trials. Each **override** changes one setting:

| override | what it changes |
|---|---|
| `data.train=/data/chat.jsonl` | the rows to learn from |
| `data.valid=/data/held_out.jsonl` | the rows to judge by |
| `train.steps=500` | any key of the run |
| `sweep.budget.trials=20` | when it is enough; or `sweep.budget.hours=8` |
| `sweep.space.lora.rank.choices=[8,16,32]` | what is tried of a choice |
| `sweep.space.optim.lr.low=1e-4` | where a range begins; `high` is where it ends |
| `sweep.space.lora=null` | what is not tried after all |
| `sweep.objective=evaluate.metric_after` | what is the best, a number of report.json |
| `sweep.direction=maximize` | and whether more of it is better |
| `window=22:00-06:00` | works in those hours only; started again, it resumes in the next ones |
| `sweep.study=mine` | another study, and the folder under `outputs/sweeps` |

{PATHS} Cancelling saves a checkpoint of the trial that is running.
"""
DEPLOYMENTS = {"finetune": FINETUNE, "evaluate": EVALUATE, "verify": VERIFY, "sweep": SWEEP}
"""The flow NAME is that of pipelines/NAME.py."""


def deployments(name: str, schedules: Mapping[str, Schedule]) -> "list[RunnerDeployment]":
    """The deployments to register: the form of each flow, its page, and its schedules.

    Raises:
        ConfigError: a cron line cannot be read.
    """
    from prefect.deployments.runner import RunnerDeployment
    from prefect.types.entrypoint import EntrypointType

    return [
        RunnerDeployment.from_flow(
            getattr(import_module(f"pipelines.{flow}"), flow),
            name=name,
            description=page,
            tags=["graftline", flow],
            schedules=[to_prefect(key, made) for key, made in schedules.items() if made.deployment == flow],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for flow, page in DEPLOYMENTS.items()
    ]
