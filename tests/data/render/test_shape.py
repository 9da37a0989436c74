"""What is learned of a template by a probe."""

from collections.abc import Callable

import pytest

from tasks.data.render.shape import Shape
from tasks.data.render.template import Template


@pytest.mark.parametrize(
    ("name", "header", "enders"),
    [
        ("chatml", "<|im_start|>assistant\n", ("<|im_end|>",)),
        ("thinking", "<|im_start|>assistant\n", ("<|im_end|>",)),
        ("inst", "", ("</s>",)),
        ("plain words", "ASSISTANT:", ("</s>",)),
        ("channels", "<|start|>assistant", ("<|end|>", "<|return|>")),
        ("turns", "<start_of_turn>model\n", ("<end_of_turn>",)),
        ("tokens", "<|TURN|><|BOT_TOKEN|>", ("<|END|>",)),
        ("marked", "<|im_start|>assistant\n", ("<|im_end|>",)),
    ],
)
def test_shape(tokenizer_of: Callable, name: str, header: str, enders: tuple[str, ...]):
    shape = Template(tokenizer_of(name), None, {}).shape
    assert (shape.header, shape.enders, shape.closers) == (header, enders, ("</s>",))


def test_a_template_that_ends_the_text_after_a_user_turn_too(tokenizer_of: Callable):
    text = (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
    )
    assert Template(tokenizer_of(None), text, {}).shape == Shape("<|assistant|>\n", ("<|end|>",), ("</s>",))


def test_turns_ended_by_words(tokenizer_of: Callable):
    text = (
        "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n###\n{% endfor %}"
        "{% if add_generation_prompt %}### assistant:\n{% endif %}"
    )
    assert Template(tokenizer_of(None), text, {}).shape == Shape("### assistant:\n", ("\n###",), ("</s>",))


def test_a_template_that_closes_an_answer_twice(tokenizer_of: Callable):
    text = "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|return|><|end|>{% endfor %}"
    shape = Template(
        tokenizer_of(None), text + "{% if add_generation_prompt %}<|start|>assistant<|message|>{% endif %}", {}
    ).shape
    assert (shape.enders, shape.closers) == (("<|return|>",), ("<|end|>", "</s>"))


@pytest.mark.parametrize("header", ["<|start|>assistant<|message|>", "<|BOT_TOKEN|>"])
def test_the_next_header_is_no_closer(tokenizer_of: Callable, header: str):
    own = header if header == "<|BOT_TOKEN|>" else "<|start|>{{ m.role }}<|message|>"
    text = (
        f"{{% for m in messages %}}{{% if m.role == 'assistant' %}}{own}{{% else %}}<|USER_TOKEN|>{{% endif %}}"
        f"{{{{ m.content }}}}<|end|>{{% endfor %}}{header}"
    )
    assert Template(tokenizer_of(None), text, {}).shape.closers == ("</s>",)
