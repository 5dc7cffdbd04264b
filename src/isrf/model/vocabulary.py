"""Word pieces of explanations: those that training sentences are cut into, and no other.

They are T5's where the model starts from a T5 checkpoint, else pieces learned from the same sentences. Either way a word
that stands in held-out sentences alone has no piece of its own. Knows nothing about the model that writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isrf.model.identifiers import read_pieces, tokenizer_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, END, UNKNOWN = range(3)
"""Rows of every vocabulary, the same as T5's: what fills up and what a sentence starts from, its end, and what has no piece."""

SPECIAL = ("<pad>", "</s>", "<unk>")
BLANK = "▁"
"""Stands for the blank before a word (SentencePiece)."""

LARGEST = 8000
"""Most pieces that are learned; sentences about a shop's items have some thousand words that are not rare."""


@dataclass(frozen=True)
class Vocabulary:
    """The pieces a model writes.

    Attributes:
        pieces: row -> piece, SPECIAL first.
        rows: (V,) int64, row of each piece in T5's own vocabulary, so that its embeddings can be taken over; None where
            the pieces were learned here.
    """

    pieces: tuple[str, ...]
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pieces)

    def text(self, tokens: Iterable[int]) -> str:
        """The sentence that tokens spell, up to the first END.

        >>> Vocabulary((*SPECIAL, "▁good", "▁soap", "s", ".")).text([3, 4, 5, 6, 1, 3])
        'good soaps.'
        """
        spelled = []
        for token in tokens:
            if token == END:
                break
            if token not in (PAD, UNKNOWN):
                spelled.append(self.pieces[token])
        return " ".join("".join(spelled).replace(BLANK, " ").split())


def cut(sentences: Sequence[str], model: Path | None = None) -> tuple[Vocabulary, list[np.ndarray]]:
    """The vocabulary of training sentences, and each of them as int64 tokens with END behind.

    Args:
        sentences: of training interactions alone.
        model: T5's ``spiece.model``; None learns pieces from the sentences (byte-pair encoding).

    Raises:
        IsrfError: the file is no SentencePiece model of a T5.
    """
    if model is not None:
        names = [piece for piece, _ in read_pieces(model)]
        found = tokenizer_of(model)(list(sentences), add_special_tokens=False)["input_ids"]
    else:
        tokenizer = learned(sentences)
        names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
        found = [encoding.ids for encoding in tokenizer.encode_batch(list(sentences))]
    # a sentence that holds "</s>" as text must not end there
    spelled = [np.where(np.isin(f, (PAD, END)), UNKNOWN, np.asarray(f, dtype=np.int64)) for f in found]
    flat = np.concatenate([np.arange(len(SPECIAL)), *spelled])
    rows, tokens = np.unique(flat, return_inverse=True)
    ends = np.cumsum([len(SPECIAL), *map(len, spelled)])
    told = [np.append(part, END) for part in np.split(tokens.reshape(-1).astype(np.int64), ends[:-1])[1:]]
    pieces = (*SPECIAL, *(names[row] for row in rows[len(SPECIAL) :]))
    return Vocabulary(pieces, None if model is None else rows), told


def learned(sentences: Sequence[str]) -> Tokenizer:
    """A byte-pair tokenizer of the sentences: words and signs apart, a blank kept as part of the word behind it.

    The same sentences give the same pieces, whatever their order: each counts once where it stands once.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(replacement=BLANK, prepend_scheme="always"), pre_tokenizers.Punctuation("isolated")]
    )
    trainer = trainers.BpeTrainer(vocab_size=LARGEST, special_tokens=list(SPECIAL), show_progress=False)
    tokenizer.train_from_iterator(sorted(sentences), trainer)
    return tokenizer


def padded_tokens(sentences: Sequence[np.ndarray], length: int) -> np.ndarray:
    """(N, T) int64 tokens padded with PAD, T the longest but at most ``length``: longer sentences are cut, and lose END."""
    width = min(max(map(len, sentences), default=0), length)
    table = np.full((len(sentences), width), PAD, dtype=np.int64)
    for row, sentence in enumerate(sentences):
        table[row, : len(sentence[:width])] = sentence[:width]
    return table
