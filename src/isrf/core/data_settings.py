"""Settings of the room "data": how a log and a catalogue are read, cleaned and split."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from isrf.core.settings_base import LARGEST_SEED, Room

SPELLED = {r"\t": "\t", "tab": "\t", "space": " "}
"""Separators by name, as they are hard to type and to see."""
ISO_FORMAT = "iso"
NUMBER_FORMATS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
SPREADSHEET = "spreadsheet"
DATE_ORDERS = ("day-first", "month-first", "year-first")
TIME_FORMATS = (ISO_FORMAT, *NUMBER_FORMATS, SPREADSHEET, *DATE_ORDERS)
"""Names that ``data.time_format`` knows beside patterns."""


class DataSettings(Room):
    min_interactions: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="k of the k-core over users and items, iterated; 0 keeps everybody and everything; research sets take 5",
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of the row permutation of users and items")
    id_order: Literal["shuffled", "appearance"] = Field(
        "shuffled",
        description="numbers that digit identifiers print: drawn by a seed, or, to see the leak at work, in order of "
        "first appearance over whole sequences, held-out items included (as in the published P5 files)",
    )
    on_bad_row: Literal["fail", "skip"] = Field("fail", description="skip writes bad rows to dataset/rejected.csv")
    user_column: str | None = Field(None, description="column of user ids; None = found by the usual names")
    item_column: str | None = Field(None, description="column of item ids; None = found by the usual names")
    time_column: str | None = Field(None, description="column of times; None = found by the usual names, else no time")
    time_format: str | None = Field(
        None,
        description="how times are written; None = found, and refused where several readings fit; one of iso, seconds, "
        "milliseconds, microseconds, nanoseconds (since 1970), spreadsheet (days since 1899-12-30), day-first, month-first, "
        "year-first (dates of three numbers), or a pattern of Python's strptime like %d/%m/%Y %H:%M",
    )
    value_column: str | None = Field(
        None, description="column of ratings, read where data.min_value is set; None = found by the usual names"
    )
    min_value: float | None = Field(
        None,
        ge=-1e9,
        le=1e9,
        description="ratings of this and more are positive; lower ones are dislikes: never trained on, evaluated or "
        "recommended to their user again; None = ratings are not read, every row counts as liked",
    )
    event_column: str | None = Field(
        None,
        description="column of kinds of events, read where data.event_weights is set; None = found by the usual names",
    )
    event_weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] | None = Field(
        None,
        description="weight of each kind of event, like {view: 0.2, cart: 0.5, purchase: 1}; 0 leaves its rows out; a kind "
        "without a weight is refused; None = kinds are not read, every row counts alike",
    )
    repeats: Literal["first", "count", "all"] = Field(
        "first",
        description="rows of a user and an item after the first: first = they do not count; count = an interaction weighs 1 + "
        "ln(rows); all = each is an event of the sequence, and targets that the user has had are evaluated apart",
    )
    position_column: str | None = Field(None, description="column that orders a user's rows where there is no time")
    title_column: str | None = Field(None, description="catalogue column that items are shown by; None = usual names")
    brand_column: str | None = Field(None, description="catalogue column of brands; None = usual names")
    category_column: str | None = Field(None, description="catalogue column of categories; None = usual names")
    description_column: str | None = Field(None, description="catalogue column of longer texts; None = usual names")
    header: Literal["auto", "first", "none"] = Field(
        "auto",
        description="the first line of a text log: auto = names of columns, refused where it looks like a row of data; first "
        "= names, whatever they look like; none = data, and settings name columns by position: data.user_column=1",
    )
    catalogue_header: Literal["auto", "first", "none"] = Field(
        "auto", description="the same of a text catalogue, whose first column holds the item ids where it has no names"
    )
    catalogue_item_column: str | None = Field(
        None, description="catalogue column of item ids; None = data.item_column where it is there, else usual names"
    )
    placeholders: Literal["missing", "keep"] = Field(
        "missing",
        description="markers of missing values (nan, NULL, None, N/A, \\N, -, ...): missing = no text; as an id no id, unless "
        "the catalogue names an item so, or a user has as many rows as others (docs/data.md); keep = what they say",
    )
    decimal_ids: Literal["whole", "keep"] = Field(
        "whole",
        description="ids like 100.0 among numbers, as a missing value makes them: whole = 100; keep = text as it stands",
    )
    max_gigabytes: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="most that one file of a source may hold when it is decompressed, 10**9 bytes; None = a quarter of the "
        "memory that this process may use",
    )
    separator: str | None = Field(
        None, description="CSV field separator, one character, or tab, or space; None = found among , ; tab |"
    )
    split: Literal["leave-one-out", "temporal", "given", "item-cold"] = Field(
        "leave-one-out",
        description="what is held out: everybody's last two items; all interactions from a date on; what the source itself "
        "marks; or everybody's last two items, and every earlier interaction of some items (docs/protocol.md)",
    )
    cold_share: float = Field(
        0.1, gt=0, lt=1, description="of the item-cold split: share of the items that lose their interactions"
    )
    split_at: str | None = Field(
        None,
        description="where the temporal split cuts: an ISO date or time (UTC), epoch seconds or milliseconds, or a number "
        "between 0 and 1 = that quantile of all times; what is not before it is test",
    )
    split_column: str | None = Field(
        None,
        description="column of the given split that says train, valid or test; None = found by the usual names; not read "
        "where the folder holds a file for each",
    )

    @field_validator("separator")
    @classmethod
    def spelled(cls, separator: str | None) -> str | None:
        """The character itself."""
        return separator if separator is None else SPELLED.get(separator, separator)

    @field_validator("split_at", mode="before")
    @classmethod
    def written_out(cls, value: Any) -> Any:
        """YAML reads dates and numbers; all are kept as text."""
        if isinstance(value, date):
            return value.isoformat()
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("event_weights", mode="before")
    @classmethod
    def kinds_are_text(cls, value: Any) -> Any:
        """YAML reads kinds like 1 as numbers, and yes as a truth value."""
        if not isinstance(value, dict):
            return value
        if any(isinstance(kind, bool) for kind in value):
            raise ValueError("data.event_weights: a kind was read as a truth value; put it in quotes, like {'yes': 1}")
        return {str(kind).strip(): weight for kind, weight in value.items()}

    @field_validator("time_format")
    @classmethod
    def format_is_known(cls, value: str | None) -> str | None:
        if value is None or value in TIME_FORMATS:
            return value
        if "%" not in value:
            raise ValueError(
                f"data.time_format={value}: is none of {', '.join(TIME_FORMATS)}, nor a pattern like %d/%m/%Y"
            )
        try:
            datetime.strptime(datetime(2017, 7, 14, tzinfo=UTC).strftime(value), value)
        except ValueError as error:
            raise ValueError(
                f"data.time_format={value}: is no pattern of strptime ({error}); write one like %d/%m/%Y %H:%M"
            ) from None
        return value

    @model_validator(mode="after")
    def signals_are_whole(self) -> Self:
        if self.value_column is not None and self.min_value is None:
            raise ValueError(
                f"data.value_column={self.value_column} needs data.min_value: the least rating that is positive, like 4"
            )
        if self.event_column is not None and self.event_weights is None:
            raise ValueError(
                f"data.event_column={self.event_column} needs data.event_weights: a weight for each kind, like "
                "{view: 0.2, cart: 0.5, purchase: 1}"
            )
        if self.event_weights is not None and max(self.event_weights.values(), default=0) <= 0:
            raise ValueError("data.event_weights: no kind weighs more than 0, so nothing would be left")
        return self

    @model_validator(mode="after")
    def split_is_whole(self) -> Self:
        if self.split == "temporal" and self.split_at is None:
            raise ValueError(
                "data.split=temporal needs data.split_at: a date like 2014-01-31, epoch seconds, or a quantile like 0.9"
            )
        for name, value, kind in (
            ("split_at", self.split_at, "temporal"),
            ("split_column", self.split_column, "given"),
        ):
            if value is not None and self.split != kind:
                raise ValueError(
                    f"data.{name}={value} is read by data.split={kind} alone, and data.split={self.split}; set one of them"
                )
        return self
