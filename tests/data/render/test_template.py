"""What is learned of a template by a probe."""

from collections.abc import Callable

import pytest

from tasks.data.render.template import Shape, Template
from tasks.errors import DataError


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
    assert Template(tokenizer_of(name), None, {}).shape == Shape(header, enders)


def test_a_template_that_ends_the_text_after_a_user_turn_too(tokenizer_of: Callable):
    text = (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
    )
    assert Template(tokenizer_of(None), text, {}).shape == Shape("<|assistant|>\n", ("<|end|>",))


def test_turns_ended_by_words(tokenizer_of: Callable):
    text = (
        "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n###\n{% endfor %}"
        "{% if add_generation_prompt %}### assistant:\n{% endif %}"
    )
    assert Template(tokenizer_of(None), text, {}).shape == Shape("### assistant:\n", ("\n###",))


def test_the_templates_own_words_are_the_reason(tokenizer_of: Callable):
    template = Template(tokenizer_of(None), "{{ raise_exception('no such role') }}", {})
    with pytest.raises(DataError, match="refuses the conversation: TemplateError: no such role"):
        template.render([{"role": "user", "content": "a"}])


def test_variables_reach_the_template(tokenizer_of: Callable):
    assert Template(tokenizer_of(None), "{{ date }}", {"date": "today"}).render([{"role": "user"}]) == "today"
