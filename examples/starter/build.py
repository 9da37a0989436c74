"""Builds the starter model and its dataset from nothing but a seed. Run it from the root of the repository:

    python -m examples.starter.build

It makes up a text in a small English (`language.py`), trains a byte-level BPE on it (`tokenizer.py`), pretrains a
Qwen3-architecture model on the base skills (`pretrain.py`), and writes two things beside this file:

- `model/`: the model in the ordinary Hugging Face layout, for `mlx_lm.load` and `transformers.AutoTokenizer`;
- `train.jsonl`, `valid.jsonl`, `test.jsonl`: chats of a new skill that the model was never shown.

Same seed, same machine: same bytes. `--out` writes elsewhere, to compare two builds; `--steps 50` is a quick trial.
"""

import argparse
import json
import time
from pathlib import Path
from random import Random

import tasks  # isort: skip  (first: it loads a fast BLAS in front of mlx.core's own)

import mlx.core as mx
import numpy as np
from mlx_lm.models.qwen3 import Model
from transformers import PreTrainedTokenizerBase

from examples.starter.language import BASE_SKILLS, Pair, chat, record
from examples.starter.pretrain import CONFIG, draw, named_weights, pretrain
from examples.starter.tokenizer import TURN_END, encode_chat, write_tokenizer

SEED = 7


def main() -> None:
    options = parse_options()
    started = time.perf_counter()
    model_dir = options.out / "model"
    model_dir.mkdir(parents=True, exist_ok=True)

    tokenizer = write_tokenizer(model_dir, options.seed)
    model = pretrain(tokenizer, seed=options.seed, steps=options.steps, batch=options.batch, peak_rate=options.rate)
    write_model(model, model_dir, tokenizer)
    sizes = write_dataset(options.out, options.seed)
    report(model, tokenizer, options, sizes, time.perf_counter() - started)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where to write")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=1500, help="optimizer steps of pretraining")
    parser.add_argument("--batch", type=int, default=64, help="rows of a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    return parser.parse_args()


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_model(model: Model, model_dir: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Weights in sorted order (the bytes of the file follow it), and the two configurations."""
    mx.save_safetensors(str(model_dir / "model.safetensors"), named_weights(model), metadata={"format": "pt"})
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    write_json(model_dir / "config.json", CONFIG | {"eos_token_id": ends[0], "pad_token_id": ends[1]})
    write_json(
        model_dir / "generation_config.json", {"do_sample": False, "eos_token_id": ends, "pad_token_id": ends[1]}
    )


def write_dataset(out: Path, seed: int) -> dict[str, int]:
    """Chats of the new skill, no sentence in two files or twice in one."""
    rng = Random(seed + 2)
    seen: set[str] = set()
    sizes = {"train": 1500, "valid": 64, "test": 128}
    for split, size in sizes.items():
        rows = []
        while len(rows) < size:
            prompt, answer = record(rng)
            if prompt not in seen:
                seen.add(prompt)
                rows.append(json.dumps({"messages": chat([(prompt, answer)])}))
        (out / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return sizes


def answer(model: Model, tokenizer: PreTrainedTokenizerBase, prompts: list[str], limit: int = 48) -> list[str]:
    """Greedy answers; prompts of one length share a batch, so that nothing is padded."""
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    encoded = [tokenizer.apply_chat_template(each, add_generation_prompt=True, return_dict=False) for each in chats]
    answers = [""] * len(prompts)
    for length in sorted({len(ids) for ids in encoded}):
        members = [i for i, ids in enumerate(encoded) if len(ids) == length]
        ids_BT = np.array([encoded[i] for i in members])
        for _ in range(limit):
            last = mx.argmax(model(mx.array(ids_BT))[:, -1], axis=-1)
            ids_BT = np.concatenate([ids_BT, np.array(last)[:, None]], axis=1)
            if all(tokenizer.eos_token_id in row[length:] for row in ids_BT):
                break
        for i, row in zip(members, ids_BT, strict=True):
            answers[i] = str(tokenizer.decode(row[length:])).split(TURN_END)[0]
    return answers


def exact_match(model: Model, tokenizer: PreTrainedTokenizerBase, pairs: list[Pair]) -> float:
    """The share of the prompts whose greedy answer is the right one, character for character."""
    answers = answer(model, tokenizer, [prompt for prompt, _ in pairs])
    return sum(given == right for given, (_, right) in zip(answers, pairs, strict=True)) / len(pairs)


def report(
    model: Model, tokenizer: PreTrainedTokenizerBase, options: argparse.Namespace, sizes: dict[str, int], seconds: float
) -> None:
    parameters = sum(value.size for value in named_weights(model).values())
    total = sum(path.stat().st_size for path in (options.out / "model").iterdir())
    print(
        f"{parameters:,} parameters, {total / 1e6:.2f} MB, built in {seconds:.0f} s with {tasks.BLAS or 'no fast BLAS'}"
    )
    rng = Random(options.seed + 3)
    for name, skill in [*BASE_SKILLS.items(), ("record (new)", record)]:
        print(f"{name:>14}  {exact_match(model, tokenizer, [draw(skill, rng, held_out=True) for _ in range(200)]):.3f}")
    rows = [json.loads(line)["messages"] for line in (options.out / "train.jsonl").read_text().splitlines()]
    encoded = [encode_chat(tokenizer, row)[0] for row in rows]
    if encoded != [tokenizer.apply_chat_template(row, return_dict=False) for row in rows]:
        raise ValueError("the chat template renders other tokens than the model was pretrained on")
    lengths = sorted(len(ids) for ids in encoded)
    print(f"dataset {sizes}; tokens a row: {lengths[0]} to {lengths[-1]}, median {lengths[len(lengths) // 2]}")


if __name__ == "__main__":
    main()
