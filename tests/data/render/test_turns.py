"""Turns in a render, where headers are missing or repeated."""

from collections.abc import Callable

from tasks.data.render.places import Place
from tasks.data.render.template import Template
from tasks.data.render.turns import Turn, find_turns


def test_an_empty_answer_is_found_by_its_header(tokenizer_of: Callable):
    text = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n"
    places = [Place(17, 18, known=True), Place()]
    turns = find_turns(text, ["user", "assistant"], places, Template(tokenizer_of("chatml"), None, {}), lambda n: "")
    start = text.index("assistant\n") + len("assistant\n")
    assert turns == [None, Turn(start, start + len("<|im_end|>"), True, "<|im_end|>")]


def test_without_a_header_a_prefix_is_believed_only_if_it_is_one(tokenizer_of: Callable):
    text = "<s>[INST] a[/INST] b</s>"
    places = [Place(10, 11, known=True), Place(19, 20, known=True)]
    template, roles = Template(tokenizer_of("inst"), None, {}), ["user", "assistant"]
    for prompt in ("<s>[INST] a[/INST]", "something else"):
        turns = find_turns(text, roles, places, template, lambda n, prompt=prompt: prompt)
        assert turns[1] == Turn(18, 24, True, "</s>")


def test_a_turn_runs_on_through_what_closes_it(tokenizer_of: Callable):
    template = Template(tokenizer_of("chatml"), None, {})
    for closed in ("<|im_end|></s>", "<|im_end|>", "<|END|></s>"):
        text = f"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb{closed}<|im_start|>user\n"
        places = [Place(17, 18, known=True), Place(text.index("b"), text.index("b") + 1, known=True)]
        turn = find_turns(text, ["user", "assistant"], places, template, lambda n: "")[1]
        assert turn is not None
        assert text[turn.start : turn.stop] == f"b{closed}"
        assert turn.end == closed[-len(turn.end) :]
