"""What is probably meant."""

import pytest

from tasks.data.format.formats import parse_row
from tasks.data.source.json_line import parse_json
from tasks.errors import DataError


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{'text': 'a'}", "double quotes"),
        ("{\"text\": 'a'}", "double quotes"),
        ('{\N{LEFT DOUBLE QUOTATION MARK}text": "a"}', "straight double quotes"),
        ('{"text": "a"} // a row', ""),
        ("// a comment", "no comments"),
        ("# a comment", "no comments"),
        ('{"text": None}', "write null"),
        ('{"train": True}', "write true"),
        ('{"train": False}', "write false"),
        ('{"text": "a",}', "comma too many"),
        ('{"messages": [{"role": "user"},]}', "comma too many"),
        ('{"text": "a"} {"text": "b"}', "two rows stand on one line"),
        ('{"text": "a"}\r{"text": "b"}', "carriage return alone"),
        ('{"text": "a\tb"}', "is written"),
        ("prompt\tcompletion", "this is a table"),
        ("{", "pretty-printed"),
        ("},", "pretty-printed"),
    ],
)
def test_json(text: str, hint: str):
    with pytest.raises(DataError, match="not JSON") as caught:
        parse_json(text)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ({"Messages": []}, "messages: 'Messages'"),
        ({" text": "a"}, "text: ' text'"),
        ({"Prompt": "a", "Completion": "b"}, "is 'Prompt' meant as 'prompt'"),
        ({"role": "user", "content": "a"}, "one message"),
        ({"from": "human", "value": "a"}, "one message"),
        ({"data": [{"text": "a"}]}, "stand inside 'data'"),
        ({"prompt;completion": "a;b"}, "separated by ';'"),
        ({"instruction": "a", "input": "b"}, "data.columns"),
    ],
)
def test_columns(row: dict, hint: str):
    with pytest.raises(DataError, match="no known format") as caught:
        parse_row(row)
    assert hint in str(caught.value)
