"""Defects of real files, each read right or refused with its reason, and never anything in between."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.data import Data
from tasks.data.render.template import Template
from tasks.data.source.read import read_rows
from tasks.data.store.tally import Tally
from tasks.data.store.tokenize_rows import tokenize_source
from tasks.errors import DataError

USER, ANSWER = '{"role": "user", "content": "hi"}', '{"role": "assistant", "content": "ho"}'
GOOD = f'{{"messages": [{USER}, {ANSWER}]}}'


def chat(*messages: str, more: str = "") -> str:
    return f'{{"messages": [{", ".join(messages)}]{more}}}'


def said(role: str, content: str, more: str = "") -> str:
    return f'{{"role": {role}, "content": {content}{more}}}'


def turns(*pairs: tuple[str, str]) -> str:
    return json.dumps({"conversations": [{"from": sender, "value": value} for sender, value in pairs]})


CALL = '{"type": "function", "function": {"name": "f", "arguments": %s}}'

# One row each: None where it is read, else words of the reason.
ROWS: dict[str, tuple[str | bytes, str | None]] = {
    "role in capitals": (chat(said('"User"', '"a"'), ANSWER), "write 'user'"),
    "role with a space": (chat(USER, said('"assistant "', '"a"')), "write 'assistant'"),
    "role empty": (chat(said('""', '"a"'), ANSWER), "the role is ''"),
    "role a number": (chat(said("1", '"a"'), ANSWER), "the role is 1"),
    "role null": (chat(said("null", '"a"'), ANSWER), "the role is missing"),
    "role of ShareGPT": (chat(said('"gpt"', '"a"'), ANSWER), "conversations"),
    "content null": (chat(USER, said('"assistant"', "null")), "missing or null"),
    "content of the user null": (chat(said('"user"', "null"), ANSWER), "missing or null"),
    "content a number": (chat(USER, said('"assistant"', "42")), "a number"),
    "content true": (chat(USER, said('"assistant"', "true")), "a boolean"),
    "content an object": (chat(USER, said('"assistant"', '{"text": "a"}')), "an object"),
    "content an empty list": (chat(USER, said('"assistant"', "[]")), "an empty list"),
    "content a nested list": (chat(USER, said('"assistant"', '[["a"]]')), "no 'text' string"),
    "content parts": (chat(USER, said('"assistant"', '[{"type": "text", "text": "a"}]')), None),
    "content a part without text": (chat(USER, said('"assistant"', '[{"type": "text"}]')), "no 'text' string"),
    "content an image": (chat(said('"user"', '[{"type": "image_url", "image_url": {}}]'), ANSWER), "image_url"),
    "a message that is a string": (chat('"hi"', ANSWER), "messages[0] is a string"),
    "a message that is null": (chat("null", ANSWER), "messages[0] is missing or null"),
    "a message that is a list": (chat("[]", ANSWER), "messages[0] is an empty list"),
    "messages empty": ('{"messages": []}', "an empty list"),
    "messages an object": ('{"messages": {"role": "user"}}', "an object"),
    "messages in a string": (json.dumps({"messages": f"[{USER}, {ANSWER}]"}), None),
    "messages in a string cut off": (json.dumps({"messages": f"[{USER}, {ANSWER}"}), "no list of messages"),
    "messages in a string that is none": (json.dumps({"messages": "hi"}), "a string"),
    "no assistant": (chat(USER), "no message is 'assistant'"),
    "user last": (chat(USER, ANSWER, USER), None),
    "assistant first": (chat(ANSWER, USER, ANSWER), None),
    "two assistants in a row": (chat(USER, ANSWER, ANSWER), None),
    "only a system": (chat(said('"system"', '"a"')), "no message is 'assistant'"),
    "arguments not JSON": (
        chat(USER, said('"assistant"', '""', f', "tool_calls": [{CALL % json.dumps("{x")}]')),
        "are not JSON",
    ),
    "arguments a list": (chat(USER, said('"assistant"', '""', f', "tool_calls": [{CALL % "[1]"}]')), "write an object"),
    "tool_calls an object": (chat(USER, said('"assistant"', '""', ', "tool_calls": {}')), "it must be a list"),
    "tool_calls of the user": (chat(said('"user"', '"a"', f', "tool_calls": [{CALL % "{}"}]'), ANSWER), "only an"),
    "tools not a list": (chat(USER, ANSWER, more=', "tools": 3'), "'tools' is a number"),
    "train in words": (chat(USER, said('"assistant"', '"a"', ', "train": "no"')), "true or false"),
    "nothing to train on": (chat(USER, said('"assistant"', '"a"', ', "train": false')), "no token of the row"),
    "weight in words": (chat(USER, ANSWER, more=', "weight": "high"'), "must be a number"),
    "weight below zero": (chat(USER, ANSWER, more=', "weight": -1'), "not negative"),
    "weight beyond float32": (chat(USER, ANSWER, more=', "weight": 1e300'), "it must be 0, or from"),
    "weight a huge integer": (chat(USER, ANSWER, more=', "weight": 1' + "0" * 400), "it must be 0, or from"),
    "weight zero": (chat(USER, ANSWER, more=', "weight": 0'), "the row's own weight is"),
    "weight null": (chat(USER, ANSWER, more=', "weight": null'), None),
    "keys in capitals": (GOOD.replace("messages", "Messages"), "messages: 'Messages'"),
    "a key with a space": (GOOD.replace("messages", "messages "), "messages: 'messages '"),
    "one message for a row": (USER, "one message"),
    "rows inside an object": (f'{{"data": [{GOOD}]}}', "stand inside 'data'"),
    "a row that is a list": (f"[{USER}, {ANSWER}]", "a list"),
    "a row that is a string": ('"hello"', "a string"),
    "a row that is a number": ("12", "a number"),
    "a row that is null": ("null", "the row is missing or null"),
    "a row that is an empty object": ("{}", "no known format"),
    "text empty": ('{"text": ""}', "'text' is empty"),
    "text white space": ('{"text": " \\n\\t "}', "'text' is empty"),
    "text null": ('{"text": null}', "'text' is missing or null"),
    "text a list": ('{"text": ["a"]}', "'text' is a list"),
    "prompt null": ('{"prompt": null, "completion": "a"}', "'prompt' is missing or null"),
    "completion missing": ('{"prompt": "a"}', "no known format"),
    "completion null": ('{"prompt": "a", "completion": null}', "'completion' is missing or null"),
    "completion a number": ('{"prompt": "a", "completion": 4}', "'completion' is a number"),
    "Alpaca without output": ('{"instruction": "a", "input": ""}', "no known format"),
    "Alpaca with output null": ('{"instruction": "a", "input": "", "output": null}', "'output' is missing or null"),
    "Alpaca with input null": ('{"instruction": "a", "input": null, "output": "b"}', None),
    "ShareGPT of several models": (turns(("human", "a"), ("chatgpt", "b"), ("user", "c"), ("bard", "d")), None),
    "ShareGPT of an unknown sender": (turns(("human", "a"), ("alien", "b")), "from is 'alien'"),
    "ShareGPT without value": ('{"conversations": [{"from": "human"}]}', "no 'value' string"),
    "ShareGPT empty": ('{"conversations": []}', "'conversations' is an empty list"),
    "a trailing comma": (GOOD[:-1] + ",}", "comma too many"),
    "cut off": (GOOD[:-9], "not JSON"),
    "single quotes": ("{'text': 'a'}", "double quotes"),
    "a comment": ("// a row follows", "no comments"),
    "a comment of Python": ("# a row follows", "no comments"),
    "Python's None": ('{"text": None}', "write null"),
    "keys without quotes": ('{text: "a"}', "not JSON"),
    "two rows on one line": (GOOD + GOOD, "two rows stand on one line"),
    "two rows and a carriage return": (GOOD + "\r" + GOOD, "carriage return alone"),
    "two rows and U+2028": (GOOD + "\u2028" + GOOD, "not JSON"),
    "garbage behind": (GOOD + " x", "not JSON"),
    "Infinity": ('{"text": "a", "weight": Infinity}', "Infinity is not JSON"),
    "NaN": ('{"text": "a", "score": NaN}', "NaN is not JSON"),
    "1e400": ('{"text": "a", "score": 1e400}', "too large"),
    "an integer of 5000 digits": ('{"text": "a", "n": ' + "1" * 5000 + "}", "not JSON"),
    "an integer of 40 digits": ('{"text": "a", "n": ' + "1" * 40 + "}", None),
    "a key twice": ('{"text": "a", "text": "b"}', "stands twice"),
    "a key twice inside": (GOOD.replace('"role": "user"', '"role": "user", "role": "user"'), "stands twice"),
    "half a surrogate": ('{"text": "a \\ud83d b"}', "surrogate"),
    "half a surrogate in a key": ('{"text": "a", "\\udc00": 1}', "surrogate"),
    "a surrogate in bytes": (b'{"text": "\xed\xa0\xbd"}', "not UTF-8"),
    "a whole pair": ('{"text": "\\ud83d\\ude00"}', None),
    "an overlong byte": (b'{"text": "\xc0\x80"}', "not UTF-8"),
    "Latin-1": ('{"text": "café"}'.encode("latin-1"), "data.encoding=cp1252"),
    "a NUL byte": (b'{"text": "a\0b"}', "NUL byte"),
    "NUL bytes alone": (b"\0" * 64, "NUL byte"),
    "a tab in a string": ('{"text": "a\tb"}', "is written"),
    "a control character": ('{"text": "a\x01b"}', "not JSON"),
    "a byte order mark in the middle": ("\ufeff" + GOOD, None),
    "U+FEFF in a string": ('{"text": "a\ufeffb"}', None),
    "U+2028, U+2029, U+0085 in a string": ('{"text": "a\u2028b\u2029c\x85d"}', None),
    "a carriage return before its line feed": (GOOD + "\r", None),
    "white space around": (" \t" + GOOD + "  ", None),
    "ids that are the same": ('{"id": 1, "text": "a"}', None),
    "a line of 300,000 characters": (json.dumps({"text": "a" * 300_000}), None),
    "nested 5000 deep": ("[" * 5000 + "]" * 5000, ""),
    "an end of file of DOS": (b"\x1a", "not JSON"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_between_two_good_ones(tmp_path: Path, tokenizer_of: Callable, name: str):
    row, reason = ROWS[name]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([GOOD.encode(), row if isinstance(row, bytes) else row.encode(), GOOD.encode(), b""]))
    kept, tally = _read(path, tokenizer_of("chatml"), strict=False)
    assert {1, 3} <= kept, "its neighbours are read"
    assert tally.rows == 3
    if reason is None:
        assert 2 in kept
        return
    ((told, remark),) = tally.dropped.items()
    assert remark.lines == (2,)
    assert reason.replace("[0]", "[N]").replace("is 1", "is N").replace("be 0", "be N") in told
    if "own weight" in reason:  # asked for: it does not stop a strict run
        assert _read(path, tokenizer_of("chatml"), strict=True)[0] == {1, 3}
        return
    with pytest.raises(DataError) as caught:
        _read(path, tokenizer_of("chatml"), strict=True)
    assert str(caught.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    ("content", "lines", "reason"),
    [
        (f"\n  \n{GOOD}\n\n\n{GOOD}\n", {3, 6}, None),
        (f"{GOOD}\r\n{GOOD}\n{GOOD}", {1, 2, 3}, None),
        (f"{GOOD}\r{GOOD}\r", {1, 2}, None),
        (f"[{GOOD},\n{GOOD}\n]", {1, 2}, None),
        (f"\ufeff[\n{GOOD}]", {2}, None),
        (f"[{GOOD},\n{GOOD},]", None, r":2: the JSON array has '\]'"),
        (f"[{GOOD}\n{GOOD}]", None, r":2: the JSON array has '\{' where , or \] must be"),
        (f"[{GOOD},\n{GOOD[:-4]}", None, r":2: "),
        (f"[{GOOD}]\n[{GOOD}]", None, r":2: something follows the JSON array"),
        (json.dumps(json.loads(GOOD), indent=2), set(), None),
        (f"{GOOD}\n{GOOD[:-6]}", {1}, None),
    ],
)
def test_a_whole_file(tmp_path: Path, tokenizer_of: Callable, content: str, lines: set[int] | None, reason: str | None):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content.encode())
    if lines is None:
        with pytest.raises(DataError, match=reason):
            _read(path, tokenizer_of("chatml"), strict=False)
    else:
        assert _read(path, tokenizer_of("chatml"), strict=False)[0] == lines


def test_a_row_cut_off_at_the_end_is_suspected(tmp_path: Path, tokenizer_of: Callable):
    (tmp_path / "a.jsonl").write_text(f"{GOOD}\n{GOOD[:-6]}")
    with pytest.raises(DataError, match=r"a\.jsonl:2: not JSON.*is the file cut off\?"):
        _read(tmp_path / "a.jsonl", tokenizer_of("chatml"), strict=True)


def _read(path: Path, tokenizer: object, *, strict: bool) -> tuple[set[int], Tally]:
    data, tally = Data(train=str(path), strict=strict), Tally()
    template = Template(tokenizer, None, {})  # type: ignore[arg-type]
    (source,) = data.sources("train")
    examples = tokenize_source(read_rows(str(path)), source, data, tokenizer, template, tally)  # type: ignore[arg-type]
    return {line for line, _, _ in examples}, tally
