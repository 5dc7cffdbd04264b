"""Constrained beam search against writing every item of the catalogue, against transformers, and against its promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from isrf.core.config import ModelSettings
from isrf.data.histories import Histories
from isrf.model.beam_search import beam_search
from isrf.model.encoder_states import EncoderStates
from isrf.model.identifiers import Identifiers
from isrf.model.token_generator import START, TokenGenerator
from isrf.model.trie import Trie

SETTINGS = ModelSettings(d_model=16, heads=2, adapter_width=16, decoder_layers=2, dropout=0.3)
N_ITEMS, PEOPLE = 40, 5
KINDS = ("one length", "many lengths")


@cache
def identifiers_of(kind: str) -> Identifiers:
    rng = np.random.default_rng(0)
    if kind == "one length":
        codes = rng.permutation(np.unique(rng.integers(0, 5, size=(90, 3)) + np.array([0, 5, 10]), axis=0))[:N_ITEMS]
        return Identifiers("semantic", codes.astype(np.int64), 15)
    codes = [[int(digit) + 1 for digit in str(n)] for n in rng.permutation(120)[:N_ITEMS]]
    return Identifiers("digits", np.array([[*c, *[0] * (4 - len(c))] for c in codes], dtype=np.int64), 11, end=0)


@cache
def world(kind: str) -> tuple[TokenGenerator, EncoderStates, Trie]:
    """A writer whose every part matters, what it reads of five people, and the trie."""
    identifiers = identifiers_of(kind)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        writer = TokenGenerator(SETTINGS, torch.randn(N_ITEMS, 8), 5, identifiers).eval()
        for parameter in writer.parameters():
            parameter.data.add_(0.1 * torch.randn(parameter.shape))
        rows, mask, token = torch.randint(0, N_ITEMS, (PEOPLE, 4)), torch.ones(PEOPLE, 4), torch.randn(PEOPLE, 16)
        mask[1, 2:] = 0
        with torch.no_grad():
            encoded = writer.encode(writer.items(), rows, mask, token, "sequential")
    return writer, encoded, Trie.build(identifiers)


def every_item(kind: str) -> torch.Tensor:
    """(PEOPLE, I) log-probability of each item's whole identifier, written by teacher forcing: no beam, no cache."""
    writer, encoded, _ = world(kind)
    people = torch.arange(PEOPLE).repeat_interleave(N_ITEMS)
    with torch.no_grad():
        losses = writer.token_losses(encoded.take(people), torch.arange(N_ITEMS).repeat(PEOPLE))
    return -losses.sum(1).view(PEOPLE, N_ITEMS)


def search(kind: str, beams: int, seen: Sequence[Sequence[int]] | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    return beam_search(*world(kind), beams, None if seen is None else Histories.of(seen))


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_beam_for_every_item_the_search_is_exact(kind: str) -> None:
    items, log_probs = search(kind, N_ITEMS)
    expected, order = every_item(kind).sort(descending=True)
    assert torch.equal(items, order)
    torch.testing.assert_close(log_probs, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_without_what_was_seen(kind: str) -> None:
    seen = [[3, 7, 7], [], list(range(30)), list(range(N_ITEMS)), [39]]
    items, log_probs = search(kind, N_ITEMS + 5, seen)
    scores = every_item(kind)
    for person, history in enumerate(seen):
        scores[person, history] = -torch.inf
    expected, order = scores.sort(descending=True)
    assert torch.equal(items, torch.where(expected.isinf(), -1, order))
    torch.testing.assert_close(log_probs, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beams", [1, 3, 7])
def test_fewer_beams_find_items_with_their_own_log_probability(kind: str, beams: int) -> None:
    items, log_probs = search(kind, beams)
    assert items.shape == (PEOPLE, beams) and log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs, every_item(kind).gather(1, items))
    assert (log_probs.diff(dim=1) <= 0).all()


@settings(max_examples=60)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 12),
    st.lists(st.lists(st.integers(0, N_ITEMS - 1)) | st.sets(st.integers(0, N_ITEMS - 1), min_size=33), min_size=5),
)
def test_always_as_many_unseen_items_as_there_are_beams_or_unseen_items(
    kind: str, beams: int, seen: list[list[int]]
) -> None:
    histories = [list(h) for h in seen[:PEOPLE]]
    items, log_probs = search(kind, beams, histories)
    for person, history in enumerate(histories):
        found = items[person][items[person] >= 0].tolist()
        assert len(found) == min(beams, N_ITEMS - len(set(history)))
        assert len(set(found)) == len(found) and not set(found) & set(history) and max(found, default=0) < N_ITEMS
        assert items[person, : len(found)].tolist() == found, "a gap before the last item"
        assert log_probs[person, : len(found)].isfinite().all()
        assert (log_probs[person, len(found) :] == -torch.inf).all()


