"""The tables of reasons: attribute statistics for every row, an LLM's replies over them, and who wrote what and why.

Knows nothing about how anything was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from isrf.core.progress import note
from isrf.data.training_data import TrainingData
from isrf.reasoning.answers.quality import sentence_key
from isrf.reasoning.answers.validation import SHARED
from isrf.reasoning.attributes.terms import Terms
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.prompts import Kind, Prompt
from isrf.reasoning.llm.row_results import Replies
from isrf.reasoning.sentences import Reasons


class ReasonColumns:
    """Columns of the tables made here, beside ``Columns.ITEM`` or ``Columns.USER``."""

    LIKES = "likes"
    DISLIKES = "dislikes"
    FEATURE = "feature"
    SUPPLIER = "supplier"  # attributes, local or openai: who wrote this very row
    MODEL = "model"
    PROMPT_VERSION = "prompt_version"
    TOKENS_IN = "tokens_in"
    TOKENS_OUT = "tokens_out"
    TOKENS_THINKING = "tokens_thinking"
    FAULTS = "faults"  # why answers were rejected, "ask: reason; ask: reason"
    FALLBACK = "fallback"  # why attribute statistics wrote the row although an LLM is the supplier


STATISTICS = "attributes"
STATISTICS_VERSION, WORDED_VERSION = "lift-2", "lift-3"
"""Recorded as ``model`` of rows from attribute statistics; changes when the same log would give other sentences. The second
is that of catalogues whose function words lift-2 took for attributes; of others both versions say the same."""
NO_BUDGET, NO_TEXT = "budget", "no text"
"""``fallback`` of rows that were not asked about: the budget was spent, or nothing is known to ask about."""
UNANSWERED = "endpoint: "
"""How the ``fallback`` of a row begins that the endpoint did not answer; it is asked about again by the next run."""

SCHEMA = {
    ReasonColumns.LIKES: pl.String,
    ReasonColumns.DISLIKES: pl.String,
    ReasonColumns.FEATURE: pl.String,
    ReasonColumns.SUPPLIER: pl.String,
    ReasonColumns.MODEL: pl.String,
    ReasonColumns.PROMPT_VERSION: pl.String,
    ReasonColumns.TOKENS_IN: pl.Int64,
    ReasonColumns.TOKENS_OUT: pl.Int64,
    ReasonColumns.TOKENS_THINKING: pl.Int64,
    ReasonColumns.FAULTS: pl.String,
    ReasonColumns.FALLBACK: pl.String,
}

Row = tuple[str, str, str, str, str, str, int, int, int, str, str]
PART = 1 << 14
"""Rows of one piece of a table: text columns of much smaller ones waste a quarter of their memory."""


@dataclass(frozen=True)
class Answered:
    """What an LLM was asked about, and what came of it.

    Attributes:
        order: (n,) int64 rows that were to be asked about, whether or not the budget reached them.
        shared: keys of sentences that too many rows were given; their rows are left to attribute statistics.
    """

    prompt: Prompt
    endpoint: Endpoint
    order: np.ndarray
    replies: Replies
    shared: frozenset[int]


def assemble(
    id_column: str,
    ids: pl.Series | list[str],
    blocks: Iterable[Reasons],
    answered: Answered | None,
    version: str = STATISTICS_VERSION,
) -> pl.DataFrame:
    """One row an id, in order: attribute statistics, block by block, and the LLM's reply over them where it is good.

    Args:
        blocks: what attribute statistics say, as many rows in all as there are ids.
        answered: None where nobody but attribute statistics was asked for.
        version: of the statistics.
    """
    to_ask = np.zeros(len(ids), dtype=bool)
    if answered is not None:
        to_ask[answered.order] = True
    parts, rows, start = [pl.DataFrame(schema=SCHEMA)], list[Row](), 0
    for reasons in blocks:
        for texts in zip(reasons.likes, reasons.dislikes, reasons.features, strict=True):
            rows.append(_row(start, texts, answered, bool(to_ask[start]), version))
            start += 1
        if len(rows) >= PART:
            parts.append(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
            rows.clear()
    parts.append(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
    # left in its parts: one piece of each column would be a second copy of a table of hundreds of megabytes
    table = pl.concat(parts, rechunk=False)
    if answered is not None:
        _tell(table, answered.prompt.kind, answered.endpoint)
    return table.insert_column(0, pl.Series(id_column, ids, dtype=pl.String))


def _row(
    row: int, statistics: tuple[str, str, str], answered: Answered | None, to_ask: bool, version: str
) -> tuple[str, str, str, str, str, str, int, int, int, str, str]:
    by_statistics = (*statistics, STATISTICS, version, "")
    if answered is None:
        return (*by_statistics, 0, 0, 0, "", "")
    reply = answered.replies.get(row)
    if reply is None:
        return (*by_statistics, 0, 0, 0, "", NO_BUDGET if to_ask else NO_TEXT)
    spent = (reply.tokens_in, reply.tokens_out, reply.tokens_thinking, "; ".join(reply.faults))
    why = reply.failed
    if not why and answered.shared and sentence_key(reply.feature) in answered.shared:
        why = f"feature: {SHARED}"
    if why:  # what was spent in vain is still on record
        return (*by_statistics, *spent, why)
    who = (answered.endpoint.supplier, answered.endpoint.model, answered.prompt.version)
    return (reply.likes, reply.dislikes, reply.feature, *who, *spent, "")


def coverage(training: TrainingData, item_features: pl.DataFrame) -> dict[str, float]:
    """Share of training interactions whose item was reasoned by each supplier, largest first; printed as a note."""
    total = max(float(training.popularity.sum()), 1.0)
    suppliers = item_features[ReasonColumns.SUPPLIER].to_numpy()
    shares = {name: float(training.popularity[suppliers == name].sum()) / total for name in sorted(set(suppliers))}
    shares = dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))
    counts = {name: int((suppliers == name).sum()) for name in shares}
    told = ", ".join(f"{name} {share:.1%} ({counts[name]} items)" for name, share in shares.items())
    note(f"training interactions whose item was reasoned by: {told}")
    return shares


def version_of(terms: Terms) -> str:
    """The version of what attribute statistics say of a catalogue."""
    return WORDED_VERSION if terms.languages or terms.everywhere.any() else STATISTICS_VERSION


def unanswered(table: pl.DataFrame) -> int:
    """Rows that the endpoint did not answer, so that the next run asks about them again."""
    return int(table[ReasonColumns.FALLBACK].str.starts_with(UNANSWERED).sum())


def _tell(table: pl.DataFrame, kind: Kind, endpoint: Endpoint) -> None:
    """How many rows the LLM wrote, and why not the rest."""
    why = table.filter(pl.col(ReasonColumns.FALLBACK) != "")[ReasonColumns.FALLBACK].value_counts(sort=True)
    written = table.height - int(why["count"].sum())
    told = "; ".join(f"{count:,} {reason}" for reason, count in why.head(6).iter_rows())
    note(
        f"{endpoint.model} reasoned about {written:,} of {table.height:,} {kind}s"
        + (f", attribute statistics about the rest: {told}" if told else "")
    )
    lost = unanswered(table)
    if lost:
        note(f"{lost:,} {kind}s were not answered by the endpoint; the same command asks about them again")
