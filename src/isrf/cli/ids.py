"""Ids as people type them, and what they probably meant by one that is unknown. Answers nothing."""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from isrf.cli.filters import ids_of_file
from isrf.core.errors import IsrfError
from isrf.core.shell import command_line, list_of_ids, setting
from isrf.data.training_data import Catalogue
from isrf.recommender.ids import as_imported
from isrf.recommender.recommender import Recommender
from isrf.recommender.request import UnknownId

NEW_PERSON = "(history)"
"""Stands for the user id of a person who was given by a history."""

LEFT_OUT = (
    "if the log has it, a setting left it out: where that was the k-core, "
    f"`{command_line('isrf', 'run')}` with {setting('data.min_interactions', 0)} keeps it; so are left out who has nothing but "
    "low ratings, or events that weigh 0"
)
"""Where an id may be that is not in a workspace, which does not know the ids that settings took."""


def ids_of(history: str) -> list[str]:
    """Item ids with commas between, as one line of a CSV file has them.

    Raises:
        IsrfError: no id, or quotes that cannot be read.
    """
    try:
        fields = next(csv.reader([history], skipinitialspace=True), [])
    except csv.Error as error:
        raise IsrfError(f"--history is not one line of item ids with commas between: {error}") from None
    ids = [item for item in fields if item.strip()]
    if not ids:
        example = command_line("--history", "ITEM,ITEM")
        raise IsrfError(f"--history names no item; write item ids with commas between: {example}")
    return ids


def users_of_file(path: Path, known: Mapping[str, int]) -> list[str]:
    """User ids of a file. Raises IsrfError, which names the line of an id that is not in the workspace."""
    found = ids_of_file(path, known, "--users-file")
    for line, user in found:
        if as_imported(user, known) not in known:
            raise IsrfError(f"{path}, line {line}: user {user!r} is not in this workspace; {hint_on_user(user, known)}")
    return [user for _, user in found]


@contextmanager
def hinted(recommender: Recommender) -> Iterator[None]:
    """Say of an unknown id what was probably meant by it."""
    try:
        yield
    except UnknownId as error:
        split = recommender.opened.split
        told = error.value
        hint = hint_on_user(told, split.row_of) if error.kind == "user" else hint_on(told, split.training.catalogue)
        raise IsrfError(f"{error}; {hint}") from None


def hint_on(unknown: str, catalogue: Catalogue) -> str:
    """What somebody probably meant by an id that is not in the catalogue."""
    parts = [part.strip() for part in re.split(r"[;|\t]", unknown) if part.strip()]
    if len(parts) < 2 and all(part in catalogue.row_of for part in unknown.split()):
        parts = unknown.split()  # a blank may be part of an id, so ids on both sides of it must be known
    if len(parts) > 1:
        return f"item ids are separated by commas: {command_line('--history', list_of_ids(parts))}"
    with_comma = next((item for item in catalogue.ids if "," in item and unknown in item), None)
    if with_comma is not None:
        together = command_line("--history", list_of_ids([with_comma, "ITEM"]))
        return f"an id that holds a comma is put in double quotes: {together}"
    return LEFT_OUT


def hint_on_user(unknown: str, known: Container[str]) -> str:
    """What somebody probably meant by a user that is not in the workspace: several at once, or somebody new."""
    several = [[part.strip() for part in parts if part.strip()] for parts in split_apart(unknown)]
    meant = next((parts for parts in several if len(parts) > 1 and all(part in known for part in parts)), None)
    if meant is not None:
        together = " ".join(command_line("--user", user) for user in meant)
        return f"several users are given one by one: {together}"
    return f"somebody new is asked about with {command_line('--history', 'ITEM,ITEM')}; {LEFT_OUT}"


def split_apart(text: str) -> list[list[str]]:
    """The parts of a text by each sign that people put between ids."""
    parts = [text.split(), *(text.split(sign) for sign in ",;|\t")]
    with suppress(csv.Error):
        parts.insert(0, next(csv.reader([text], skipinitialspace=True), []))
    return parts
