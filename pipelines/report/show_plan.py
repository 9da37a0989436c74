"""Prints a plan: counts and lengths of each split, remarks on rows, memory and cost."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from pipelines.report.show_tokens import visible
from pipelines.report.terminal_text import plain
from tasks.batch import AnyLayout, Bucketed, Packed, Rows, padding_share
from tasks.budget import RECOMPUTE
from tasks.data import SplitStats
from tasks.data.store.tally import FIRST_LINES, Remark
from tasks.data.store.token_split import TokenSplit
from tasks.device.backend import backend
from tasks.memory import GB, Memory
from tasks.plan import Plan

_BAR = 40
_MUCH = 0.25  # as a share of padding
PARTS = {
    "base": "base weights",
    "adapter": "adapter, optimizer",
    "logits": "logits",
    "kept": "kept for backward",
    "working": "current block",
    "queued": "finished, not yet freed",
    "untold": "backend workspace",
}
"""What the table calls the parts of the peak."""

STAGES = {
    "validation": "validation",
    "loss": "held-out loss",
    "answers": "held-out answers",
    "verification": "verification",
}
"""What the table calls the stages after a step, in the order of the run."""


def show_plan(agreed: Plan, console: Console) -> None:
    """Prints a plan: two tables, the histogram of train, a line for each remark."""
    show_counts(agreed.splits, console)
    console.print(_facts(agreed))
    if agreed.options:
        console.print(_options(agreed))
    for line in [*map(visible, agreed.notes), *mixtures(agreed.splits), *remarks(agreed.splits)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def show_counts(splits: dict[str, SplitStats], console: Console) -> None:
    """Prints the counts of each split and the histogram of train: what can be shown of a run that is refused, too."""
    console.print(_counts(splits))
    console.print(f"train examples by length in tokens, of {splits['train'].examples:,}", highlight=False)
    for line in histogram(splits["train"]):
        console.print(f"  {line}", highlight=False, markup=False)


def advice(agreed: Plan, rows: TokenSplit, seed: int) -> list[str]:
    """What a person does with a plan: whether it fits, the row that costs the most, a faster layout where one is known.

    Args:
        agreed: the plan.
        rows: of train.
        seed: of the run, which orders them.
    """
    longest = int(rows.lengths.argmax())
    lines = [
        f"fits: {agreed.need_bytes / GB:,.3g} GB of {agreed.budget_bytes / GB:,.3g} GB",
        f"the row that costs the most: line {rows.lines[longest]} of train, {rows.lengths[longest]:,} tokens",
    ]
    return lines + faster_layout(agreed.layout, rows, agreed.padding_share, seed)


def faster_layout(layout: AnyLayout, rows: Rows, padding: float, seed: int) -> list[str]:
    """Names a layout that is faster where one is known, and why.

    On a CPU a packed row of many short examples attends to all of itself: 3.3 times slower on rows of 40 tokens.

    Args:
        layout: of the plan.
        rows: of train.
        padding: its share of the positions.
        seed: of the run.
    """
    if isinstance(layout, Packed) and backend() == "cpu":
        other = Bucketed(tokens=layout.tokens * layout.size)
        if (share := padding_share(rows, other, seed=seed)) < _MUCH:
            return [f"faster on this CPU: batch=bucketed batch.tokens={other.tokens}, of which {share:.1%} is padding"]
    if not isinstance(layout, Packed) and padding > _MUCH:
        return [f"{padding:.0%} of the positions are padding: batch=packed has next to none"]
    return []


def _counts(splits: dict[str, SplitStats]) -> Table:
    table = Table("", *splits)
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, value: Callable[[SplitStats], object], *, end: bool = False) -> None:
        cells = [value(split) for split in splits.values()]
        table.add_row(name, *(f"{c:,}" if isinstance(c, int) else str(c) for c in cells), end_section=end)

    row("rows read", lambda s: s.rows)
    row("dropped", lambda s: sum(remark.count for remark in s.dropped.values()))
    row("examples", lambda s: s.examples)
    for name in dict.fromkeys(name for split in splits.values() for name in split.formats):
        row(f"  {name}", lambda s, name=name: s.formats.get(name, 0))
    row("duplicate rows", lambda s: s.duplicates)
    row("also in train", lambda s: s.overlap, end=True)
    row("tokens", lambda s: s.tokens)
    _by_role(row, splits, lambda s, name: s.by_role[name].tokens)
    row("supervised", lambda s: s.supervised_tokens)
    _by_role(row, splits, lambda s, name: s.by_role[name].supervised_tokens)
    for name in ("min", "p50", "p90", "p95", "p99", "max"):
        percent = {"min": "shortest", "max": "longest"}.get(name, f"{name[1:]} % at most")
        row(percent, lambda s, name=name: getattr(s.lengths, name))
    return table


def _by_role(row: Callable, splits: dict[str, SplitStats], value: Callable[[SplitStats, str], int]) -> None:
    names = [name for name in next(iter(splits.values())).by_role if any(value(s, name) for s in splits.values())]
    for name in names:
        row(f"  {name}", lambda s, name=name: value(s, name), end=name == names[-1])


def histogram(split: SplitStats) -> list[str]:
    """The bins of a split's lengths as bars; a bin with any row has a mark."""
    bins = split.lengths.histogram
    names = [f"{b.least:,}" if b.least == b.most else f"{b.least:,}-{b.most:,}" for b in bins]
    most, width = max(b.examples for b in bins), max(map(len, names))
    bars = ["█" * (b.examples * _BAR // most) or "▏" * bool(b.examples) for b in bins]
    return [f"{name:>{width}}  {bar} {b.examples:,}".rstrip() for name, bar, b in zip(names, bars, bins, strict=True)]


def mixtures(splits: dict[str, SplitStats]) -> list[str]:
    """The share of each source in a split of several."""
    out = []
    for name, split in splits.items():
        for source in split.sources if len(split.sources) > 1 else ():
            weight = "" if source.weight is None else f" (weight {source.weight:g})"
            out.append(
                f"{name}: {source.share:.1%} from {source.path}{weight}: {source.examples:,} examples, "
                f"{source.left_out:,} left out, {source.repeated:,} repeated"
            )
    return [visible(line) for line in out]


def remarks(splits: dict[str, SplitStats]) -> list[str]:
    """The remarks on rows, each with its first lines."""
    out = []
    for name, split in splits.items():
        groups = [("dropped: ", split.dropped), ("lost: ", split.lost), ("note: ", split.notes)]
        groups += [("special token: ", split.specials), ("not read: ", split.unread)]
        repeats = Remark(count=split.duplicates, lines=split.duplicate_lines)
        shared = Remark(count=split.overlap, lines=split.overlap_lines)
        groups.append(("", {"a row repeats an earlier one": repeats, "a row stands in train too": shared}))
        groups.append(("", {"a token has a weight other than 1": split.weighted}))
        for kind, remarks_by_text in groups:
            out += [f"{name}: {r.count:,} x {kind}{text}{_lines(r)}" for text, r in remarks_by_text.items() if r.count]
    return [visible(line) for line in out]


def _lines(remark: Remark) -> str:
    more = ", ..." if remark.count > len(remark.lines) >= FIRST_LINES else ""
    plural = "s" * (len(remark.lines) > 1)
    return f" (line{plural} {', '.join(map(str, remark.lines))}{more})" if remark.lines else ""


def _facts(agreed: Plan) -> Table:
    facts = Table("", "", show_header=False)
    facts.add_row("steps", f"{agreed.steps:,} over {agreed.epochs:,.2f} epochs of {agreed.batches_per_epoch:,} batches")
    facts.add_row("padding", f"{agreed.padding_share:.1%} of the positions, {agreed.layout.kind}")
    facts.add_row("adapter", f"{agreed.adapter_parameters:,} parameters on {agreed.adapter_modules} projections")
    facts.add_row("base", plain(f"{agreed.model_type}, {agreed.base_bytes / 1e9:,.3f} GB of weights"))
    facts.add_row("peak memory", f"{agreed.need_bytes / GB:,.3f} GB of {agreed.budget_bytes / GB:,.3f} GB")
    facts.add_row("training step", f"{agreed.peak_memory_bytes / GB:,.3f} GB")
    if agreed.probed_bytes is not None:
        facts.add_row("  measured on a real step; predicted:", f"{agreed.peak.total / GB:,.3f} GB")
    for name, nbytes in agreed.peak.model_dump().items():
        facts.add_row(f"  {PARTS[name]}", f"{nbytes / GB:,.3f} GB")
    for name, nbytes in agreed.stages.items():
        facts.add_row(STAGES[name], f"{nbytes / GB:,.3f} GB")
    return facts


def _options(agreed: Plan) -> Table:
    """What memory=auto weighed, the fastest first; the last is the one taken."""
    table = Table("memory=auto", "peak GB", "time a step", "")
    for option in agreed.options:
        verdict = "taken" if option.fits else "too much"
        table.add_row(option.overrides, f"{option.peak_bytes / GB:,.3f}", f"{option.cost:.2f}x", verdict)
    return table


def show_longest_rows(rows: dict[str, int], memory: Memory, console: Console) -> None:
    """Prints the longest row in tokens of each granularity of checkpointing."""
    table = Table("memory.checkpoint", f"longest row in {memory.budget / GB:,.3g} GB", "time a step")
    for checkpoint, length in rows.items():
        cost = next(cost for name, cost in RECOMPUTE.items() if str(name) == checkpoint)
        table.add_row(checkpoint, f"{length:,} tokens" if length else "none fits", f"{1 + cost:.2f}x")
    console.print(table)
