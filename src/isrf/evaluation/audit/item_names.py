"""Names of items in texts: which catalogue texts name another item, and which texts about users name a held-out one.

A name is an id, or a title of three words or more, met word for word. An id without a digit ("shampoo") may be a word of
any text: it is no more of a proof than a title. One pass over each text, with a table from the first two words of all
names to the names: work grows with the length of the texts, not with items times items.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from isrf.core.shell import argument
from isrf.data.splits.split import Split
from isrf.data.training_data import Catalogue
from isrf.evaluation.audit.findings import OF_TEST, About, Finding, held_out

WORD = re.compile(r"[^\W_]+")
TITLE_WORDS = 3
"""A title of fewer words ("hand cream") is a kind of thing, not one thing."""
NAMING = "items whose text names another item"
NAMED_BY_HISTORY = "test items named by the text of a history item, or naming one"
ID_CHARACTERS, NUMBER_CHARACTERS = 5, 8
"""Shorter ids, and shorter ones that are whole numbers, are met in texts by accident."""


def words_of(text: str) -> tuple[str, ...]:
    """Lower-case words of letters and digits.

    >>> words_of("Nail-polish, 2 x B00ISW92F6")
    ('nail', 'polish', '2', 'x', 'b00isw92f6')
    """
    return tuple(WORD.findall(text.lower()))


@dataclass(frozen=True)
class Names:
    """Names of items, ready to be looked for.

    Attributes:
        ids: words of an id -> item row, for ids that are not met by accident.
        titles: words of a title, or of an id that may be an ordinary word -> rows of all items that bear it.
        lengths: first two words of a name (or its only one) -> lengths of the names that begin so.
    """

    ids: dict[tuple[str, ...], int]
    titles: dict[tuple[str, ...], list[int]]
    lengths: dict[tuple[str, ...], set[int]]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Names:
        """Names of all items."""
        ids: dict[tuple[str, ...], int] = {}
        titles: dict[tuple[str, ...], list[int]] = {}
        for row, (item, title) in enumerate(zip(catalogue.ids, catalogue.titles, strict=True)):
            if len(item) >= (NUMBER_CHARACTERS if item.isdigit() else ID_CHARACTERS) and words_of(item):
                if any(character.isdigit() for character in item):
                    ids[words_of(item)] = row
                else:
                    titles.setdefault(words_of(item), []).append(row)
            if len(words_of(title)) >= TITLE_WORDS:
                titles.setdefault(words_of(title), []).append(row)
        lengths: dict[tuple[str, ...], set[int]] = {}
        for name in (*ids, *titles):
            lengths.setdefault(name[:2], set()).add(len(name))
        return cls(ids, titles, lengths)

    def found(self, text: str) -> tuple[set[int], set[int]]:
        """Rows of items whose id, and of items whose title, stands in the text."""
        by_id, by_title = set[int](), set[int]()
        words = words_of(text)
        for at in range(len(words)):
            for opening in (words[at : at + 1], words[at : at + 2]):
                for length in self.lengths.get(opening, ()):
                    name = words[at : at + length]
                    if name in self.ids:
                        by_id.add(self.ids[name])
                    by_title.update(self.titles.get(name, ()))
        return by_id, by_title

    def found_in(self, texts: Iterable[str]) -> tuple[set[int], set[int]]:
        """The same of several texts together; no name goes from one into the next."""
        ids, titles = set[int](), set[int]()
        for by_id, by_title in map(self.found, texts):
            ids |= by_id
            titles |= by_title
        return ids, titles


def catalogue_findings(split: Split, names: Names) -> list[Finding]:
    """Items whose texts name another item, and how many test items are named so by an item of the history.

    Items of one title do not name each other; one whose title goes on where another's ends ("x" and "x in red") does.
    Where no item has a text both are "unknown": nothing was looked at.
    """
    catalogue = split.training.catalogue
    if not any(catalogue.texts):
        why = f"there is no catalogue, or none of its items has a text; give one with {argument('items')}"
        return [
            Finding(NAMING, None, "unknown", why, "share of items"),
            Finding(NAMED_BY_HISTORY, None, "unknown", why, OF_TEST),
        ]
    naming: list[set[int]] = []
    by_id = 0
    for row, text in enumerate(catalogue.texts):
        ids, titles = names.found(text)
        ids.discard(row)
        by_id += bool(ids)
        alike = names.titles.get(words_of(catalogue.titles[row]), [])
        naming.append((ids | titles) - {row, *alike})
    share = sum(map(bool, naming)) / max(len(naming), 1)
    users, known = split.users("test"), split.histories("test")

    def named(targets: np.ndarray) -> int:
        """Test users of whom an item of the history names the target, or is named by it."""
        return sum(
            t >= 0 and any(t in naming[i] or i in naming[t] for i in known[u].tolist())
            for u, t in zip(users.tolist(), targets.tolist(), strict=True)
        )

    hits, control = named(split.test[users]), named(another(split, "test"))
    told = hits > beyond_chance(control)
    return [
        Finding(
            NAMING,
            share,
            "note" if share else "clean",
            f"by id {by_id:,} of {len(naming):,} items: bundles and 'frequently bought with' put later purchases, "
            "perhaps of the very people of this log, into the catalogue",
            "share of items",
            f"nothing is taken out of a catalogue: leave such a column out of {argument('items')}",
        ),
        Finding(
            NAMED_BY_HISTORY,
            hits / len(users),
            "note" if told else "clean",
            f"of other people's test items {control / len(users):.2%}: "
            + ("more than by accident: variants of one thing, or bundles" if told else "no more than by accident"),
            OF_TEST,
        ),
    ]


def text_findings(name: str, texts: dict[int, list[str]], split: Split, names: Names, about: About) -> list[Finding]:
    """Whether texts about users (prompts, reviews, reasons) name what is held out of them.

    An id with a digit is no accident. A title, or an id of letters, is compared with how often the test items of other
    people are named; titles that the texts of the user's own training items hold do not count, and in what the workspace
    made of these texts neither do ids: that is a fault of the catalogue, which has a finding of its own.

    Args:
        name: what the texts are.
        texts: user row -> texts about that user; no name goes from one into the next.
        split, names: of one catalogue.
    """
    catalogue, training = split.training.catalogue, split.histories("valid")  # empty for people not in training
    found = {user: names.found_in(lines) for user, lines in texts.items()}
    own = {
        user: names.found_in(catalogue.texts[i] for i in training[user].tolist())
        for user, (ids, titles) in found.items()
        if ids or titles
    }
    if about == "workspace":
        found |= {user: (found[user][0] - ids, found[user][1]) for user, (ids, _) in own.items()}
    findings = []
    for part, word, unit in held_out(split):
        users = split.users(part)

        def named(targets: np.ndarray, users: np.ndarray = users) -> tuple[int, int]:
            """Users whose text has the id, and the title, of their target."""
            ids = titles = 0
            for user, target in zip(users.tolist(), targets.tolist(), strict=True):
                by_id, by_title = found.get(user, (set(), set()))
                ids += target in by_id
                titles += target in by_title and target not in own[user][1] and target not in by_id
            return ids, titles

        ids, titles = named(split.targets(part)[users])
        control = sum(named(another(split, part)))
        leak = ids > 0 or titles > beyond_chance(control)
        of = unit.removeprefix("share of ")
        findings.append(
            Finding(
                f"{name}: {word} items named",
                (ids + titles) / max(len(users), 1),
                "leak" if leak else "clean",
                f"by id {ids:,}, by title {titles:,} of {len(users):,} {of}, items of other people {control:,}"
                + ("; a model that reads these texts is told the answer" if leak else ""),
                unit,
                "reasons are made from training interactions alone, and no id is ever in a prompt",
                about,
            )
        )
    return findings


def another(split: Split, part: str) -> np.ndarray:
    """(n,) int64: for each user of a part somebody else's target that they do not have; -1 where there is none."""
    users = split.users(part)
    targets, known = split.targets(part), split.histories(part)
    shuffled = np.random.default_rng(0).permutation(targets[users]).tolist()
    chosen = np.full(len(users), -1, dtype=np.int64)
    for place, user in enumerate(users.tolist()):
        barred = {int(targets[user]), *known[user].tolist()}
        others = (shuffled[(place + step) % len(users)] for step in range(len(users)))
        chosen[place] = next((other for other in others if other not in barred), -1)
    return chosen


def beyond_chance(control: int) -> float:
    """A count above this is no accident where one as large as ``control`` is: three standard deviations of a difference.

    >>> beyond_chance(0), beyond_chance(100)
    (3.0, 142.42640687119285)
    """
    return control + 3.0 * max(2.0 * control, 1.0) ** 0.5
