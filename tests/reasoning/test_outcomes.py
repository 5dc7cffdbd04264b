"""Replies on disk: whatever is put comes back, the last one counts, and memory does not grow with them."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from isrf.reasoning.llm.row_results import Replies, Reply

TEXT = st.text(max_size=40)
TOKENS = st.integers(0, 10**9)
REPLIES = st.builds(Reply, TEXT, TEXT, TEXT, TOKENS, TOKENS, TOKENS, st.lists(TEXT, max_size=3).map(tuple), TEXT)


@given(st.lists(st.tuples(st.integers(0, 9), REPLIES, st.integers(0, 9)), max_size=30))
def test_the_last_reply_of_a_row_comes_back_whatever_is_read_in_between(
    steps: list[tuple[int, Reply, int]],
) -> None:
    expected = dict[int, Reply]()
    with Replies(10) as replies:
        for row, reply, look in steps:
            replies.put(row, reply)
            expected[row] = reply
            assert replies.get(look) == expected.get(look)
        assert [replies.get(row) for row in range(10)] == [expected.get(row) for row in range(10)]
        assert replies.rows().tolist() == sorted(expected)


def test_memory_is_eight_bytes_a_row() -> None:
    reply = Reply("a" * 200, "b" * 200, "c" * 100, 1, 2, 0, (), "")
    tracemalloc.start()
    with Replies(20_000) as replies:
        for row in range(20_000):
            replies.put(row, reply)
        peak = tracemalloc.get_traced_memory()[1]
        assert replies.get(19_999) == reply
    tracemalloc.stop()
    assert peak < 20_000 * 8 + 100_000
