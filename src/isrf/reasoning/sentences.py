"""The three reasoned fields of a row, and how attributes that were counted become the sentences in them.

Knows nothing about what is counted, nor about prompts, models or files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from isrf.reasoning.text import join, limit_words


@dataclass(frozen=True)
class Reasons:
    """The three fields of every row: who or what is liked, disliked, and the concise feature that reconciles both."""

    likes: list[str]
    dislikes: list[str]
    features: list[str]

    def add(self, likes: str = "", dislikes: str = "", feature: str = "") -> None:
        """One more row; nothing is said where nothing is known."""
        self.likes.append(likes)
        self.dislikes.append(dislikes)
        self.features.append(feature)

    @classmethod
    def joined(cls, blocks: Iterable[Reasons]) -> Reasons:
        """All rows of some blocks."""
        reasons = cls([], [], [])
        for block in blocks:
            reasons.likes.extend(block.likes)
            reasons.dislikes.extend(block.dislikes)
            reasons.features.extend(block.features)
        return reasons


def sentence(opening: str, names: list[str], most_words: int) -> str:
    """What somebody buys: an opening and attributes, cut to so many words."""
    return limit_words(f"{opening} {join(names)}.", most_words)


def feature(what: str, tastes: list[str], most_words: int) -> str:
    """What it is, and for whom: as many tastes as the word limit leaves room for."""
    kept, room = [], most_words - len(what.split()) - 2
    for name in tastes:
        if len(name.split()) > room:
            break
        kept.append(name)
        room -= len(name.split())
    text = f"{what} for {join(kept)} buyers.".lstrip() if kept else f"{what}."
    return limit_words(text[:1].upper() + text[1:], most_words)


def preference(likes: list[str], lately: list[str], most_words: int) -> str:
    """A person's core preference: what they take more of than others, then what their newest items are."""
    text = f"{join(likes)}, lately {join(lately)}." if lately else f"{join(likes)}."
    return limit_words(text[:1].upper() + text[1:], most_words)
