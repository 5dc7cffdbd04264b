"""Item identifiers of several tokens, for a generator that writes an item token by token: ``digits`` and ``semantic``.

They are made from semantic features or from a seed, and from no interaction: an identifier cannot leak what it was not
made from. Knows nothing about the generator that writes them, nor about training.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from isrf.core.documents import read_json
from isrf.core.errors import IsrfError
from isrf.core.files import opened
from isrf.core.progress import note
from isrf.core.tables import open_arrays, save_arrays
from isrf.semantics.quantise import fit_quantiser
from isrf.workspace.layout import ABOUT_IDENTIFIERS_FILE, IDENTIFIERS_FILE

if TYPE_CHECKING:  # loading it takes seconds
    from transformers import T5Tokenizer

Kind = Literal["digits", "semantic"]


BASE = 10

MOST_BYTES = 1 << 27
"""Of a SentencePiece model; that of a multilingual T5 has 4 MB."""

END_OF_SEQUENCE, UNKNOWN = 1, 2
"""Rows of T5's pieces: </s> and <unk>."""

ITEMS_PER_CODE = 4
"""A level has no more codes than a quarter of the items: a code that one item has says nothing about likeness."""


@dataclass(frozen=True)
class Identifiers:
    """The code of every item.

    Attributes:
        kind: "digits" or "semantic".
        tokens: (I, T) int64; row i is the identifier of item row i, first token first. Where identifiers differ in
            length each is followed by ``end`` up to T, so every code has T tokens and none is the beginning of another.
        size: tokens of the vocabulary; every token is in [0, size).
        end: the token that ends an identifier, None where all have the same length.
        pieces: (size,) int64, row of each token in the vocabulary of T5's tokenizer, so that its embeddings can be
            taken over; None where the tokens are no pieces of text.

    Raises:
        IsrfError: two items have the same code, or one goes on behind its end or leaves the vocabulary.
    """

    kind: Kind
    tokens: np.ndarray
    size: int
    end: int | None = None
    pieces: np.ndarray | None = None

    def __post_init__(self) -> None:
        tokens = self.tokens
        if tokens.ndim != 2 or tokens.dtype != np.int64 or tokens.shape[1] < 1:
            raise ValueError(f"identifiers: tokens are {tokens.dtype} {tokens.shape}, not (I, T) int64")
        if self.pieces is not None and self.pieces.shape != (self.size,):
            raise ValueError(f"identifiers: {len(self.pieces)} pieces for {self.size} tokens")
        outside = np.flatnonzero((tokens < 0).any(1) | (tokens >= self.size).any(1))
        if len(outside):
            raise IsrfError(f"identifiers: item row {outside[0]} has a token outside [0, {self.size}); make them again")
        if self.end is not None:
            ended = tokens == self.end
            going_on = np.flatnonzero((ended[:, :-1] & ~ended[:, 1:]).any(1) | ended[:, 0])
            if len(going_on):
                raise IsrfError(f"identifiers: that of item row {going_on[0]} is empty or goes on behind its end token")
        order = np.lexsort(tokens.T[::-1])
        same = np.flatnonzero((tokens[order[1:]] == tokens[order[:-1]]).all(1))
        if len(same):
            one, other = sorted(order[same[0] : same[0] + 2].tolist())
            raise IsrfError(f"identifiers: item rows {one} and {other} have the same code; each needs its own number")

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def length(self) -> int:
        """T."""
        return self.tokens.shape[1]

    @cached_property
    def written(self) -> np.ndarray:
        """(I, T) bool: the tokens that are really written, the first ``end`` among them and no later one."""
        if self.end is None:
            return np.ones(self.tokens.shape, dtype=bool)
        before = np.ones((len(self), 1), dtype=bool)
        return np.concatenate([before, self.tokens[:, :-1] != self.end], 1)


def seeded_numbers(n_items: int, seed: int) -> np.ndarray:
    """(I,) int64 numbers 1 to I in an order that says nothing: a permutation drawn by the seed."""
    return np.random.default_rng(seed).permutation(n_items).astype(np.int64) + 1


