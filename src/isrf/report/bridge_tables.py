"""Bridges for the terminal: what is in their document, as tables of at most 100 columns. Computes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

MOST_CROSSED = 3
"""Crossings told of a person."""


def renderables(document: dict[str, Any]) -> Iterator[RenderableType]:
    """All of the document (``pipeline.report.find_bridges``) from top to bottom; texts of the catalogue are no markup."""
    for line in lines(document["confirmation"]):
        yield Text(line)
    for name, title in (
        ("strongest", "whose list the group changed most"),
        ("confirmed", "the same among those whose held-out item the group brought into the list"),
    ):
        if document[name]:
            yield _table(document[name], title)


def lines(found: dict[str, Any]) -> list[str]:
    """What confirmation says, in sentences."""
    if not found["crossings"]:
        return [f"the group changed nobody's top ten, of {found['people']:,} people"]
    told = [
        f"the group changed the top ten of {found['changed']:,} of {found['people']:,} people: {found['crossings']:,} items "
        f"crossed over, and held-out items confirm {found['confirmed']:,} of them "
        f"({found['confirmed'] / found['crossings']:.2%})"
    ]
    for one in found["against"]:
        low, high = one["ci95"]
        sure = "significant (p < 0.05)" if one["p_value"] < 0.05 else "not told apart from chance"
        told.append(
            f"with {one['control']} in place of each of {one['crossings']:,} of these items, held-out items confirm "
            f"{one['control_confirmed']:,} instead of {one['confirmed']:,}: the group's choice is right {one['difference']:+.4f} "
            f"times more often a person (95% interval {low:+.4f} to {high:+.4f}), p = {one['p_value']:.4f}, {sure}"
        )
    return told


def _table(people: list[dict[str, Any]], title: str) -> Table:
    table = Table(title=title, title_justify="left", show_lines=True, expand=True)
    table.add_column("person, explicit interests", ratio=3, overflow="fold")
    table.add_column("what the group likes beyond them", ratio=2, overflow="fold")
    table.add_column("what crossed over", ratio=3, overflow="fold")
    for person in people:
        who = Text(person["user_id"], style="bold").append(f"\n{person['preference']}", style="not bold dim")
        for interest in person["interests"]:
            who.append(f"\n· {interest['title']}", style="not bold")
        group = Text("\n".join(f"{choice['share']:.0%} {choice['title']}" for choice in person["group"]))
        crossed = Text(f"{person['change']:.0%} of the list")
        for item in person["crossed"][:MOST_CROSSED]:
            right = "  <- held out" if item["confirmed"] else ""
            crossed.append(f"\n{item['rank_alone']} -> {item['rank']}: {item['title']}").append(right, style="bold")
        if (more := len(person["crossed"]) - MOST_CROSSED) > 0:
            crossed.append(f"\nand {more} more")
        crossed.append(f"\nheld out: {person['held_out_title']}", style="dim")
        table.add_row(who, group, crossed)
    return table
