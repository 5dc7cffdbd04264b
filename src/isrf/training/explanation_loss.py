"""Batches of review explanations and their loss: the third task of iterative batch optimisation (paper, step 3).

Only sentences of training interactions enter. Knows nothing about the loop of training nor about workspaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import TrainingData
from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.explainer import Explainer
from isrf.model.inference import padded
from isrf.model.pretrained import pretrained
from isrf.model.token_generator import TokenGenerator
from isrf.model.token_generator_parts import PIECES
from isrf.model.vocabulary import Vocabulary, cut, padded_tokens
from isrf.training.batches import Batch, DirectBatch, NextItemBatch, SequentialBatch, cuts_of, of_like_width

MOST_SENTENCES = 64
"""Of a batch: each is a dozen predictions over thousands of pieces, as many as hundreds of histories have."""

SENTENCE_STEP = 8
"""Sentences share a batch with those that are as long to a multiple of this many pieces: few shapes, little padding."""


@dataclass(frozen=True)
class Explanations:
    """What people said about items of their training history.

    Attributes:
        users: (N,) int64 user rows.
        places: (N,) int64, where the explained item stands in the user's training history.
        sentences: N arrays of int64 tokens, END behind each.
        vocabulary: of the tokens.
        length: most pieces that are trained on and written.
        checkpoint: folder of the T5 whose pieces they are; None where pieces were learned.
    """

    users: np.ndarray
    places: np.ndarray
    sentences: list[np.ndarray]
    vocabulary: Vocabulary
    length: int
    checkpoint: Path | None = None


@dataclass(frozen=True)
class ExplanationBatch:
    """People, items of their histories, and what they said about them.

    Attributes:
        users: (B,) int64 user rows.
        bags: (B, L) int64 rows of the person's other items, padded with 0 on the right: as at inference, the explained
            item is not among them.
        mask: (B, L) float32, 1 where there is an item.
        with_group: (B,) bool, whether the group interest is read; only where the explained item comes behind the
            user's cut, and then the bag is from before it, as in DR.
        explained: (B,) int64 item rows.
        sentences: (B, T) int64 tokens, padded with PAD.
    """

    users: np.ndarray
    bags: np.ndarray
    mask: np.ndarray
    with_group: np.ndarray
    explained: np.ndarray
    sentences: np.ndarray


TASK_OF: dict[type, str] = {
    SequentialBatch: "sr",
    NextItemBatch: "sr",
    DirectBatch: "dr",
    ExplanationBatch: "explanation",
}
"""What the training log calls the task of a batch."""


def explanations_of(training: TrainingData, told: pl.DataFrame, length: int, checkpoint: Path | None) -> Explanations:
    """Training sentences cut into pieces.

    Args:
        training: histories.
        told: USER_ROW, ITEM_ROW and EXPLANATION of training interactions, at least one.
        length: most pieces of a sentence.
        checkpoint: folder of a T5, whose ``spiece.model`` is used where it has one.

    Raises:
        IsrfError: a pair is no training interaction, which would be a leak.
    """
    users, items = (told[name].to_numpy().astype(np.int64) for name in (Columns.USER_ROW, Columns.ITEM_ROW))
    histories = training.histories
    place_of = {
        (user, item): place for user in np.unique(users).tolist() for place, item in enumerate(histories[user].tolist())
    }
    places = np.array([place_of.get(pair, -1) for pair in zip(users.tolist(), items.tolist(), strict=True)])
    if (places < 0).any():
        row = int(np.argmax(places < 0))
        raise IsrfError(
            f"an explanation by user {training.user_ids[users[row]]!r} is of item {training.catalogue.ids[items[row]]!r}, "
            "which is not a training interaction; import the data again"
        )
    pieces = checkpoint / PIECES if checkpoint is not None and (checkpoint / PIECES).is_file() else None
    vocabulary, sentences = cut(told[Columns.EXPLANATION].to_list(), pieces)
    return Explanations(users, places, sentences, vocabulary, length, checkpoint if pieces else None)


def explain_with(host: AtomicGenerator | TokenGenerator, explanations: Explanations, seed: int) -> None:
    """Give a generator or writer an explainer with weights drawn by the seed, or a T5's for its pieces.

    The global random state is left as it was.
    """
    vocabulary = explanations.vocabulary
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        explainer = Explainer(host, vocabulary, explanations.length)
    if explanations.checkpoint is not None and vocabulary.rows is not None:
        t5 = pretrained(explanations.checkpoint, 0.0)
        rows = torch.from_numpy(vocabulary.rows)
        factor = t5.config.d_model**-0.5 if t5.config.scale_decoder_outputs else 1.0
        table = t5.shared.weight
        explainer.take_over(table[rows], t5.lm_head.weight[rows] * factor, float(table.std()))
    host.explainer = explainer


def explanation_batches(
    explanations: Explanations,
    histories: Histories,
    width: int,
    size: int,
    rng: np.random.Generator,
    reads_group: np.ndarray,
    dropout: float,
) -> Iterator[ExplanationBatch]:
    """Endless: all explanations again and again in random order, those of like length together.

    Args:
        explanations: at least one.
        histories: (U,) training histories.
        width: most items of a bag, the newest.
        size: most explanations of a batch, if fewer than MOST_SENTENCES.
        rng: draws order and group dropout.
        reads_group: (U,) bool, users whose past has a group.
        dropout: share of examples that read no group although they could.
    """
    cuts = cuts_of(histories)
    lengths = np.array([min(len(s), explanations.length) for s in explanations.sentences])
    widths = -(-lengths // SENTENCE_STEP) * SENTENCE_STEP
    while True:
        for _, chosen in of_like_width(widths, min(size, MOST_SENTENCES), rng):
            users, places = explanations.users[chosen], explanations.places[chosen]
            with_group = reads_group[users] & (places >= cuts[users]) & (rng.random(len(users)) >= dropout)
            bags = [
                histories[user][: cuts[user]] if group else np.delete(histories[user], place)
                for user, place, group in zip(users, places, with_group, strict=True)
            ]
            items, mask = padded(bags, width)
            sentences = padded_tokens([explanations.sentences[i] for i in chosen], explanations.length)
            explained = histories.items[histories.offsets[:-1][users] + places]
            yield ExplanationBatch(users, items, mask, with_group, explained, sentences)


def interleaved(
    batches: Iterable[Batch], explained: Iterator[ExplanationBatch], every: int
) -> Iterator[Batch | ExplanationBatch]:
    """The batches, and after each ``every``-th SR batch an explanation batch."""
    sequential = 0
    for batch in batches:
        yield batch
        if not isinstance(batch, DirectBatch):
            sequential += 1
            if sequential % every == 0:
                yield next(explained)


def explanation_loss(
    host: AtomicGenerator | TokenGenerator,
    items: torch.Tensor,
    rows: torch.Tensor,
    mask: torch.Tensor,
    token: torch.Tensor,
    batch: ExplanationBatch,
) -> torch.Tensor:
    """Scalar cross-entropy over the pieces of a batch's sentences (``Explainer.loss``).

    Args:
        host: with an explainer.
        items: (I, d) item embeddings.
        rows: (B, L) int64 item rows of the bags.
        mask: (B, L) float32.
        token: (B, d) group token.
        batch: what is explained and how.
    """
    explainer = host.explainer
    assert explainer is not None
    explained, sentences = (torch.from_numpy(array).to(rows.device) for array in (batch.explained, batch.sentences))
    return explainer.loss(host, explainer.encode(host, items, rows, mask, token, explained), sentences)