def digit_identifiers(numbers: np.ndarray, model: Path | None = None) -> Identifiers:
    """The paper's ``item_1234``, split into pieces.

    With T5's SentencePiece model the pieces are those that T5's tokenizer cuts the text into. They differ in length
    from item to item, so each identifier is closed by T5's end token. The pieces that all of them begin with ("item",
    "_") are left out: they say nothing, and each would cost a decoding step. Without a model, numbers are written as
    decimal digits of one width with leading zeros, which need no end.

    Args:
        numbers: (I,) int64 >= 0, the printed number of each item row, all different. ``seeded_numbers`` gives some
            without an order; numbers in the order of first appearance give held-out items away (``isrf audit``).
        model: T5's ``spiece.model``.

    Raises:
        IsrfError: two items have the same number, or the model is none or cannot spell a number.
    """
    numbers = np.asarray(numbers, dtype=np.int64)
    if len(numbers) == 0 or numbers.min() < 0:
        raise ValueError("digit identifiers need at least one item and numbers >= 0")
    if model is not None:
        return _piece_identifiers(numbers, model)
    width = len(str(int(numbers.max())))
    powers = BASE ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return Identifiers("digits", numbers[:, None] // powers % BASE, BASE)


def _piece_identifiers(numbers: np.ndarray, model: Path) -> Identifiers:
    tokenizer = tokenizer_of(model)
    spelled = tokenizer([f"item_{n}" for n in numbers.tolist()], add_special_tokens=False)["input_ids"]
    lengths = np.array([len(s) for s in spelled])
    table = np.full((len(spelled), lengths.max() + 1), END_OF_SEQUENCE, dtype=np.int64)
    table[np.arange(table.shape[1]) < lengths[:, None]] = np.concatenate(spelled)
    unknown = np.flatnonzero((table == UNKNOWN).any(1))
    if len(unknown):
        raise IsrfError(f"{model}: has no pieces for item_{numbers[unknown[0]]}; give the spiece.model of a T5")
    differs = np.flatnonzero((table != table[0]).any(0))
    table = table[:, differs[0] if len(differs) else lengths.max() - 1 :]
    if lengths.min() == lengths.max():
        table = table[:, :-1]  # one length: no end has to be told
    pieces, tokens = np.unique(table, return_inverse=True)
    end = int(np.searchsorted(pieces, END_OF_SEQUENCE)) if END_OF_SEQUENCE in pieces else None
    return Identifiers("digits", tokens.reshape(table.shape).astype(np.int64), len(pieces), end, pieces)


def semantic_identifiers(semantics: np.ndarray, levels: int = 3, codes: int = 256, seed: int = 0) -> Identifiers:
    """Residual quantisation of semantic item features (TIGER): items that are alike share their first tokens.

    Each level is a k-means over what the levels before it left; the token of level l is ``l * codes`` + its cluster.
    One last token tells items with equal clusters apart. It is dealt out in an order drawn by the seed, because the
    order of item rows may be that of first appearance.

    Args:
        semantics: (I, k) float32 semantic item features.
        levels: levels of quantisation, at least 1.
        codes: most clusters a level; a small catalogue has fewer (ITEMS_PER_CODE), and a line says so.
        seed: of k-means and of the last token.
    """
    n_items = len(semantics)
    fitting = min(codes, max(1, n_items // ITEMS_PER_CODE))
    if fitting < codes:
        note(
            f"semantic identifiers: {fitting} codes a level instead of {codes}, because there are only {n_items} items only"
        )
    tokens = np.empty((n_items, levels + 1), dtype=np.int64)
    tokens[:, :levels] = fit_quantiser(semantics, levels, fitting, seed)[1] + fitting * np.arange(levels)
    order = np.random.default_rng(seed).permutation(n_items)
    sorted_rows = order[np.lexsort(tokens[order, levels - 1 :: -1].T)]
    alike = (tokens[sorted_rows[1:], :levels] == tokens[sorted_rows[:-1], :levels]).all(1)
    begins = np.flatnonzero(np.concatenate([[True], ~alike]))
    place = np.arange(n_items) - np.repeat(begins, np.diff(np.append(begins, n_items)))
    tokens[sorted_rows, levels] = levels * fitting + place
    return Identifiers("semantic", tokens, int(levels * fitting + place.max() + 1))


def tokenizer_of(model: Path) -> T5Tokenizer:
    """T5's tokenizer from a SentencePiece model; IsrfError as ``read_pieces``."""
    from transformers import T5Tokenizer

    return T5Tokenizer(vocab=read_pieces(model), extra_ids=0)


def read_pieces(model: Path) -> list[tuple[str, float]]:
    """(piece, score) of every row of a SentencePiece model: field 1 of its protocol buffer.

    Read by hand: the two fields that are needed do not make it worth to depend on sentencepiece and protobuf.

    Raises:
        IsrfError: the file is missing or no SentencePiece model of a T5.
    """
    try:
        with opened(model, "give the spiece.model of a T5") as file:
            data = file.read(MOST_BYTES)
        pieces = []
        for number, message in _fields(data):
            if number == 1:
                fields = dict(_fields(message))
                pieces.append((fields[1].decode(), struct.unpack("<f", fields.get(2, bytes(4)))[0]))
    except OSError as error:
        raise IsrfError(f"{model}: cannot be read ({error.strerror})") from None
    except (IndexError, KeyError, ValueError, struct.error):
        raise IsrfError(f"{model}: is not a SentencePiece model; give the spiece.model of a T5") from None
    if [piece for piece, _ in pieces[1:3]] != ["</s>", "<unk>"]:
        raise IsrfError(f"{model}: rows 1 and 2 are not </s> and <unk>; give the spiece.model of a T5")
    return pieces


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, raw value) of each field of a protocol buffer; of a varint its bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        start = at
        if wire == 0:
            _, at = _varint(message, at)
        elif wire == 2:
            length, start = _varint(message, at)
            at = start + length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError("unknown wire type")
        if at > len(message):
            raise ValueError("cut off")
        yield number, message[start:at]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of 7 bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def save_identifiers(identifiers: Identifiers, folder: Path) -> None:
    """Write arrays, then what they are, into an existing folder."""
    arrays = {"tokens": identifiers.tokens}
    if identifiers.pieces is not None:
        arrays["pieces"] = identifiers.pieces
    save_arrays(folder / IDENTIFIERS_FILE, **arrays)
    about = {
        "kind": identifiers.kind,
        "items": len(identifiers),
        "length": identifiers.length,
        "size": identifiers.size,
        "end": identifiers.end,
    }
    (folder / ABOUT_IDENTIFIERS_FILE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def load_identifiers(folder: Path) -> Identifiers:
    """Read what ``save_identifiers`` wrote.

    Raises:
        IsrfError: a file is missing, unreadable or does not fit the other.
    """
    try:
        about = read_json(folder / ABOUT_IDENTIFIERS_FILE)
        with open_arrays(folder / IDENTIFIERS_FILE) as arrays:
            tokens, pieces = arrays["tokens"], arrays.get("pieces")
        if tokens.shape != (about["items"], about["length"]):
            raise ValueError(f"{IDENTIFIERS_FILE} has {tokens.shape}")
        return Identifiers(about["kind"], tokens, about["size"], about["end"], pieces)
    except (IsrfError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise IsrfError(f"{folder}: unreadable item identifiers ({first}); make them again") from None
