"""Arguments and options that commands share, each with the help that a newcomer reads. Parses nothing itself."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isrf.core.errors import IsrfError
from isrf.core.shell import command_line

if TYPE_CHECKING:
    from isrf.data.queries import Task


MOST_ASKED_FOR = 1_000_000_000
"""Items of a list: beyond any catalogue, and nothing that overflows."""


class Format(StrEnum):
    """Of recommendations."""

    table = "table"
    markdown = "markdown"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


class Shown(StrEnum):
    """Of findings."""

    table = "table"
    json = "json"


class TaskName(StrEnum):
    sr = "sr"
    dr = "dr"


class BadRow(StrEnum):
    fail = "fail"
    skip = "skip"


class IdOrder(StrEnum):
    shuffled = "shuffled"
    appearance = "appearance"


class SupplierName(StrEnum):
    attributes = "attributes"
    local = "local"
    openai = "openai"


class PlanName(StrEnum):
    chained = "chained"
    single = "single"


Source = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="Log: a file or folder, format detected or forced by csv: parquet: jsonl: p5: recbole: amazon: movielens:",
    ),
]
SourceOption = Annotated[
    str,
    typer.Option(
        "--data", metavar="SRC", help="Log: a file or folder (see `isrf data import --help`); movielens:100k is fetched"
    ),
]
Items = Annotated[Path | None, typer.Option("--items", help="Catalogue file, joined to the log by item id")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the workspace; made if it is not there")]
Where = Annotated[
    Path, typer.Argument(metavar="WS", help="Folder of a workspace (made by `isrf run` or `isrf data import`)")
]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="ROOM.NAME=VALUE", help="One setting, e.g. graphs.tau=0.6; repeat for more"),
]
Preset = Annotated[str | None, typer.Option("--preset", help="Named settings: fast (the default), paper or elmrec")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML file of settings, rooms as keys")]
OnBadRow = Annotated[
    BadRow | None, typer.Option("--on-bad-row", help="skip: set bad rows aside in dataset/rejected.csv")
]
IdOrderOption = Annotated[
    IdOrder | None,
    typer.Option(
        "--id-order",
        help="appearance: digit identifiers number items as published files do, which leaks held-out items; every table "
        "made with it warns. The setting data.id_order",
    ),
]
User = Annotated[list[str], typer.Option("--user", help="Original id of a user in the log; repeat for more")]
History = Annotated[list[str], typer.Option("--history", help='Item ids, oldest first, of anybody: "i1,i2,..."')]
UsersFile = Annotated[
    Path | None, typer.Option("--users-file", help="File of user ids, one a line or with commas between")
]
ItemsToRecommend = Annotated[
    str | None,
    typer.Option(
        "--items-to-recommend",
        metavar="FILE|IDS",
        help="The only items to recommend: a file of ids, or ids with commas between",
    ),
]
Exclude = Annotated[
    str | None, typer.Option("--exclude", metavar="FILE|IDS", help="Items not to recommend, given likewise")
]
Conditions = Annotated[
    list[str],
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="What items must fulfil: 'category=Hair,Skin', 'price<=20', 'brand!=X', 'title~shampoo', 'brand=' (has none), "
        "or JSON; repeat for more",
    ),
]
IncludeSeen = Annotated[bool, typer.Option("--include-seen", help="Also recommend items that the person already has")]
MaxPer = Annotated[
    list[str],
    typer.Option("--max-per", metavar="COLUMN=N", help="At most N items of one value in a list; repeat for more"),
]
Boosts = Annotated[
    list[str],
    typer.Option(
        "--boost",
        metavar="CONDITION:BY",
        help="Move items up or down: 'brand=X:0.5' adds half a standard deviation of a person's scores; repeat for more",
    ),
]
Diversity = Annotated[
    float | None,
    typer.Option(
        "--diversity", help="0 to 1: how much the items of a list should differ (maximal marginal relevance); default 0"
    ),
]
At = Annotated[
    str | None,
    typer.Option("--at", help="Date or time (UTC) for which available_from and available_to count; default now"),
]
IgnoreAvailability = Annotated[
    bool,
    typer.Option("--ignore-availability", help="Ignore the columns available_from, available_to and in_stock"),
]
TaskOption = Annotated[TaskName, typer.Option("--task", help="sr: the order of the history counts; dr: it does not")]
Method = Annotated[str | None, typer.Option("--method", help="isrf or isrf-graph; default: the best the workspace has")]
CardOption = Annotated[
    bool,
    typer.Option(
        "--card",
        help="The interest card of the method (of --method, which may name a baseline): whose interests it reads",
    ),
]


def check_top(top: int) -> None:
    """Raises IsrfError where so many items cannot be asked for."""
    if not 1 <= top <= MOST_ASKED_FOR:
        raise IsrfError(f"--top {top}: at least 1, and at most {MOST_ASKED_FOR:,}")


def only(option: str, given: list[str], remedy: str) -> str | None:
    """The value of an option that takes one; typer itself would forget all but the last.

    Raises:
        IsrfError: it was given several times.
    """
    if len(given) > 1:
        raise IsrfError(f"{option} is given {len(given)} times; {remedy}")
    return given[0] if given else None


def history_of(given: list[str]) -> str | None:
    """The one history that was given. Raises IsrfError."""
    together = command_line("--history", ",".join(given))
    return only("--history", given, f"it is one person's items, with commas between: {together}")


def task_of(name: TaskName) -> Task:
    """The task that an option names."""
    return "sequential" if name is TaskName.sr else "direct"
