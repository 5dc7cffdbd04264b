"""Sections of the report that account for it: reasons and their cost, bridges, the interest card, the audit, provenance.

Reads finished documents; computes nothing new. ``place`` is the workspace as it is typed in a command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isrf.core.shell import command_line
from isrf.evaluation.audit.findings import Finding
from isrf.reasoning.llm.prices import Price
from isrf.reasoning.tables import STATISTICS
from isrf.report.bridge_tables import lines
from isrf.report.reasoning import KindReport, ReasoningReport
from isrf.report.section import Code, Details, Line, Missing, Part, Section, Table

SHOWN = 3
"""Examples of reasons of each kind."""

CARD = (
    "interest_scope",
    "similarity_owner",
    "explicit_implicit_bridge",
    "semantic_graph_carrier",
    "coupling_locus",
    "reasoning_supplier",
    "serving_consumer",
    "boundary",
)
"""Columns by which this family of methods is compared, in order."""


def reasons(report: ReasoningReport | None, prices: Mapping[str, Price], place: Path) -> Section:
    """Who reasoned, how well, and what it cost.

    Args:
        prices: by model; a model that is not in it is told of without money.
    """
    lead = "Who wrote the likes, dislikes and features that everything here stands on, and what became of the answers."
    if report is None:
        return Section(
            "reasoning",
            "Reasons and their cost",
            lead,
            [Missing("No reasons yet.", command_line("isrf", "reason", place))],
        )
    parts: list[Part] = []
    for kind in (report.items, report.users):
        parts += _of_kind(kind, prices)
    return Section("reasoning", "Reasons and their cost", lead, parts)


def _of_kind(kind: KindReport, prices: Mapping[str, Price]) -> list[Part]:
    cells = []
    # rows that statistics wrote in the end may have been asked about in vain: of the model, where there was but one
    models = {writer.model for writer in kind.writers if writer.supplier != STATISTICS}
    asked = next(iter(models)) if len(models) == 1 else None
    for writer in kind.writers:
        price = prices.get(asked if writer.supplier == STATISTICS and asked else writer.model)
        cost = f"{price.cost(writer.tokens_in, writer.tokens_out):,.4f}" if price else "–"
        if not writer.tokens_in + writer.tokens_out:
            cost = "0"
        cells.append(
            [
                f"{writer.supplier}, {writer.model}"
                + (f", prompt {writer.prompt_version}" * bool(writer.prompt_version)),
                f"{writer.rows:,}",
                f"{writer.share:.1%}",
                f"{writer.interactions:.1%}",
                f"{writer.tokens_in:,}",
                f"{writer.tokens_out:,}",
                cost,
            ]
        )
    columns = ("by", "rows", "share", "of interactions", "tokens in", "tokens out", "US dollars")
    found = kind.acceptance
    parts: list[Part] = [Table(columns, cells, title=f"{kind.rows:,} {kind.kind}s")]
    if found.asked:
        outcomes = (
            ("accepted at the first answer", found.first),
            ("accepted at the second", found.second),
            ("rejected, so attribute statistics wrote it", found.fallen_back),
            ("not answered, so attribute statistics wrote it", found.unanswered),
        )
        told = [[name, f"{rows:,}", f"{rows / found.asked:.1%}"] for name, rows in outcomes]
        caption = f"{found.tokens_a_row:,.0f} tokens a row asked about."
        parts.append(Table(("of rows asked about", "rows", "share"), told, caption=caption))
    if found.rejections:
        told = [[one.reason, f"{one.answers:,}", f"{one.rows:,}"] for one in found.rejections]
        parts.append(Table(("why answers were rejected", "answers", "rows lost"), told))
    for some in kind.sentences:
        by = "attribute statistics" if some.statistics else "an LLM"
        medians = ", ".join(f"{field} {lengths.median:g}" for field, lengths in some.lengths.items())
        parts.append(
            Line(
                f"{some.rows:,} by {by}: median words {medians}; {some.near_duplicates:.1%} of features near-duplicates."
            )
        )
    examples = [
        [one.title, one.about, one.likes, one.dislikes, one.feature, f"{one.supplier}, {one.model}"]
        for one in kind.examples[:SHOWN]
    ]
    if examples:
        last = "feature" if kind.kind == "item" else "core preference"
        heads = (kind.kind, "known of it", "likes", "dislikes", last, "by")
        parts.append(Details(f"Random {kind.kind}s in full", [Table(heads, examples, text=len(heads))]))
    return parts


def bridges(document: Mapping[str, Any] | None, stale: bool, place: Path) -> Section:
    """People whose recommendations the group changed most, and whether held-out items confirm it."""
    lead = (
        "The paper's case study asked of everybody: an item crosses over where it stands in somebody's top ten and would "
        "not, had the person no group. Whether that is right is for the held-out items to say."
    )
    command = command_line("isrf", "inspect", place, "--find", "bridges")
    if document is None:
        return Section(
            "bridges", "Bridges between people", lead, [Missing("Nobody has looked for bridges yet.", command)]
        )
    parts: list[Part] = []
    if stale:
        parts.append(
            Missing("These were found with another model or other graphs than the workspace has now.", command)
        )
    parts += [Line(line) for line in lines(document["confirmation"])]
    columns = ("person", "explicit interests", "what the group likes beyond them", "crossed over", "held out")
    for name, title in (
        ("confirmed", "Most changed among those whose held-out item crossed over"),
        ("strongest", "Most changed of all"),
    ):
        cells = [
            [
                person["user_id"],
                "; ".join(one["title"] for one in person["interests"]),
                "; ".join(f"{one['title']} ({one['share']:.0%})" for one in person["group"]),
                "; ".join(f"{one['title']} ({one['rank_alone']} → {one['rank']})" for one in person["crossed"]),
                person["held_out_title"] + (" ✓" if person["confirmed"] else ""),
            ]
            for person in document[name][:5]
        ]
        if cells:
            caption = "Places without the group → with it; ✓ the held-out item is among what crossed over."
            parts.append(Table(columns, cells, text=len(columns), title=title, caption=caption))
    return Section("bridges", "Bridges between people", lead, parts)


def cards(found: Mapping[str, Mapping[str, Any]], place: Path) -> Section:
    """The interest card of each method."""
    lead = "What each method knows of interests, who decides that two people are alike, and what reaches the ranking."
    if not found:
        made = Missing("The results have no interest cards.", command_line("isrf", "bench", place, "--methods", "all"))
        return Section("cards", "Interest cards", lead, [made])
    cells = [[name.replace("_", " "), *(_said(card.get(name)) for card in found.values())] for name in CARD]
    more = [name for name in dict.fromkeys(key for card in found.values() for key in card) if name not in CARD]
    cells += [[name.replace("_", " "), *(_said(card.get(name)) for card in found.values())] for name in more]
    return Section("cards", "Interest cards", lead, [Table(("", *found), cells, text=1 + len(found))])


def _said(value: Any) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def audit(document: Mapping[str, Any] | None, stale: bool, place: Path) -> Section:
    """What the data gives away about held-out items; ``stale`` where it is of other files than the workspace has now."""
    lead = (
        "What could be had without knowing anything about people or items, and how this project protects its numbers."
    )
    command = command_line("isrf", "audit", place)
    if document is None:
        return Section("audit", "Audit", lead, [Missing("Not audited yet.", command)])
    found = [Finding(**one) for one in document["findings"]]
    cells = [[one.name, one.told(), one.verdict, one.meaning, one.protection or "–"] for one in found]
    bad = frozenset((at, 2) for at, one in enumerate(found) if one.verdict == "leak")
    table = Table(("finding", "value", "verdict", "what it means", "protection here"), cells, text=5, strong=bad)
    was = Missing("This was found of other data, reasons or graphs than the workspace has now.", command)
    return Section("audit", "Audit", lead, [was, table] if stale else [table])


def provenance(
    stages: Mapping[str, Mapping[str, Any] | None],
    settings: str,
    commands: Sequence[str],
    versions: Mapping[str, str],
) -> Section:
    """What made the report: commands, stages, versions, digests, settings.

    Args:
        stages: name -> its ``stage.json``, None where it is not there.
        settings: ``settings.yaml``.
        commands: that made the workspace and this report, in order.
        versions: package -> version that wrote the report.
    """
    lead = "Everything needed to make this again, and to tell whether somebody else's files are the same."
    cells, files = [], []
    seen: dict[str, list[str]] = {}
    for name, info in stages.items():
        if info is None:
            cells.append([name, "not there", "", "", ""])
            continue
        cells.append(
            [name, f"{info['seconds']:,.1f}", f"{info['peak_memory_mb']:,}", str(len(info["files"])), info["key"][:16]]
        )
        files += [[f"{name}/{file}", f"{about['bytes']:,}", about["sha256"]] for file, about in info["files"].items()]
        for package, version in info["versions"].items():
            seen.setdefault(package, [])
            if version not in seen[package]:
                seen[package].append(version)
    inputs = (stages.get("dataset") or {}).get("inputs", {})
    sources = [[name, digest] for name, digest in inputs.items() if len(digest) == 64]
    packages = [[p, ", ".join(seen.get(p, [])) or "–", versions.get(p, "–")] for p in dict.fromkeys([*versions, *seen])]
    silent = [name for name, info in stages.items() if info is not None and not info.get("command")]
    untold = f"Made by another program than the command line, or by an older version: {', '.join(silent)}."
    parts: list[Part] = [
        Code("\n".join(commands)),
        *([Line(untold)] if silent else []),
        Table(("stage", "seconds", "peak memory, MB", "files", "key"), cells, text=1, title="Stages"),
    ]
    if sources:
        parts.append(Table(("source file", "SHA-256"), sources, text=2, title="Source"))
    parts.append(Details("Versions", [Table(("package", "made the stages", "wrote the report"), packages, text=3)]))
    parts.append(Details("Digests of all files", [Table(("file", "bytes", "SHA-256"), files, text=1)]))
    parts.append(Details("Settings", [Code(settings)]))
    return Section("provenance", "How this was made", lead, parts)
