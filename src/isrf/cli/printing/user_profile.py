"""One person in full. Computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from isrf.ranking.user_profile import UserProfile
from isrf.cli.printing.recommendations import GENERATED, percent
from isrf.cli.printing.screen import screen, whole_ids


def print_user_profile(person: str, picture: UserProfile) -> None:
    """One person in full."""
    out = screen()
    who = picture.preference
    out.print(f"[bold]{escape(person)}[/bold] (reasoned by {who['supplier']})")
    for name in ("likes", "dislikes", "feature"):
        label = "core preference" if name == "feature" else name
        out.print(f"  {label}: {escape(who[name]) or '(nothing is known)'}", soft_wrap=True)
    table = Table("strength", whole_ids("item"), "title", "feature", title="explicit interests, strongest first")
    for interest in picture.interests[:10]:
        table.add_row(
            f"{interest.strength:.2f}", escape(interest.item_id), escape(interest.title), escape(interest.feature)
        )
    out.print(table)
    if picture.neighbours:
        table = Table(
            *("similarity", whole_ids("user"), "core preference", "both chose"),
            title=f"most similar of {picture.group_size}",
        )
        for other in picture.neighbours:
            shared = "; ".join(other.shared) or "nothing yet"
            table.add_row(f"{other.similarity:.3f}", escape(other.user_id), escape(other.preference), escape(shared))
        out.print(table)
    if picture.group:
        table = Table(
            "share of votes", whole_ids("item"), "title", title="implicit group interests: not touched by this person"
        )
        for choice in picture.group:
            table.add_row(f"{choice.share:.2%}", escape(choice.item_id), escape(choice.title))
        out.print(table)
    if not picture.neighbours and not picture.group:
        out.print("nobody is similar enough: no group interests (graphs.tau decides what is enough)")
    told = [GENERATED] if any(item.explanation is not None for item in picture.recommendations) else []
    table = Table(
        "", whole_ids("item"), "title", "why", *told, "carried by", title="recommendations and what carried each"
    )
    for rank, item in enumerate(picture.recommendations, 1):
        crossed = "" if item.item_id in picture.without_group else " [bold]<- by the group[/bold]"
        table.add_row(
            str(rank),
            escape(item.item_id),
            escape(item.title) + crossed,
            escape("; ".join(item.reasons)),
            *(escape(item.explanation or "") for _ in told),
            percent(item.shares),
        )
    out.print(table)
    crossed_over = sum(item.item_id not in picture.without_group for item in picture.recommendations)
    out.print(
        f"the group brought {crossed_over} of {len(picture.recommendations)} recommendations into the list"
        if picture.neighbours or picture.group
        else "the group changed nothing"
    )
