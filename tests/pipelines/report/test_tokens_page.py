"""tokens.html: one file, everything escaped, the supervised text marked."""

from html.parser import HTMLParser

import numpy as np

from pipelines.report.tokens_page import tokens_page
from tasks.data import SplitStats
from tasks.data.excerpt import Excerpt, Piece
from tasks.data.format.message import SPEAKERS
from tasks.data.store.stats import split_stats
from tasks.data.store.tally import Tally

HOSTILE = "</pre></span><script>alert(1)</script><img src=x onerror=alert(2)> \" ' &amp; \x1b \u202e"


class Page(HTMLParser):
    """The tags of a page, and the text of its tokens by class."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.tokens = list[str](), list[tuple[str, str]]()
        self.inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert not {name for name in given if name.startswith("on") or name in ("src", "href")}
        self.inside = str(given.get("class")) if tag == "span" and "title" in given else None

    def handle_endtag(self, tag: str) -> None:
        self.inside = None if tag == "span" else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside is not None:
            self.tokens.append((self.inside, data))


def stats() -> SplitStats:
    index = np.array([[0, 3, 0, 1, 1, 0, 0]], np.int64)
    pool = (
        np.array([1, 2, 3], np.uint32),
        np.array([0, 1, 1], np.float32),
        np.array([SPEAKERS.index("user"), SPEAKERS.index("assistant"), SPEAKERS.index("assistant")], np.uint8),
    )
    return split_stats(index, pool, Tally(rows=1), np.zeros(0, bool))


def page(*pieces: Piece, title: str = "a.jsonl:1") -> str:
    return tokens_page([Excerpt("train", 0, 1, "shortest", 3, 2, pieces)], [title], {"train": stats()})


def test_hostile_rows_and_names_are_escaped() -> None:
    text = page(Piece(HOSTILE, (1,), 1.0, "user", False), title=HOSTILE)
    tags = Page(text).tags
    assert not {"script", "img", "link", "a", "iframe"} & set(tags)
    assert tags.count("pre") == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "default-src 'none'" in text


def test_the_marked_tokens_are_the_supervised_ones() -> None:
    text = page(
        Piece("ask", (1,), 0.0, "user", False),
        Piece("half", (2,), 0.5, "assistant", False),
        Piece("all", (3, 4), 1.0, "assistant", False),
        Piece("</s>", (5,), 1.0, "assistant", True),
    )
    assert Page(text).tokens == [("", "ask"), ("w", "half"), ("s", "all"), ("s x", "</s>")]
    assert '<b>×0.5</b><span class="w" title="id 2, weight 0.5, assistant">half</span>' in text
    assert 'title="id 3 4, weight 1, assistant"' in text


def test_the_roles_are_counted() -> None:
    text = page(Piece("a", (1,), 0.0, "user", False))
    assert "<tr><th>user</th><td>1</td><td>0</td></tr>" in text
    assert "<tr><th>assistant</th><td>2</td><td>2</td></tr>" in text
    assert "<tr><th>all</th><td>3</td><td>2</td></tr>" in text
    assert "<th>tool</th>" not in text
