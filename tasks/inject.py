"""inject: a base model, a LoRA rule and a seed -> the adapter at step 0."""

import logging
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapter import Adapter, save_adapter
from tasks.lora import Rule
from tasks.lora.attach import attach
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.family import model_type
from tasks.model.finite import require_finite

log = logging.getLogger(__name__)


@task(name="inject", task_run_name="inject {rule.label}", cache_policy=NO_CACHE)
def inject(model: Model, rule: Rule, seed: int, out: Path) -> Adapter:
    """Attaches the rule to the base and saves the adapter that training starts from.

    Args:
        model: the base.
        rule: size, strength and targets.
        seed: A is drawn from it; B is zero, so the adapted model is the base.
        out: the adapter directory to write.

    Raises:
        ModelError: the base cannot be loaded, or one of its weights is no finite number.
        TargetError: a target that no projection answers to.
    """
    loaded = load_base(model)
    require_finite(loaded)
    base = loaded.model
    names = attach(base, rule, seed)
    adapter = save_adapter(out, base, rule=rule, source=model, step=0, seed=seed)
    log.info("attached %s to %d projections of %s", rule.label, len(names), model_type(base))
    return adapter
