"""The tokenizer of the starter model: a byte-level BPE and a ChatML template, both in Qwen3's manner."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from examples.starter.language import BASE_SKILLS, story

VOCABULARY = 736
LONGEST = 512
"""Positions of the model."""
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SYSTEM = "You are a helpful assistant."
IGNORED = -1
"""The target of a position that is not supervised."""

# Qwen2's split of a text into pieces, which Qwen3 kept
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = """\
{%- for message in messages %}
    {%- if message.role not in ["system", "user", "assistant"] %}
        {{- raise_exception("unknown role '" ~ message.role ~ "'; choose from system, user, assistant") }}
    {%- endif %}
    {{- "<|im_start|>" ~ message.role ~ "\\n" ~ message.content ~ "<|im_end|>\\n" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|im_start|>assistant\\n" }}
{%- endif %}
"""


def corpus(rng: Random, rows: int) -> Iterator[str]:
    """The text for the tokenizer: each base skill, stories, and the names of the roles."""
    for _ in range(rows):
        yield from (f"{prompt}\n{answer}" for prompt, answer in (skill(rng) for skill in BASE_SKILLS.values()))
        yield f"Record: {story(rng)}\nsystem\n{SYSTEM}\nuser\nassistant\n"


def write_tokenizer(model_dir: Path, seed: int) -> PreTrainedTokenizerBase:
    """Trains the byte-level BPE, in Qwen3's manner: the special tokens get the last ids."""
    specials = [END_OF_TEXT, TURN_START, TURN_END]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(Random(seed), 2000), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    if tokenizer.get_vocab_size() != VOCABULARY:
        raise ValueError(f"the text gave {tokenizer.get_vocab_size()} tokens, the model wants {VOCABULARY}")
    tokenizer.save(str(model_dir / "tokenizer.json"))
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "additional_special_tokens": [TURN_START, TURN_END],
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": TURN_END,
        "errors": "replace",
        "model_max_length": LONGEST,
        "pad_token": END_OF_TEXT,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    (model_dir / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return AutoTokenizer.from_pretrained(model_dir)


def encode_chat(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    """Ids and targets of a chat; the supervised targets are each assistant content and its <|im_end|>."""
    ids: list[int] = []
    targets: list[int] = []
    for message in messages:
        head = tokenizer.encode(f"{TURN_START}{message['role']}\n")
        body = tokenizer.encode(f"{message['content']}{TURN_END}")
        tail = tokenizer.encode("\n")
        ids += head + body + tail
        supervised = message["role"] == "assistant"
        targets += [IGNORED] * len(head) + (body if supervised else [IGNORED] * len(body)) + [IGNORED] * len(tail)
    return ids, targets
