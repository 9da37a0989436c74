"""Writes tokens.html: examples token by token, as one page that loads nothing and runs nothing."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from pipelines.report.show_tokens import about, excerpts, left_out, spans, visible, where
from tasks.artifact import write_text
from tasks.data import Data, SplitStats, TokenCache
from tasks.data.excerpt import Excerpt, Piece
from tasks.model import Model

PAGE = "tokens.html"

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --quiet: #6b7280; --line: #d5d9df;
  --learned: #d3f2d8; --learned-ink: #0b4a1d; --weighted: #fdeab5; --weighted-ink: #5b3d00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #15171a; --quiet: #8f98a5; --line: #363b42;
  --learned: #123d20; --learned-ink: #b5f0c3; --weighted: #4a3804; --weighted-ink: #ffe08a; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 2rem 0 .3rem; overflow-wrap: anywhere; }
h2 small { font-weight: normal; color: var(--quiet); margin-left: .6em; }
table { border-collapse: collapse; } th, td { padding: .1rem .8rem .1rem 0; text-align: right; font-weight: normal; }
th:first-child { text-align: left; } thead th, p { color: var(--quiet); }
pre { margin: 0; padding: .7rem .9rem; border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere; color: var(--quiet); font: 13px/1.65 ui-monospace, monospace; }
pre span:hover { outline: 1px solid var(--ink); }
.s { background: var(--learned); color: var(--learned-ink); }
.w { background: var(--weighted); color: var(--weighted-ink); }
.x { font-weight: bold; border: 1px solid currentColor; border-radius: 3px; padding: 0 2px; }
pre b { font-size: .8em; color: var(--weighted-ink); } pre i { display: block; margin: .5rem 0; }
"""


def write_tokens_page(cache: TokenCache, data: Data, model: Model, folder: Path) -> list[Excerpt]:
    """Writes tokens.html into a run directory; gives the examples that it shows."""
    shown = excerpts(cache, model)
    titles = [where(example, data, cache) for example in shown]
    write_text(folder / PAGE, tokens_page(shown, titles, cache.splits))
    return shown


def tokens_page(shown: Sequence[Excerpt], titles: Sequence[str], splits: Mapping[str, SplitStats]) -> str:
    """The page. Everything that comes from a row is escaped, and the page allows no script and no network.

    Args:
        shown: the examples.
        titles: where each stands.
        splits: the counts by role.
    """
    sections = [
        f"<h2>{escape(visible(title))}<small>{escape(about(example))}</small></h2>\n{_example(example)}\n"
        for example, title in zip(shown, titles, strict=True)
    ]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>What is trained on</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>What is trained on</h1>
<p><span class="s">supervised</span> &ensp; <span class="w">supervised with a weight other than 1</span> &ensp;
not supervised &ensp; <span class="x">special token</span> &ensp;
· a space &ensp; → a tab &ensp; ⏎ a line end. Point at a token for its id, its weight and its role.</p>
{_by_role(splits)}
{"".join(sections)}</body>
</html>
"""


def _by_role(splits: Mapping[str, SplitStats]) -> str:
    """A table of tokens and supervised tokens, a row for each role that has any."""
    head = "".join(f"<th>{escape(name)}</th><th>supervised</th>" for name in splits)
    body = ""
    for name in (*next(iter(splits.values())).by_role, "all"):
        shares = [split if name == "all" else split.by_role[name] for split in splits.values()]
        cells = "".join(f"<td>{share.tokens:,}</td><td>{share.supervised_tokens:,}</td>" for share in shares)
        body += f"<tr><th>{escape(name)}</th>{cells}</tr>\n" if any(share.tokens for share in shares) else ""
    return f"<table>\n<thead><tr><th>tokens of</th>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"


def _example(example: Excerpt) -> str:
    between = f"<i>… {left_out(example)} …</i>" if example.tail else ""
    return f"<pre>{_pieces(example.head)}{between}{_pieces(example.tail)}</pre>"


def _pieces(pieces: Sequence[Piece]) -> str:
    out, before = [], 0.0
    for shown, piece in spans(pieces):
        learned = "" if not piece.weight else "s" if piece.weight == 1 else "w"
        if learned == "w" and piece.weight != before:
            out.append(f"<b>×{piece.weight:g}</b>")
        classes = " ".join(filter(None, (learned, "x" if piece.special else "")))
        ids = " ".join(map(str, piece.ids))
        title = f"id {ids}, weight {piece.weight:g}, {piece.speaker}"
        out.append(f'<span class="{classes}" title="{title}">{escape(shown)}</span>')
        before = piece.weight
    return "".join(out)
