"""Templates of the writer's input: the words around a person and a history (P5, POD, ELMRec, ISRF), cut into tokens.

``templates.yaml`` holds them as people read them. Knows nothing about the writer that reads the tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import cast

import yaml

from isrf.core.documents import read_json
from isrf.core.errors import IsrfError
from isrf.data.queries import TASKS, Task
from isrf.model.identifiers import UNKNOWN, tokenizer_of
from isrf.workspace.layout import TEMPLATES_FILE

USER, ITEMS = "{user}", "{items}"

GLUE = "item_"
"""Text goes on behind an identifier without a space: alone, its first piece would begin a word."""


@dataclass(frozen=True)
class Cut:
    """The three parts of one template as rows of ``Wording.words``: before the person, between person and history, behind."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    behind: tuple[int, ...]


@dataclass(frozen=True)
class Wording:
    """The templates of both tasks, cut into tokens.

    Attributes:
        words: the tokens, each once.
        cuts: of each of TASKS, in that order.
        pieces: row of each token in the vocabulary of T5's tokenizer, so that its embeddings can be taken over; None
            where a token is a word of its own.
    """

    words: tuple[str, ...]
    cuts: tuple[Cut, ...]
    pieces: tuple[int, ...] | None = None

    def of(self, task: Task) -> Cut:
        return self.cuts[TASKS.index(task)]


def paper_templates() -> dict[Task, str]:
    """Task -> the template that the package ships."""
    text = (resources.files("isrf") / "model" / "templates.yaml").read_text(encoding="utf-8")
    return cast(dict[Task, str], yaml.safe_load(text))


def parts_of(template: str) -> tuple[str, str, str]:
    """Text before the person, between person and history, and behind.

    >>> parts_of("user_{user} has had {items}.")
    ('user_', ' has had ', '.')

    Raises:
        ValueError: {user} and {items} are not there once each, in this order.
    """
    before, user, rest = template.partition(USER)
    between, items, behind = rest.partition(ITEMS)
    if not user or not items or any(name in text for name in (USER, ITEMS) for text in (before, between, behind)):
        raise ValueError(f"template {template!r}: needs {USER} and then {ITEMS}, once each")
    return before, between, behind


def cut_templates(templates: dict[Task, str], model: Path | None = None) -> Wording:
    """Cut templates into tokens.

    Args:
        templates: of both tasks.
        model: T5's ``spiece.model``, whose pieces are the tokens; None makes each word and each mark a token.

    Raises:
        IsrfError: the model is none, or has no pieces for a word.
    """
    if model is None:
        return _wording(templates, lambda text, _: re.findall(r"\w+|[^\w\s]", text))
    tokenizer = tokenizer_of(model)
    glue = tokenizer.tokenize(GLUE)

    def pieces_of(text: str, follows: bool) -> list[str]:
        if not follows or text[:1].isspace():
            return tokenizer.tokenize(text)
        pieces = tokenizer.tokenize(GLUE + text)
        if pieces[: len(glue)] != glue:
            raise IsrfError(f"{model}: cannot cut {text!r} off an identifier; give the spiece.model of a T5")
        return pieces[len(glue) :]

    made = _wording(templates, pieces_of)
    rows = tokenizer.convert_tokens_to_ids(list(made.words))
    for word, row in zip(made.words, rows, strict=True):
        if row == UNKNOWN:
            raise IsrfError(
                f"{model}: has no pieces for {word!r} of a template; give the spiece.model of a T5, or set "
                "model.templates=none"
            )
    return Wording(made.words, made.cuts, tuple(rows))


def _wording(templates: dict[Task, str], tokens_of: Callable[[str, bool], Iterable[str]]) -> Wording:
    """Number the tokens in the order in which they come; ``tokens_of`` is told whether a text follows an identifier."""
    rows: dict[str, int] = {}
    cuts = []
    for task in TASKS:
        parts = parts_of(templates[task])
        found = [tokens_of(part, place > 0) for place, part in enumerate(parts)]
        cuts.append(Cut(*(tuple(rows.setdefault(token, len(rows)) for token in tokens) for tokens in found)))
    return Wording(tuple(rows), tuple(cuts))


def save_wording(wording: Wording, folder: Path) -> None:
    """Write the tokens into an existing folder."""
    text = json.dumps(asdict(wording), ensure_ascii=False, indent=1)
    (folder / TEMPLATES_FILE).write_text(text + "\n", encoding="utf-8")


def load_wording(path: Path) -> Wording:
    """Read what ``save_wording`` wrote.

    Raises:
        IsrfError: the file is unreadable.
    """
    try:
        about = read_json(path)
        cuts = tuple(Cut(**{name: tuple(rows) for name, rows in cut.items()}) for cut in about["cuts"])
        return Wording(tuple(about["words"]), cuts, None if about["pieces"] is None else tuple(about["pieces"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IsrfError(f"{path}: unreadable templates ({error}); train again") from None
