"""Were questions to a language model made with held-out items in them? The store of answers tells, by its keys.

The store holds no prompt, only the key of each: a digest of all that was asked. So the question about each user is made
again as it should have been, and as a leak would have made it, and both are looked up.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isrf.core.config import ReasoningSettings
from isrf.data.histories import Histories
from isrf.data.splits.split import Split
from isrf.evaluation.audit.findings import OF_TEST, Finding
from isrf.reasoning.answers.keys import Keys
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.prompts import prompt_of, user_question

NAME = "questions to a language model with held-out items in them"
ALONE = "questions are made from training interactions alone"


def question_finding(
    split: Split, item_features: list[str], keys: set[str], asked: list[tuple[str, str]], settings: ReasoningSettings
) -> Finding:
    """How many users were asked about with their validation or test item among their items.

    Args:
        split: with what is held out.
        item_features: (I,) reasoned feature of each item, as the questions about users hold them.
        keys: all keys of the store of answers.
        asked: (supplier, identity) of every model that the store has answers of.
        settings: of the reasoning stage as it was made.
    """
    training, tested = split.training, split.users("test")
    users = tested[tested < training.n_users]  # nobody asks about people whom training does not know
    prompt = prompt_of("user", settings)
    makers = [Keys(prompt, Endpoint(supplier, None, model, model), settings) for supplier, model in asked]

    def answered(histories: Histories) -> list[set[str]]:
        """For each test user the keys in the store of their first question, made from these histories."""
        found = []
        for user in users.tolist():
            question = user_question(
                prompt, training.catalogue, user, histories[user], item_features, settings.user_history
            )
            first = question.asks[0]
            messages = [{"role": "user", "content": first.text}]
            found.append({maker.of(first.name, messages) for maker in makers} & keys)
        return found

    right = answered(training.histories)
    rightly = np.array([bool(own) for own in right], dtype=bool)
    wrongly = np.zeros(len(users), dtype=bool)
    for leaking in leaking_histories(split):
        # where the added item has no text, or the prompt no room for it, both questions are one and the same
        wrongly |= np.array([bool(told - own) for told, own in zip(answered(leaking), right, strict=True)], dtype=bool)
    neither = int((~rightly & ~wrongly).sum())
    meaning = (
        f"{int(rightly.sum()):,} test users asked about as they should be, {int(wrongly.sum()):,} with a held-out item"
        + (f", {neither:,} by no question that is known: not asked about, or otherwise" if neither else "")
    )
    return Finding(
        NAME,
        float(wrongly.sum() / len(tested)),
        "leak" if wrongly.any() else "clean" if rightly.any() else "unknown",
        meaning
        if wrongly.any() or rightly.any()
        else "no question in the store is about a user as the log has them now",
        OF_TEST,
        ALONE,
        "workspace",
    )


def leaking_histories(split: Split) -> Iterator[Histories]:
    """Histories as a leak would make them: with the validation item, with the test item, with both.

    Where a date or the source splits, also with all of validation, with all of test, and with both.
    """
    known = split.training.histories.padded(len(split.test))
    yield known.appended(split.valid)
    yield known.appended(split.test)
    yield known.appended(split.valid).appended(split.test)
    if split.later is not None:
        yield known.joined(split.later.valid)
        yield known.joined(split.later.test)
        yield known.joined(split.later.valid).joined(split.later.test)
