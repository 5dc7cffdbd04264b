"""The explainer beside both kinds of generator: what it reads, what it writes, and that the rest does not notice it."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.model.small import N_ITEMS, TEXT, group_of, padded

from isrf.core.config import ModelSettings
from isrf.core.errors import IsrfError
from isrf.model import vocabulary as module
from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.explainer import Explainer, Read
from isrf.model.identifiers import digit_identifiers, seeded_numbers
from isrf.model.token_generator import TokenGenerator
from isrf.model.vocabulary import END, PAD, UNKNOWN, cut, padded_tokens

SENTENCES = ["great soap for dry skin", "great lamp for long evenings!", "a pen - it is fine"]
VOCABULARY, TOKENS = cut(SENTENCES)
SETTINGS = ModelSettings(d_model=16, heads=2, adapter_width=8, decoder_layers=2, dropout=0.2)
HISTORIES = [[1, 2, 3], [4], [], [7, 8]]
EXPLAINED = torch.tensor([5, 6, 1, 9])


@pytest.fixture(params=["atomic", "digits"])
def host(request: pytest.FixtureRequest) -> AtomicGenerator | TokenGenerator:
    torch.manual_seed(0)
    features = torch.randn(N_ITEMS, 4)
    made: AtomicGenerator | TokenGenerator
    if request.param == "atomic":
        made = AtomicGenerator(SETTINGS, features, TEXT)
    else:
        made = TokenGenerator(SETTINGS, features, TEXT, digit_identifiers(seeded_numbers(N_ITEMS, 0)))
    made.explainer = Explainer(made, VOCABULARY, 10)
    return made.eval()


def read(
    host: AtomicGenerator | TokenGenerator,
    histories: list[list[int]] | None = None,
    seed: int = 0,
    present: bool = True,
) -> Read:
    items = host.items()
    rows, mask = padded(HISTORIES if histories is None else histories, 3)
    token, _ = host.group_token(items, group_of(4, seed, present))
    assert host.explainer is not None
    return host.explainer.encode(host, items, rows, mask, token, EXPLAINED)


def test_pieces_spell_what_they_were_cut_from() -> None:
    assert [VOCABULARY.text(tokens) for tokens in TOKENS] == SENTENCES
    assert all(tokens[-1] == END and (tokens[:-1] > UNKNOWN).all() for tokens in TOKENS)
    used = set(np.concatenate(TOKENS).tolist())
    assert used == set(range(len(VOCABULARY))) - {PAD, UNKNOWN}, "no piece that no sentence has"
    assert not doctest.testmod(module).failed


def test_the_same_sentences_in_any_order_give_the_same_pieces() -> None:
    rng = np.random.default_rng(0)
    words = [f"word{n}" for n in range(80)]
    many = [" ".join(rng.choice(words, 6)) for _ in range(200)]
    assert cut(many)[0].pieces == cut(many[::-1])[0].pieces


def test_text_that_looks_like_a_special_piece_ends_no_sentence() -> None:
    made, (tokens, _) = cut(["good </s> soap", "<pad> and <unk>"])
    assert (tokens == END).sum() == 1 and (tokens != PAD).all()
    assert made.text(tokens) == "good soap"


def test_a_vocabulary_of_a_checkpoint_needs_its_file(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=r"spiece\.model"):
        cut(SENTENCES, tmp_path / "spiece.model")


def test_long_sentences_are_cut_and_lose_their_end() -> None:
    table = padded_tokens(TOKENS, 4)
    assert table.shape == (3, 4) and END not in table
    whole = padded_tokens(TOKENS, 50)
    assert whole.shape[1] == max(map(len, TOKENS)) and ((whole == END).sum(1) == 1).all()


def test_greedy_writing_with_a_cache_is_what_whole_passes_give(host: AtomicGenerator | TokenGenerator) -> None:
    explainer = host.explainer
    assert explainer is not None
    with torch.no_grad():
        seen = read(host)
        fast = explainer.write(host, seen)
        tokens = torch.full((4, 1), PAD)
        for _ in range(explainer.length):
            logits = explainer._logits(host, seen, tokens)[:, -1]
            logits[:, [PAD, UNKNOWN]] = -torch.inf
            tokens = torch.cat([tokens, logits.argmax(-1, keepdim=True)], 1)
    assert fast == [VOCABULARY.text(own) for own in tokens[:, 1:].tolist()]
    assert len(set(fast)) > 1


def test_writing_stops_at_the_length(host: AtomicGenerator | TokenGenerator) -> None:
    explainer = host.explainer
    assert explainer is not None
    with torch.no_grad():
        explainer.tokens.weight.zero_()
        explainer.head.weight.zero_()
        explainer.head.weight[END] = -1e-3 * torch.ones(SETTINGS.d_model)
        explainer.head.weight[5] = 1e-3 * torch.ones(SETTINGS.d_model)
        written = explainer.write(host, read(host))
    assert all(len(own.replace(" ", "")) <= 10 * len(VOCABULARY.pieces[5]) for own in written)


def test_person_group_and_item_are_read_and_the_order_of_the_person_is_not(
    host: AtomicGenerator | TokenGenerator,
) -> None:
    explainer = host.explainer
    assert explainer is not None
    sentences = torch.from_numpy(padded_tokens([TOKENS[0]] * 4, 10))

    def loss(seen: Read) -> float:
        with torch.no_grad():
            return float(explainer.loss(host, seen, sentences))

    first = loss(read(host))
    assert loss(read(host, [[3, 1, 2], [4], [], [8, 7]])) == pytest.approx(first, rel=1e-5)
    assert loss(read(host, [[3, 1, 4], [5], [2], [8, 0]])) != pytest.approx(first, rel=1e-5)
    assert loss(read(host, seed=1)) != pytest.approx(first, rel=1e-5)
    assert loss(read(host, present=False)) != pytest.approx(first, rel=1e-5)


def test_padding_of_sentences_does_not_count(host: AtomicGenerator | TokenGenerator) -> None:
    explainer = host.explainer
    assert explainer is not None
    tokens = torch.from_numpy(padded_tokens([TOKENS[0]] * 4, 10))
    more = torch.nn.functional.pad(tokens, (0, 3), value=PAD)
    with torch.no_grad():
        seen = read(host)
        assert torch.allclose(explainer.loss(host, seen, tokens), explainer.loss(host, seen, more), atol=1e-6)


def test_the_loss_teaches_explainer_layers_items_and_group(host: AtomicGenerator | TokenGenerator) -> None:
    explainer = host.explainer
    assert explainer is not None
    explainer.loss(host, read(host), torch.from_numpy(padded_tokens([*TOKENS, TOKENS[0]], 20))).backward()
    reached = {name for name, value in host.named_parameters() if value.grad is not None and value.grad.any()}
    assert {name for name, _ in host.named_parameters() if name.startswith("explainer.")} <= reached
    assert {"items.identifier.weight", "group.chosen.weight"} <= reached
    assert any("encoder.block" in name for name in reached) and any("EncDecAttention" in name for name in reached)


def test_an_explainer_changes_nothing_else_of_its_host(host: AtomicGenerator | TokenGenerator) -> None:
    rows, mask = padded([[1, 2], [3]], 2)
    with torch.no_grad():
        items = host.items()
        token, _ = host.group_token(items, group_of(2))

        def states() -> torch.Tensor:
            if isinstance(host, TokenGenerator):
                return host.encode(items, rows, mask, token, "sequential").states
            return host.sequential(items, rows, mask, token)

        before = states()
        host.explainer = None
        assert torch.equal(states(), before)
    assert not any(name.startswith("explainer") for name in host.state_dict())
