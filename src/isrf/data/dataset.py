"""An interaction log and its catalogue, in the user's own ids. Knows nothing about files, splits or row numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from isrf.core.errors import IsrfError


class Columns:
    """Column names of every table in the package."""

    USER = "user_id"
    ITEM = "item_id"
    TIME = "timestamp"  # milliseconds since 1970-01-01 UTC, null where the source has no time
    WEIGHT = "weight"  # float32 > 0, how much an interaction counts; absent = each counts 1
    DISLIKED = "disliked"  # bool, before cleaning: a rating below data.min_value; absent where ratings are not read
    PART = "part"  # "train", "valid" or "test"; only where a split other than leave-one-out is chosen
    ORDER = "order"  # position in the source: breaks ties of TIME and replaces it where it is null
    TITLE = "title"
    BRAND = "brand"
    CATEGORIES = "categories"  # values separated by "|"
    DESCRIPTION = "description"
    USER_ROW = "user_row"
    ITEM_ROW = "item_row"
    EXPLANATION = "explanation"  # a sentence of a review that says why its user likes its item
    FEATURE = "feature"  # the word such a sentence is about, "" where the source names none


PARTS = ("train", "valid", "test")
"""Values of PART, in the order in which they are met."""

ID_TYPES = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
"""Polars types in which ids come back as they were given; of any other type they are text."""

LIST_SEPARATOR = "|"
"""Separates the values of a multi-valued catalogue attribute, e.g. categories."""


@dataclass(frozen=True)
class TypedColumns:
    """Columns of a catalogue that are more than texts: what filters read beside these.

    Attributes:
        table: ITEM str, one row an item, and columns of Int64, Float64, Boolean, Date, Datetime (UTC), String, or lists of
            numbers or texts; null where an item has no value.
        sources: column of the source -> its name here or in the texts, where it is another.
    """

    table: pl.DataFrame
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Interactions and catalogue after cleaning, before any split.

    Attributes:
        name: short name for tables, e.g. "amazon-beauty-2014".
        interactions: USER str, ITEM str, TIME Int64 or null, ORDER Int64; one row an interaction, unique by
            (user, item) unless ``data.repeats=all``, sorted by user and within a user oldest first. PART (an Enum of PARTS)
            too, unless the split is leave-one-out of interactions that weigh alike; WEIGHT where they do not.
        catalogue: ITEM str, TITLE str, then any further text attributes (str, "" where absent); one row an item;
            holds every item of ``interactions`` and every other item that may be recommended.
        counts: what cleaning counted, by name, in the order it happened (see ``isrf data describe``).
        source_order: original item ids in the source's own numbering, where it has one (P5 integer ids), else None.
            Read by the audit only: it may carry order and must never number anything here.
        explanations: USER, ITEM, EXPLANATION, FEATURE of interactions that a review explains (``data.reviews``),
            held-out ones among them; None where the source has no such file.
        protocol: what PART goes by, in a sentence for people; None = leave-one-out.
        warnings: lines for the person who reads a source: what was not recognised, and the setting that names it. A
            workspace does not keep them.
        losses: lines on settings that dropped much of the log (``data.losses``). A workspace keeps them, and every table of
            it says them again.
        id_types: USER and ITEM -> one of ID_TYPES, where the source holds its ids so.
        dislikes: USER, ITEM whose last rating is below ``data.min_value``; None where ratings are not read.
        columns: what filters read beside the texts; None in a workspace by an isrf that did not keep it.
        cold_items: ids of the cold items of an item-cold split.
    """

    name: str
    interactions: pl.DataFrame
    catalogue: pl.DataFrame
    counts: dict[str, int] = field(default_factory=dict)
    source_order: list[str] | None = None
    explanations: pl.DataFrame | None = None
    protocol: str | None = None
    warnings: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    id_types: dict[str, str] = field(default_factory=dict)
    dislikes: pl.DataFrame | None = None
    columns: TypedColumns | None = None
    cold_items: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for label, table, needed in (
            ("interactions", self.interactions, [Columns.USER, Columns.ITEM, Columns.TIME, Columns.ORDER]),
            ("catalogue", self.catalogue, [Columns.ITEM, Columns.TITLE]),
        ):
            missing = [c for c in needed if c not in table.columns]
            if missing:
                raise IsrfError(f"{self.name}: {label} lacks column {missing[0]!r}; it has {table.columns}")
        if not self.interactions.height:
            raise IsrfError(f"{self.name}: no interactions are left; check the source or lower data.min_interactions")
        if self.catalogue[Columns.ITEM].is_duplicated().any():
            twice = self.catalogue.filter(pl.col(Columns.ITEM).is_duplicated())[Columns.ITEM][0]
            raise IsrfError(f"{self.name}: item {twice!r} is in the catalogue twice; keep one row an item")
        unknown = self.interactions.join(self.catalogue.select(Columns.ITEM), on=Columns.ITEM, how="anti")
        if unknown.height:
            raise IsrfError(f"{self.name}: item {unknown[Columns.ITEM][0]!r} is in the log but not in the catalogue")

    @property
    def n_users(self) -> int:
        return self.interactions[Columns.USER].n_unique()

    @property
    def n_items(self) -> int:
        return self.catalogue.height

    @cached_property
    def repeated(self) -> bool:
        """Whether a user has an item twice (``data.repeats=all``)."""
        return bool(self.interactions.select(Columns.USER, Columns.ITEM).is_duplicated().any())

    def digest(self) -> str:
        """SHA-256 (hex) of ids, order, parts, weights and texts: equal for equal content, whatever the source's format."""
        h = hashlib.sha256()
        known = (Columns.USER, Columns.ITEM, Columns.PART, Columns.WEIGHT)
        told = [c for c in known if c in self.interactions.columns]
        h.update(self.interactions.select(told).write_csv().encode())
        h.update(self.catalogue.sort(Columns.ITEM).write_csv().encode())
        return h.hexdigest()
