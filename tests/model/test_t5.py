"""The T5 written out here is the T5 of transformers: the same weights by a seed, the same states, the same gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import T5Config, T5Model
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.models.t5.modeling_t5 import T5Attention, T5DenseActDense

from isrf.model.encoder_states import EncoderStates
from isrf.model.t5 import FARTHEST, T5, Cache, Sizes, buckets

NEVER_READ = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
SIZES = Sizes(width=24, heads=3, encoder_layers=2, decoder_layers=2, dropout=0.4, scale=0.5)


def of_transformers(sizes: Sizes = SIZES, seed: int = 0) -> T5Model:
    """With dropout where ours has it."""
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=1,
        d_model=sizes.width,
        d_kv=sizes.width // sizes.heads,
        num_heads=sizes.heads,
        d_ff=4 * sizes.width,
        num_layers=sizes.encoder_layers,
        num_decoder_layers=sizes.decoder_layers,
        dropout_rate=sizes.dropout,
        use_cache=False,
    )
    config.initializer_factor = sizes.scale
    theirs = T5Model(config)
    theirs.encoder.dropout = theirs.decoder.dropout = nn.Identity()
    for part in theirs.modules():
        if isinstance(part, T5Attention):
            part.dropout = 0.0
        elif isinstance(part, T5DenseActDense):
            part.dropout = nn.Identity()
    return theirs


def ours(sizes: Sizes = SIZES, seed: int = 0) -> T5:
    torch.manual_seed(seed)
    return T5(sizes)


def inputs(people: int, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, L, d) embeddings, and a (B, L) mask that is 1 at least at the first place, padded on the right."""
    drawn = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, width + 1, (people, 1), generator=drawn)
    return torch.randn(people, width, SIZES.width, generator=drawn), (torch.arange(width) < lengths).float()


@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_draws_the_same_weights(seed: int) -> None:
    theirs, mine = of_transformers(seed=seed).state_dict(), ours(seed=seed).state_dict()
    assert list(theirs) == list(mine)
    for name, weight in mine.items():
        assert torch.equal(weight, theirs[name]) or name in NEVER_READ, name


@given(
    people=st.integers(1, 4),
    read=st.integers(1, 40),
    written=st.integers(1, 40),
    masks=st.tuples(st.booleans(), st.booleans()),
    half=st.booleans(),
    training=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_states_and_gradients_equal_those_of_transformers(
    people: int, read: int, written: int, masks: tuple[bool, bool], half: bool, training: bool, seed: int
) -> None:
    """Also in bfloat16, and with the dropout of training."""
    source, source_mask = inputs(people, read, seed)
    target, target_mask = inputs(people, written, seed + 100)
    theirs, mine = of_transformers(seed=seed).train(training), ours(seed=seed).train(training)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        torch.manual_seed(seed)
        expected = theirs(
            inputs_embeds=source,
            attention_mask=source_mask if masks[0] else None,
            decoder_inputs_embeds=target,
            decoder_attention_mask=target_mask if masks[1] else None,
        ).last_hidden_state
        torch.manual_seed(seed)
        states = mine.encoder(source, source_mask if masks[0] else None)
        encoded = EncoderStates(states, source_mask if masks[0] else torch.ones_like(source_mask))
        found = mine.decoder(target, target_mask if masks[1] else None, encoded)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    expected.sum().backward()
    found.sum().backward()
    for (name, one), (_, other) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        if name not in NEVER_READ:
            torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0, msg=name)


@torch.no_grad()
def test_one_input_after_the_other_is_read_as_all_at_once() -> None:
    mine, theirs = ours().eval(), of_transformers().eval()
    source, mask = inputs(3, 5, seed=1)
    target, _ = inputs(3, 150, seed=2)  # farther than FARTHEST
    encoded = EncoderStates(mine.encoder(source, mask), mask)
    whole = mine.decoder(target, encoded=encoded)
    cache: Cache = {}
    their_cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    for place in range(target.shape[1]):
        step = target[:, place : place + 1]
        state = mine.decoder(step, encoded=encoded, cache=cache)
        torch.testing.assert_close(state[:, 0], whole[:, place])
        expected = theirs.decoder(
            inputs_embeds=step,
            encoder_hidden_states=encoded.states,
            encoder_attention_mask=mask,
            past_key_values=their_cache,
            use_cache=True,
        ).last_hidden_state
        torch.testing.assert_close(state, expected, rtol=0, atol=0)


@pytest.mark.parametrize("both_ways", [True, False])
def test_distances_share_weights_as_in_transformers(both_ways: bool) -> None:
    distance = torch.arange(-3 * FARTHEST, 3 * FARTHEST + 1)
    assert torch.equal(buckets(distance, both_ways), T5Attention._relative_position_bucket(distance, both_ways))
