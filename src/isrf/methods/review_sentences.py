"""Sentences to hold generated explanations against: the most frequent of all, and the most typical of each item.

Both are written by people, and neither knows who asks. Knows nothing about models.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np


def most_frequent(sentences: Sequence[str]) -> str:
    """The sentence that stands there most often, the first in the alphabet among equals.

    >>> most_frequent(["b", "a", "b", "c"]), most_frequent(["b", "a"])
    ('b', 'a')
    """
    counts = Counter(sentences)
    return min(counts, key=lambda sentence: (-counts[sentence], sentence))


def most_typical(sentences: Sequence[str]) -> str:
    """The medoid: the sentence whose words are most like those of all together, by cosine; ties by the alphabet.

    >>> most_typical(["good soap", "good soap for hands", "arrived late"])
    'good soap for hands'
    """
    words = [Counter(sentence.lower().split()) for sentence in sentences]
    together: Counter[str] = Counter()
    for counted in words:
        together.update(counted)

    def likeness(counted: Counter[str]) -> float:
        length = math.sqrt(sum(n * n for n in counted.values())) or 1.0
        return sum(n * together[word] for word, n in counted.items()) / length

    return min(zip(sentences, words, strict=True), key=lambda pair: (-likeness(pair[1]), pair[0]))[0]


def typical_of_items(items: np.ndarray, sentences: Sequence[str]) -> dict[int, str]:
    """Item row -> its most typical sentence, for items that have any.

    Args:
        items: (N,) int64 item rows.
        sentences: N sentences about them.
    """
    said: dict[int, list[str]] = defaultdict(list)
    for item, sentence in zip(items.tolist(), sentences, strict=True):
        said[item].append(sentence)
    return {item: most_typical(own) for item, own in said.items()}
