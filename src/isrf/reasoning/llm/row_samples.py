"""A few rows and answers that stand for all: what sampled rows are asked, which are known, what answers are usually like.

Knows nothing about budgets and money.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from isrf.core.config import ReasoningSettings
from isrf.core.progress import track
from isrf.data.training_data import TrainingData
from isrf.reasoning.answers.keys import Keys
from isrf.reasoning.answers.store import AnswerStore
from isrf.reasoning.attributes.statistics import BLOCK, AttributeStatistics
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.prompts import Prompt, Question, item_question, prompt_of, turn, user_question
from isrf.reasoning.reason import item_order, user_order

SAMPLED = 100
"""Rows of each kind that are looked at, evenly spread over the order in which rows are asked about."""

ENOUGH = 5
"""Answers, or rows, that make a mean."""
MOST_CALLS = 4
"""Times that one question can be asked about a row: twice, and each with more room if its answer is cut."""
TOKENS_PER_WORD, TOKENS_OF_JSON = 1.4, 8
"""Of an answer that uses up its word limit: tokens a word, and tokens of the JSON around one field."""


@dataclass(frozen=True)
class Sample:
    """Rows of one kind that stand for all of them.

    Attributes:
        prompt: what all rows of the kind share.
        order: (n,) int64 rows as they would be asked about, most important first.
        weights: (n,) int64 training interactions of each row of ``order``.
        positions: (s,) int64 ascending positions in ``order`` that are looked at, first and last among them.
        question: what is asked about a row.
    """

    prompt: Prompt
    order: np.ndarray
    weights: np.ndarray
    positions: np.ndarray
    question: Callable[[int], Question]


@dataclass(frozen=True)
class Usual:
    """What one question usually takes.

    Attributes:
        tokens: of an answer, thinking included.
        seconds: until it is there; None = not known.
        most: tokens that the word limits allow, without thinking.
        calls: times that it is asked about a row: rejected answers are asked for again, and a row that has no good
            answer is not asked further.
        known_from: how all that is known.
    """

    tokens: float
    seconds: float | None
    most: float
    calls: float
    known_from: str


def item_sample(training: TrainingData, settings: ReasoningSettings) -> Sample:
    """Items in the order in which ``reason_items`` asks about them."""
    prompt, catalogue = prompt_of("item", settings), training.catalogue
    order = item_order(training)
    return _sample(prompt, order, training.popularity[order], lambda row: item_question(prompt, catalogue, row))


def user_sample(training: TrainingData, settings: ReasoningSettings) -> Sample:
    """Users in the order in which ``reason_users`` asks about them.

    What a question quotes of an item is the feature by attribute statistics: that by the LLM is not known yet.
    """
    prompt, histories = prompt_of("user", settings), training.histories
    order = user_order(training)
    features = [""] * training.n_items

    def question(row: int) -> Question:
        return user_question(prompt, training.catalogue, row, histories[row], features, settings.user_history)

    sample = _sample(prompt, order, histories.lengths[order], question)
    needed = set(histories.take(sample.order[sample.positions]).items.tolist())
    blocks = AttributeStatistics.fit(training, settings).items_in_blocks() if needed else iter(())
    for n, block in enumerate(track(blocks, "attribute statistics of items", -(-training.n_items // BLOCK))):
        for row, text in enumerate(block.features, start=n * BLOCK):
            if row in needed:
                features[row] = text
    return sample


def chats_of(sample: Sample) -> list[list[dict[str, str]]]:
    """What the endpoint would be sent about the sampled rows: row by row, one chat an ask.

    Answers to the earlier asks of a row are not known: those of the worked examples stand in.
    """
    dialogues = sample.prompt.templates.examples[sample.prompt.kind]["dialogues"]
    chats = []
    for n, row in enumerate(sample.order[sample.positions].tolist()):
        talk = list(sample.prompt.opening)
        for ask in sample.question(row).asks:
            chats.append([*talk, {"role": "user", "content": ask.text}])
            said = dialogues[n % len(dialogues)] if dialogues else dict.fromkeys(ask.fields, "")
            talk += turn(ask.text, {field: said[field] for field in ask.fields})
    return chats


def known_rows(sample: Sample, who: Endpoint, settings: ReasoningSettings, answers: AnswerStore | None) -> np.ndarray:
    """(n,) bool in the order of asking: whether the store has answers about a row.

    A row counts as known where its first question is answered. Between two sampled rows of which one is known, the
    place where that changes is searched for; between two alike, the rows are taken to be like them.
    """
    known = np.zeros(len(sample.order), dtype=bool)
    if answers is None or not len(known):
        return known
    keys, name = Keys(sample.prompt, who, settings), sample.prompt.plan[0][0]

    def at(position: int) -> bool:
        ask = sample.question(int(sample.order[position])).asks[0]
        return answers.get(keys.of(name, [{"role": "user", "content": ask.text}])) is not None

    def first(positions: range, state: bool) -> int:
        return bisect_left(positions, True, key=lambda position: at(position) == state)

    ends = sample.positions.tolist()
    states = [at(end) for end in ends]
    known[-1] = states[-1]
    for (start, stop), (before, after) in zip(pairwise(ends), pairwise(states), strict=True):
        turns = stop
        if before != after:
            turns = start + 1 + first(range(start + 1, stop), after)
        known[start:turns], known[turns:stop] = before, after
    return known


def usual_answers(
    sample: Sample, who: Endpoint, answers: AnswerStore | None, known: int, of_items: dict[str, Usual]
) -> dict[str, Usual]:
    """What each question usually takes: as measured; else as it is about items, by the word limits; else at most.

    Args:
        known: rows that the store has answers about.
        of_items: the same of the items, where ``sample`` is of users.
    """
    found, enough = {}, max(1, min(ENOUGH, len(sample.order)))
    for ask, fields in sample.prompt.plan:
        measured = answers.measured(who.supplier, who.identity, sample.prompt.kind, ask) if answers else None
        by_words = sum(TOKENS_PER_WORD * sample.prompt.words[field] + TOKENS_OF_JSON for field in fields)
        most, alike = min(by_words, float(sample.prompt.tokens[ask])), of_items.get(ask)
        calls = measured.count / known if measured and known >= enough else 1.0
        # more than can be: answers to other words or with other settings are among them
        calls = calls if calls <= MOST_CALLS else 1.0
        if measured is not None and (measured.count >= ENOUGH or known >= enough):
            found[ask] = Usual(measured.tokens_out, measured.seconds, most, calls, "as measured")
        elif known >= enough:  # no row ever got as far as this question
            found[ask] = Usual(most, 0.0, most, 0.0, "as measured")
        elif alike is not None and alike.seconds is not None:
            scale = most / alike.most
            found[ask] = Usual(alike.tokens * scale, alike.seconds * scale, most, alike.calls, "as about items")
        else:
            found[ask] = Usual(most, None, most, 1.0, "at most, by the word limits")
    return found


def corrected(
    samples: Sequence[Sample], halves: Sequence[np.ndarray], who: Endpoint, answers: AnswerStore | None
) -> tuple[list[np.ndarray], int]:
    """Counts of another model's tokenizer, scaled to those of the endpoint where it answered; by how many answers."""
    real = approximate = 0.0
    used = 0
    for sample, counted in zip(samples, halves, strict=True):
        for column, (ask, _) in enumerate(sample.prompt.plan):
            measured = answers.measured(who.supplier, who.identity, sample.prompt.kind, ask) if answers else None
            if measured is None or measured.count < ENOUGH or not len(counted):
                continue
            # rows are asked about from the first on
            first = np.arange(min(measured.count, len(sample.order)))
            real += measured.count * measured.tokens_in
            approximate += measured.count * float(np.interp(first, sample.positions, counted[:, column]).mean())
            used += measured.count
    scale = real / approximate if used and real else 1.0
    return [counted * scale for counted in halves], used if real else 0


def _sample(prompt: Prompt, order: np.ndarray, weights: np.ndarray, question: Callable[[int], Question]) -> Sample:
    positions = np.unique(np.linspace(0, len(order) - 1, min(SAMPLED, len(order))).astype(np.int64))
    return Sample(prompt, order, weights.astype(np.int64), positions, question)