def test_greedy_search_would_end_in_a_branch_that_is_all_seen() -> None:
    """The most probable first token leads only to seen items: it is not taken, with one beam neither."""
    kind = "one length"
    best = int(search(kind, 1)[0][0, 0])
    codes = identifiers_of(kind).tokens
    branch = np.flatnonzero(codes[:, 0] == codes[best, 0]).tolist()
    items, _ = search(kind, 1, [branch] * PEOPLE)
    assert items[0, 0] >= 0 and codes[items[0, 0], 0] != codes[best, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_equal_scores_come_in_the_order_of_identifiers(kind: str) -> None:
    writer, encoded, trie = world(kind)
    head = writer.head.weight.data
    codes = identifiers_of(kind).tokens
    try:
        writer.head.weight.data = torch.zeros_like(head)
        items, log_probs = beam_search(writer, encoded, trie, N_ITEMS)
    finally:
        writer.head.weight.data = head
    length = identifiers_of(kind).written.sum(1)
    expected = sorted(range(N_ITEMS), key=lambda i: (length[i], codes[i].tolist()))
    assert items.tolist() == [expected] * PEOPLE
    assert len(log_probs.unique()) == len(set(length.tolist()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_gets_the_same_alone_and_in_a_block(kind: str) -> None:
    writer, encoded, trie = world(kind)
    seen = [[1, 2], [], list(range(35)), [5], list(range(N_ITEMS))]
    items, log_probs = search(kind, 6, seen)
    for person in range(PEOPLE):
        alone = Histories.of([seen[person]])
        one, score = beam_search(writer, encoded.take(torch.tensor([person])), trie, 6, alone)
        assert torch.equal(one[0], items[person])
        torch.testing.assert_close(score[0], log_probs[person])


def test_the_search_of_transformers_finds_the_same() -> None:
    """``generate`` of the same T5 with as many beams and the same trie as ``prefix_allowed_tokens_fn``."""
    kind, beams = "one length", 4
    writer, encoded, _ = world(kind)
    identifiers = identifiers_of(kind)
    size, length = identifiers.size, identifiers.length
    config = T5Config(**{**writer.decoder.config.to_dict(), "vocab_size": size + 1, "tie_word_embeddings": False})
    config.is_decoder, config.num_layers = False, len(writer.encoder.block)
    config.scale_decoder_outputs, config.decoder_start_token_id, config.pad_token_id = False, size, size
    other = T5ForConditionalGeneration(config).eval()
    other.decoder.load_state_dict(writer.decoder.state_dict(), strict=False)
    table = torch.cat([writer.tokens.weight, writer.special.weight[START][None]]).detach()
    other.decoder.embed_tokens.weight.data = table
    other.lm_head = torch.nn.Linear(16, size + 1)  # with a bias that never writes the start
    other.lm_head.weight.data = torch.cat([writer.head.weight.data, torch.zeros(1, 16)])
    other.lm_head.bias.data = torch.cat([torch.zeros(size), torch.tensor([-1e9])])
    codes = identifiers.tokens.tolist()
    allowed = {
        prefix: sorted({c[n] for c in codes if tuple(c[:n]) == prefix})
        for n in range(length)
        for prefix in {tuple(c[:n]) for c in codes}
    }
    written = other.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=encoded.states),
        attention_mask=encoded.mask,
        num_beams=beams,
        num_return_sequences=beams,
        max_new_tokens=length,
        min_new_tokens=length,
        do_sample=False,
        prefix_allowed_tokens_fn=lambda _, so_far: allowed[tuple(so_far[1:].tolist())],
    )
    row_of = {tuple(code): row for row, code in enumerate(codes)}
    found = [row_of[tuple(code)] for code in written[:, 1:].tolist()]
    assert torch.tensor(found).view(PEOPLE, beams).equal(search(kind, beams)[0])


def test_histories_of_other_people_are_refused() -> None:
    with pytest.raises(ValueError, match="2 histories to exclude for 5 people"):
        search("one length", 3, [[1], [2]])


def test_nothing_that_was_encoded_is_changed() -> None:
    writer, encoded, trie = world("one length")
    before = replace(encoded, states=encoded.states.clone(), mask=encoded.mask.clone())
    first = beam_search(writer, encoded, trie, 4)
    assert torch.equal(encoded.states, before.states) and torch.equal(encoded.mask, before.mask)
    again = beam_search(writer, encoded, trie, 4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_in_bfloat16_the_promise_holds_and_scores_are_close(kind: str) -> None:
    """Codes must not tie for want of digits: the last product and the softmax stay in float32."""
    writer, encoded, trie = world(kind)
    seen = Histories.of([[1, 2], [], list(range(35)), [5], [7]])
    with torch.autocast("cpu", torch.bfloat16):
        items, log_probs = beam_search(writer, encoded, trie, N_ITEMS, seen)
    exact, expected = beam_search(writer, encoded, trie, N_ITEMS, seen)
    assert log_probs.dtype == torch.float32
    assert torch.equal((items >= 0).sum(1), (exact >= 0).sum(1))
    torch.testing.assert_close(log_probs[:, 0], expected[:, 0], atol=0.1, rtol=0)
    finite = log_probs[1][items[1] >= 0]
    assert len(finite.unique()) > 0.9 * len(finite)
