"""Synonyms: the names that PEFT, TRL, mlx-lm, axolotl and Unsloth give to our keys, each with what to write here."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.config.override import quoted, text

NAMES = {
    "optim.lr": "lr learning_rate max_lr peak_lr",
    "optim.weight_decay": "wd adam_weight_decay",
    "optim.eps": "epsilon adam_eps adam_epsilon",
    "optim.clip_norm": "max_grad_norm grad_norm gradient_clipping grad_clip clip clip_grad_norm gradient_clip_val",
    "optim.schedule": "lr_schedule lr_scheduler lr_scheduler_type scheduler",
    "optim.warmup": "warmup_steps warmup_ratio warmup_iters num_warmup_steps lr_warmup_steps",
    "optim.min_lr": "min_lr_ratio cosine_min_lr_ratio lr_end_ratio",
    "train.steps": "iters iterations max_iters num_iters max_steps num_steps total_steps max_train_steps",
    "train.epochs": "num_epochs num_train_epochs max_epochs n_epochs epoch",
    "train.accumulate": "gradient_accumulation_steps grad_accumulation_steps grad_accum accumulation_steps accum_steps",
    "train.eval_every": "eval_steps steps_per_eval eval_interval val_check_interval eval_freq",
    "train.eval_batches": "val_batches eval_iters",
    "train.save_every": "save_steps save_interval checkpoint_every",
    "train.keep": "save_total_limit max_checkpoints",
    "train.patience": "early_stopping early_stopping_patience",
    "train.compile": "torch_compile",
    "lora.rank": "r lora_r lora_rank lora_dim",
    "lora.alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
    "lora.targets": "target_modules lora_target_modules lora_modules modules keys lora_keys lora_target",
    "data.train": "dataset datasets dataset_name dataset_path train_file train_data train_dataset data_path data_file",
    "data.valid": "valid_file validation validation_file val eval_file eval_dataset eval_data val_data val_file",
    "data.test": "test_file test_data test_dataset",
    "data.valid_share": "val_set_size validation_split val_split test_size eval_split val_size",
    "data.max_tokens": "max_seq_length max_seq_len max_length sequence_len seq_len seq_length cutoff_len block_size "
    "context_length model_max_length max_sequence_length",
    "data.template": "chat_template prompt_template",
    "data.columns": "column_mapping rename_columns field_mapping",
    "data.workers": "num_proc dataset_num_proc num_workers dataloader_num_workers preprocessing_num_workers",
    "model.path": "base_model model_name model_name_or_path model_id model_path pretrained_model_name_or_path",
    "model.dtype": "torch_dtype",
    "model.quantize": "bits q_bits quantization",
    "memory.limit_gb": "memory_limit max_memory memory_limit_gb",
    "evaluate.examples": "max_eval_samples test_batches",
    "run_dir": "output_dir out_dir output adapter_path adapter_file save_dir save_path output_path",
    "name": "run_name project_name experiment_name",
    "seed": "random_seed data_seed random_state",
}
"""Our key, and other names of it whose value stays as it is."""

SWITCHES = {
    "packing sample_packing": ("batch=packed", "batch=padded"),
    "group_by_length": ("batch=bucketed", "batch=packed"),
    "grad_checkpoint gradient_checkpointing activation_checkpointing use_gradient_checkpointing": (
        "memory.checkpoint=all",
        "memory.checkpoint=none",
    ),
    "load_best_model_at_end": ("train.final=best", "train.final=last"),
    "use_rslora rslora": ("lora=rslora", "lora=lora"),
    "lora_target_linear": ("'lora.targets=[all]'", "'lora.targets=[q_proj,v_proj]'"),
    "train_on_inputs": ("data.supervise=all", "data.supervise=assistant"),
    "mask_prompt completion_only_loss": ("data.supervise=completion", "data.supervise=all"),
    "assistant_only_loss train_on_responses_only": ("data.supervise=assistant", "data.supervise=all"),
    "load_in_4bit": ("model.quantize=4", "model.quantize=null"),
    "load_in_8bit": ("model.quantize=8", "model.quantize=null"),
    "bf16": ("model.dtype=bfloat16", "model.dtype=auto"),
    "fp16": ("model.dtype=float16", "model.dtype=auto"),
    "fp32": ("model.dtype=float32", "model.dtype=auto"),
    "do_eval evaluation": ("evaluate=default", "evaluate=off"),
    "quiet silent": ("'sinks=[jsonl]'", "'sinks=[console,jsonl]'"),
}
"""Names that are true or false elsewhere: what to write for each."""

CHOICES = {
    "optimizer": "optim",
    "optim_type": "optim",
    "fine_tune_type": "lora",
    "peft_type": "lora",
    "adapter": "lora",
}
"""Names whose value is a choice of one of our groups."""

SENTENCES = {
    "resume_from_checkpoint resume_adapter_file resume_checkpoint": "the same command with run_dir=FOLDER goes on "
    "from the last checkpoint there",
    "logging_steps steps_per_report log_interval log_every logging_dir": "metrics.jsonl in the run's folder has a line "
    "of every step",
    "use_dora dora": "DoRA is none of the rules here; lora=lora and lora=rslora are",
    "layers_to_transform": "lora.last_blocks=N adapts the last N blocks",
    "bias modules_to_save lora_bias": "only low-rank matrices of projections are trained here",
    "dataset_text_field text_column text_field": "write 'data.columns={text: COLUMN}'",
    "prompt_feature prompt_column": "write 'data.columns={prompt: COLUMN, completion: COLUMN}'",
    "completion_feature response_column": "write 'data.columns={prompt: COLUMN, completion: COLUMN}'",
    "wandb use_wandb wandb_project report_to tensorboard mlflow": "sinks=... says where metrics go; metrics.jsonl in "
    "the run's folder has them all",
}
"""Names that have no key here, and what a person does instead."""

TARGETS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "q": "q_proj", "k": "k_proj", "v": "v_proj"}
"""Names of projections in other models: what those that MLX-LM builds mostly call them."""


def _spread(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for names, value in table.items() for name in names.split()}


_KEYS = {name: key for key, names in NAMES.items() for name in names.split()}
_SWITCHES, _SENTENCES = _spread(SWITCHES), _spread(SENTENCES)


def synonym(key: str, value: Any, known: Iterable[str], plain: Mapping[str, Any]) -> str | None:
    """What to write in place of a key that another tool has, with the value as it is here; None for any other key.

    Args:
        key: as typed, dotted.
        value: decoded.
        known: the keys that there are.
        plain: the configuration, of which the rank is needed to convert a `scale`.

    Example:
        >>> known = ["optim.lr", "lora.rank", "lora.alpha", "lora.last_blocks"]
        >>> synonym("learning_rate", 0.01, known, {})
        'write optim.lr=0.01'
        >>> synonym("lora.scale", 20, known, {"lora": {"rank": 8}})
        'alpha is scale * rank: write lora.alpha=160'
        >>> synonym("num_layers", -1, known, {})
        'write lora.last_blocks=null'
    """
    known = set(known)
    name = key.rpartition(".")[2].lower().replace("-", "_")
    if "lora.rank" in known:
        if name in ("scale", "lora_scale", "scaling"):
            return _scale(value, plain)
        if name in ("num_layers", "lora_layers", "num_lora_layers", "layers"):  # mlx-lm's, where -1 is all
            return f"write {_written('lora.last_blocks', None if value == -1 else value)}"
        if name in ("batch_size", "per_device_train_batch_size", "micro_batch_size", "train_batch_size", "bs"):
            return f"write batch=padded {_written('batch.size', value)}"
    elsewhere = [k for k in known if k.rpartition(".")[2] == name and k != key]
    ours = _KEYS.get(name) or (elsewhere[0] if len(elsewhere) == 1 and name != "kind" else None)
    if ours in known and ours != key:
        return f"write {_written(ours, value)}"
    if "lora.rank" not in known and known:
        return None
    if name in _SWITCHES:
        return f"write {_SWITCHES[name][0 if value not in (False, 0, None, 'false', 'no') else 1]}"
    if name in CHOICES:
        return f"write {CHOICES[name]}={value}"
    return _SENTENCES.get(name)


def _scale(value: Any, plain: Mapping[str, Any]) -> str:
    """The strength is alpha / rank here: the alpha of a strength."""
    rank = (plain.get("lora") or {}).get("rank")
    if isinstance(value, int | float) and isinstance(rank, int | float):
        return f"alpha is scale * rank: write lora.alpha={value * rank:g}"
    return "write lora.alpha=..., which is scale * rank"


def _written(key: str, value: Any) -> str:
    return quoted(f"{key}={text(value)}")
