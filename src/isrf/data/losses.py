"""What a setting drops of a log, said loudly where it is much. Knows nothing about how cleaning drops it."""

from __future__ import annotations

from collections.abc import Sequence

LOUD = 0.1
"""A setting that drops more than this share of people, items or interactions is warned about."""
KINDS = ("people", "items", "interactions")


def loss_line(cause: str, before: Sequence[int], after: Sequence[int], remedy: str) -> str | None:
    """A warning where a setting drops more than LOUD of anything; None where it does not.

    >>> loss_line("data.min_interactions=5", (3231, 3459, 20569), (26, 13, 172), "0 keeps all")
    'data.min_interactions=5 drops 3,205 of 3,231 people (99%), 3,446 of 3,459 items (100%) and 20,397 of 20,569 interactions (99%); 0 keeps all'
    >>> loss_line("data.min_interactions=2", (10, 10, 100), (9, 10, 99), "0 keeps all") is None
    True

    Args:
        cause: the setting with its value.
        before, after: how many of each of KINDS.
        remedy: what keeps them.
    """  # noqa: E501
    shares = [(was - left) / max(was, 1) for was, left in zip(before, after, strict=True)]
    if max(shares) <= LOUD:
        return None
    told = [
        f"{was - left:,} of {was:,} {kind} ({share:.0%})"
        for kind, was, left, share in zip(KINDS, before, after, shares, strict=True)
        if was > left
    ]
    return f"{cause} drops {', '.join(told[:-1])}{' and ' if len(told) > 1 else ''}{told[-1]}; {remedy}"
