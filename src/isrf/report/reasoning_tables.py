"""The report on reasons for the terminal: tables and lines of at most 100 columns. Computes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from isrf.reasoning.llm.prompts import FIELDS, Field, Kind
from isrf.reasoning.tables import NO_BUDGET, NO_TEXT
from isrf.report.examples import Example
from isrf.report.reasoning import Acceptance, KindReport, ReasoningReport
from isrf.report.sentences import BIN, Lengths, Sentences

BAR = 10
"""Longest bar of a histogram, characters."""
WORDS = {NO_BUDGET: "the budget was spent", NO_TEXT: "nothing is known to ask about"}
"""Why rows were not asked about, for people."""


def renderables(report: ReasoningReport) -> Iterator[RenderableType]:
    """All of the report from top to bottom: the figures of items and of users, then examples of both.

    Catalogue text and answers stand in ``Text``, where no markup is read.
    """
    for kind in (report.items, report.users):
        yield Text(f"\n{kind.rows:,} {kind.kind}s", style="bold")
        yield _writers(kind)
        yield from _acceptance(kind.acceptance, kind.kind)
        for sentences in kind.sentences:
            yield _likeness(sentences)
        if kind.sentences:
            yield _histograms(kind.sentences[0], kind.kind)
    for kind in (report.items, report.users):
        if kind.examples:
            yield Text("")
            yield _examples(kind, report.seed)


def _writers(kind: KindReport) -> Table:
    table = Table(title="who wrote them", title_justify="left")
    table.add_column("by", overflow="fold")
    for name in ("rows", "share", "interactions", "tokens in", "out", "thinking"):
        table.add_column(name, justify="right")
    for writer in kind.writers:
        by = Text(f"{writer.supplier}, {writer.model}")
        if writer.prompt_version:
            by.append(f", prompt {writer.prompt_version}")
        tokens = (writer.tokens_in, writer.tokens_out, writer.tokens_thinking)
        shares = (f"{writer.share:.1%}", f"{writer.interactions:.1%}")
        table.add_row(by, f"{writer.rows:,}", *shares, *(f"{count:,}" for count in tokens))
    return table


def _acceptance(found: Acceptance, kind: Kind) -> Iterator[RenderableType]:
    if found.asked:
        table = Table(title=f"{found.asked:,} {kind}s asked about", title_justify="left")
        table.add_column("what became of them")
        table.add_column("rows", justify="right")
        table.add_column("share", justify="right")
        outcomes = {
            "accepted at the first answer": found.first,
            "accepted at the second": found.second,
            "rejected, so attribute statistics wrote it": found.fallen_back,
            "not answered, so attribute statistics wrote it": found.unanswered,
        }
        for outcome, rows in outcomes.items():
            table.add_row(outcome, f"{rows:,}", f"{rows / found.asked:.1%}")
        yield table
        each = f"{found.tokens_in / found.asked:,.0f} in and {found.tokens_out / found.asked:,.0f} out"
        vain = found.tokens_in_vain / max(found.tokens_in + found.tokens_out, 1)
        yield Text(f"{found.tokens_a_row:,.0f} tokens a row asked about ({each}), {vain:.0%} of them in vain")
    else:
        yield Text("no LLM was asked")
    for why, rows in found.not_asked.items():
        yield Text(f"{rows:,} not asked about: {WORDS.get(why, why)}")
    for why, rows in found.endpoint.items():
        yield Text(f"{rows:,} not answered: {why}")
    if found.rejections:
        table = Table(title="why answers were rejected", title_justify="left")
        table.add_column("question: fault", overflow="fold")
        table.add_column("answers", justify="right")
        table.add_column("rows lost", justify="right")
        for rejection in found.rejections:
            table.add_row(Text(rejection.reason), f"{rejection.answers:,}", f"{rejection.rows:,}")
        yield table


def _by(sentences: Sentences) -> str:
    return "attribute statistics" if sentences.statistics else "LLM"


def _likeness(sentences: Sentences) -> Text:
    line = Text(f"{sentences.rows:,} by {_by(sentences)}: {sentences.near_duplicates:.1%} of the features are ")
    line.append("near-duplicates; ")
    if not sentences.repeated:
        return line.append("no two are the same")
    return line.append(f"in {sentences.repeated_rows:,} rows: “{sentences.repeated}”")


def _histograms(sentences: Sentences, kind: Kind) -> Table:
    title = f"words, {sentences.rows:,} {kind}s by {_by(sentences)}; < marks the limit"
    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("words", footer="median", justify="right", no_wrap=True)
    for field in FIELDS:
        found = sentences.lengths[field]
        table.add_column(f"{field}, at most {found.limit}", footer=f"{found.median:g}", no_wrap=True)
    if any(found.empty for found in sentences.lengths.values()):
        table.add_row("none", *(_bar(found.empty, found) for found in sentences.lengths.values()))
    for n in range(max(len(found.counts) for found in sentences.lengths.values())):
        cells = (_bin(n, sentences.lengths[field]) for field in FIELDS)
        table.add_row(f"{n * BIN + 1} to {(n + 1) * BIN}", *cells)
    return table


def _bin(n: int, found: Lengths) -> str:
    mark = " <" if n * BIN < found.limit <= (n + 1) * BIN else ""
    return _bar(found.counts[n] if n < len(found.counts) else 0, found) + mark


def _bar(rows: int, found: Lengths) -> str:
    """A bar as long as the rows' share of the largest bin, and their number; blank where there is none."""
    if not rows:
        return " " * (BAR + 7)
    size = -(-BAR * rows // max(1, found.empty, *found.counts))
    return f"{'█' * size:<{BAR}} {rows:>6,}"


def _examples(kind: KindReport, seed: int) -> Table:
    written = any(not sentences.statistics for sentences in kind.sentences)
    by = "by LLM" if written else "by attribute statistics (no LLM wrote any)"
    among = f"all {kind.searchable:,}" if kind.searched == kind.searchable else f"a random {kind.searched:,}"
    title = f"{len(kind.examples)} random {kind.kind}s {by}, seed {seed}; cosine of features among {among}"
    table = Table(title=title, title_justify="left", show_lines=True, expand=True)
    known = "item, attributes" if kind.kind == "item" else "user, newest items"
    table.add_column(f"{known}, nearest by cosine", ratio=2, overflow="fold")
    table.add_column("what was said of it", ratio=3, overflow="fold")
    for example in kind.examples:
        table.add_row(_known(example), _said(example, kind.kind))
    return table


def _known(example: Example) -> Text:
    text = Text(example.title, style="bold")
    if example.about:
        text.append(f"\n{example.about}", style="not bold dim")
    for other in example.nearest:
        text.append(f"\n{other.cosine:.2f} {other.name}", style="not bold")
    return text


def _said(example: Example, kind: Kind) -> Text:
    labels: dict[Field, str] = {"likes": "likes", "dislikes": "dislikes", "feature": "feature"}
    if kind == "user":
        labels["feature"] = "core preference"
    text = Text()
    for field, said in zip(FIELDS, (example.likes, example.dislikes, example.feature), strict=True):
        text.append(f"{labels[field]}: ", style="bold").append(f"{said or '(nothing)'}\n")
    return text.append(f"by {example.supplier}, {example.model}", style="dim")
