"""What a person sees of tokens: everything visible, nothing of a row obeyed."""

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipelines.report.show_tokens import CLOSE, OPEN, coloured, marked, show_tokens, visible
from tasks.data.excerpt import Excerpt, Piece

HOSTILE = "\x1b[2J\x1b]8;;http://x\x07[bold]a[/bold] [/] \u202eabc\x9b31m\r\x00 ⟦fake⟧"


def piece(text: str, weight: float = 0.0, special: bool = False) -> Piece:
    return Piece(text, (1,), weight, "assistant", special)


def printed(*parts: Piece, terminal: bool, **options: Any) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, color_system="truecolor" if terminal else None, **options)
    show_tokens([Excerpt("train", 0, 7, "shortest", 9, 4, parts)], ["[red]a\x1b.jsonl:7"], console)
    return out.getvalue()


@given(st.text())
def test_nothing_invisible_is_left(text: str):
    shown = visible(text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u00a0\u200b\u2028\u202a-\u202e\u2066-\u2069⟦⟧]", shown)
    assert shown.count("\n") == text.count("\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_rows_are_shown_and_not_obeyed(terminal: bool):
    shown = printed(piece(HOSTILE), piece(HOSTILE, 1.0), terminal=terminal, width=200)
    assert "[bold]a[/bold]" in shown
    assert "‹U+001B›[2J" in shown
    assert "[red]a‹U+001B›.jsonl:7" in shown
    own = re.sub(r"\x1b\[[0-9;]*m", "", shown) if terminal else shown
    assert "\x1b" not in own
    assert not set("\x07\x00\r\x9b\u202e") & set(own)


def test_plain_text_has_marks_and_no_codes():
    shown = printed(piece("ask"), piece("half", 0.5), piece("all", 1.0), piece("</s>", 1.0, True), terminal=False)
    assert f"ask{OPEN}×0.5 half{CLOSE}{OPEN}all</s>{CLOSE}" in shown
    assert "\x1b" not in shown


def test_colours_tell_what_is_supervised():
    text = coloured([piece("ask "), piece("half", 0.5), piece("all", 1.0), piece("</s>", 1.0, True)])
    styles = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert styles == {
        "ask·": "dim",
        "×0.5 ": "bold yellow",
        "half": "yellow",
        "all": "green",
        "</s>": "green reverse",
    }


def test_what_is_left_out_is_counted():
    out = io.StringIO()
    show_tokens(
        [Excerpt("valid", 0, 1, "w", 900, 300, (piece("a"),), (600, 200), (piece("b"),))], ["t"], Console(file=out)
    )
    assert "… 600 tokens not shown, 200 of them supervised …" in out.getvalue()
    assert "w (held out: valid): 300 of 900 tokens supervised" in out.getvalue()


@given(st.lists(st.tuples(st.text("ab \n", min_size=1, max_size=4), st.sampled_from([0.0, 1.0])), max_size=8))
def test_the_marked_spans_are_the_supervised_text(parts: list[tuple[str, float]]):
    shown = marked([piece(text, weight) for text, weight in parts])
    inside = "".join(re.findall(f"{OPEN}(.*?){CLOSE}", shown, re.DOTALL)).replace("⏎\n", "\n").replace("·", " ")
    assert inside == "".join(text for text, weight in parts if weight)


def test_spaces_between_letters_stay_and_others_are_dots():
    assert marked([piece("a"), piece(" b"), piece(" "), piece("c", 1.0)]) == "a b·⟦c⟧"
