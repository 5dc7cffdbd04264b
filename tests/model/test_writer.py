"""What the writer may and may not read, that its cache changes nothing, and that a pretrained T5 is taken over."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.model.small import N_ITEMS, TEXT, group_of, padded
from transformers import BertConfig, T5Config, T5ForConditionalGeneration
from transformers.cache_utils import EncoderDecoderCache

from isrf.core.config import ModelSettings
from isrf.core.errors import IsrfError
from isrf.data.queries import Task
from isrf.model.beam_search import beam_search
from isrf.model.encoder_states import EncoderStates
from isrf.model.identifiers import Identifiers
from isrf.model.input_templates import Cut, Wording
from isrf.model.interests import Group
from isrf.model.token_generator import NO_GROUP, START, TokenGenerator
from isrf.model.trie import Trie

WIDTH, D = 6, 16
SETTINGS = ModelSettings(
    d_model=D, heads=2, adapter_width=16, history=WIDTH, decoder_layers=2, prompt_tokens=4, alpha=1.0
)
FEATURES = torch.randn(N_ITEMS, 8, generator=torch.Generator().manual_seed(0))
SAME = 1e-5
"""Float32 noise between two shapes of one computation."""

LEAD = 4 + 2
"""Tokens before the first item: soft prompts, group, individual interest."""

PAIRS = Identifiers("semantic", np.array([[i // 4, 3 + i % 4] for i in range(N_ITEMS)]), 7)
ENDED = Identifiers("digits", np.array([[1, 0, 0], [1, 2, 0], *[[2 + i // 3, 1 + i % 3, 0] for i in range(10)]]), 6, 0)
TASK: tuple[Task, ...] = ("sequential", "direct")


def new_writer(
    identifiers: Identifiers = PAIRS,
    seed: int = 1,
    checkpoint: Path | T5Config | None = None,
    wording: Wording | None = None,
) -> TokenGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TokenGenerator(SETTINGS, FEATURES, TEXT, identifiers, checkpoint, wording)


@pytest.fixture(scope="module", params=[PAIRS, ENDED], ids=["pairs", "ended"])
def writer(request: pytest.FixtureRequest) -> TokenGenerator:
    made = new_writer(request.param).eval()
    with torch.no_grad():  # as after training: no part is still at its neutral start
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return made


def read(
    writer: TokenGenerator,
    histories: list[list[int]],
    task: Task = "sequential",
    width: int = WIDTH,
    group: Group | None = None,
) -> EncoderStates:
    items = writer.items()
    token, _ = writer.group_token(items, group or group_of(len(histories)))
    return writer.encode(items, *padded(histories, width), token, task)


@torch.no_grad()
def scores(
    writer: TokenGenerator, histories: list[list[int]], task: Task = "sequential", **how: object
) -> torch.Tensor:
    """(B, I) log-probability of every item."""
    encoded = read(writer, histories, task, **how)  # type: ignore[arg-type]
    people = torch.arange(len(histories)).repeat_interleave(N_ITEMS)
    losses = writer.token_losses(encoded.take(people), torch.arange(N_ITEMS).repeat(len(histories)))
    return -losses.sum(1).view(len(histories), N_ITEMS)


class TestReading:
    def test_prompts_interests_and_a_flat_sequence_of_tokens(self, writer: TokenGenerator) -> None:
        encoded = read(writer, [[1, 2, 3], [4]])
        length = writer.codes.shape[1]
        assert encoded.states.shape == (2, LEAD + WIDTH * length, D)
        written = writer.written.sum(1)
        assert encoded.mask.sum(1).tolist() == [LEAD + int(written[[1, 2, 3]].sum()), LEAD + int(written[4])]

    @pytest.mark.parametrize("task", TASK)
    def test_padding_is_not_read(self, writer: TokenGenerator, task: Task) -> None:
        short = scores(writer, [[1, 5, 3]], task, width=3)
        torch.testing.assert_close(short, scores(writer, [[1, 5, 3]], task), atol=SAME, rtol=0)
        beside = scores(writer, [[1, 5, 3], [9, 8, 7, 6, 5, 4]], task)
        torch.testing.assert_close(beside[:1], short, atol=SAME, rtol=0)

    @pytest.mark.parametrize("changed", range(WIDTH))
    @pytest.mark.parametrize("task", TASK)
    def test_every_item_of_a_history_counts(self, writer: TokenGenerator, task: Task, changed: int) -> None:
        history = [1, 5, 3, 8, 2, 9]
        other = list(history)
        other[changed] = 11
        assert (scores(writer, [history], task) - scores(writer, [other], task)).abs().max() > 1e-3

    def test_order_is_read_in_sequential_recommendation(self, writer: TokenGenerator) -> None:
        forwards, backwards = scores(writer, [[1, 5, 3]]), scores(writer, [[3, 5, 1]])
        assert (forwards - backwards).abs().max() > 1e-3

    def test_no_order_is_read_in_direct_recommendation(self, writer: TokenGenerator) -> None:
        """Not even the one that the caller happens to give: every two items are equally far apart."""
        one = scores(writer, [[1, 5, 3, 8, 2]], "direct")
        for order in ([3, 1, 8, 5, 2], [2, 8, 3, 5, 1], [5, 8, 1, 2, 3]):
            torch.testing.assert_close(scores(writer, [order], "direct"), one, atol=SAME, rtol=0)

    def test_the_newest_item_stands_at_the_same_place_whatever_the_length(self, writer: TokenGenerator) -> None:
        """Relative positions can tell how old an item is only if age is counted from the prompts."""
        encoded = read(writer, [[1, 5, 3], [8, 9, 1, 5, 3]], group=group_of(2, present=False))
        length = writer.codes.shape[1]
        with torch.no_grad():
            prompts_only = read(writer, [[], []])
        assert encoded.states.shape == prompts_only.states.shape
        flat = encoded.mask[:, LEAD:].view(2, WIDTH, length)
        codes = [writer.written[item].float().tolist() for item in (3, 5, 1)]
        assert flat[0, :3].tolist() == flat[1, :3].tolist() == codes

    @pytest.mark.parametrize("task", TASK)
    def test_a_person_without_items_gets_finite_scores(self, writer: TokenGenerator, task: Task) -> None:
        assert scores(writer, [[], [1]], task).isfinite().all()

    @pytest.mark.parametrize("task", TASK)
    def test_both_interests_reach_the_tokens_that_are_written(self, writer: TokenGenerator, task: Task) -> None:
        one, other = (scores(writer, [[1, 5, 3]], task, group=group_of(1, seed)) for seed in (0, 7))
        assert (one - other).abs().max() > 1e-3
        encoded = read(writer, [[1, 5, 3]], task)
        writer.zero_grad()
        writer.loss(encoded, torch.tensor([2])).backward()
        for name in ("prompts", "items.identifier.weight", "group.chosen.weight", "norm_in.weight", "tokens.weight"):
            assert writer.get_parameter(name).grad.abs().sum() > 0, name  # type: ignore[union-attr]

    def test_an_absent_group_is_one_token_whatever_its_profile_says(self, writer: TokenGenerator) -> None:
        with torch.no_grad():
            absent, _ = writer.group_token(writer.items(), group_of(2, seed=5, present=False))
            present, interest = writer.group_token(writer.items(), group_of(2))
        assert torch.equal(absent, writer.special.weight[NO_GROUP].expand(2, -1))
        assert torch.equal(present, interest) and not torch.allclose(present, absent)

    def test_tasks_differ_in_their_prompts(self, writer: TokenGenerator) -> None:
        assert (scores(writer, [[1]]) - scores(writer, [[1]], "direct")).abs().max() > 1e-3

    def test_whole_items_weigh_alpha(self, writer: TokenGenerator) -> None:
        """Two items of a history swap their embeddings: their mean and all tokens stay, so only alpha can tell."""
        items, (rows, mask) = writer.items().detach(), padded([[1, 5]], WIDTH)
        swapped = items.clone()
        swapped[[1, 5]] = items[[5, 1]]
        usual, moved = writer.alpha, []
        for alpha in (0.0, 0.5, usual):
            writer.alpha = alpha
            with torch.no_grad():
                states = [
                    writer.encode(t, rows, mask, torch.zeros(1, D), "sequential").states for t in (items, swapped)
                ]
            moved.append(float((states[0] - states[1])[encoded_places(mask, writer)].norm()))
        assert moved[0] < SAME < moved[1] < moved[2]


def encoded_places(mask: torch.Tensor, writer: TokenGenerator) -> torch.Tensor:
    """(B, S) bool: where the encoder's states mean something."""
    length = writer.codes.shape[1]
    return torch.cat([torch.ones(len(mask), LEAD), mask.repeat_interleave(length, 1)], 1) > 0


WORDS = Wording(
    ("of", "user", "has", "had", "what", "next", "?"),
    (Cut((0, 1), (2, 3), (4, 5, 6)), Cut((1,), (2,), (4, 6))),
    (3, 5, 7, 9, 11, 13, 15),
)
"""Seven words before, between and behind in sequential recommendation, four in direct."""


@pytest.fixture(scope="module", params=[PAIRS, ENDED], ids=["pairs", "ended"])
def worded(request: pytest.FixtureRequest) -> TokenGenerator:
    return new_writer(request.param, wording=WORDS).eval()


class TestTemplates:
    @pytest.mark.parametrize(("task", "words"), [("sequential", 7), ("direct", 4)])
    def test_words_stand_around_person_and_history(self, worded: TokenGenerator, task: Task, words: int) -> None:
        seen: list[torch.Tensor] = []
        hook = worded.encoder.block[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        encoded = read(worded, [[1, 2, 3], [4]], task)
        hook.remove()
        cut, length = WORDS.of(task), worded.codes.shape[1]
        assert encoded.states.shape == (2, LEAD + words + WIDTH * length, D)
        written = worded.written.sum(1)
        assert encoded.mask.sum(1).tolist() == [LEAD + words + int(written[i].sum()) for i in ([1, 2, 3], [4])]
        opening, person = LEAD - 1, LEAD - 1 + len(cut.before)
        table = worded.words.weight
        assert torch.equal(seen[0][0, opening:person], table[list(cut.before)])
        assert torch.equal(seen[0][1, person + 1 : person + 1 + len(cut.between)], table[list(cut.between)])
        assert torch.equal(seen[0][1, -len(cut.behind) :], table[list(cut.behind)])

    @pytest.mark.parametrize("task", TASK)
    def test_padding_is_not_read_before_words_either(self, worded: TokenGenerator, task: Task) -> None:
        short = scores(worded, [[1, 5, 3]], task, width=3)
        beside = scores(worded, [[1, 5, 3], [9, 8, 7, 6, 5, 4]], task)
        torch.testing.assert_close(beside[:1], short, atol=SAME, rtol=0)

    def test_no_order_is_read_in_direct_recommendation(self, worded: TokenGenerator) -> None:
        one, other = (scores(worded, [history], "direct") for history in ([1, 5, 3, 8, 2], [5, 8, 1, 2, 3]))
        torch.testing.assert_close(other, one, atol=SAME, rtol=0)

    @pytest.mark.parametrize("apart", [False, True])
    def test_words_behind_are_as_far_from_everything_as_t5_can_tell(self, worded: TokenGenerator, apart: bool) -> None:
        lead, width, length, behind = 5, 3, 2, 4
        end = lead + width * length
        bias = worded._position_bias(lead, width, length, behind, apart)[0]
        without = worded._position_bias(lead, width, length, 0, apart)[0]
        torch.testing.assert_close(bias[:, :end, :end], without)
        assert (bias[:, :end, end:] == bias[:, :1, -1:]).all()
        torch.testing.assert_close(bias[:, end:, end:], without[:, :behind, :behind])

    @pytest.mark.parametrize("task", TASK)
    def test_every_word_of_a_task_reaches_what_is_written(self, worded: TokenGenerator, task: Task) -> None:
        worded.zero_grad()
        worded.loss(read(worded, [[1, 5, 3]], task), torch.tensor([2])).backward()
        gradient = worded.words.weight.grad
        cut = WORDS.of(task)
        said = {*cut.before, *cut.between, *cut.behind}
        assert gradient is not None
        assert {row for row in range(7) if gradient[row].abs().sum() > 0} == said

    def test_without_templates_nothing_is_drawn_for_them(self) -> None:
        plain, worded = new_writer().state_dict(), new_writer(wording=WORDS).state_dict()
        assert set(worded) - set(plain) == {"words.weight"}


class TestEncoderIsT5:
    def test_with_usual_positions_it_is_the_stack_of_transformers(self, writer: TokenGenerator) -> None:
        """The encoder is run block by block to give it positions of our own; nothing else may differ."""
        seen: list[torch.Tensor] = []
        hook = writer.encoder.block[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        with torch.no_grad():
            encoded = read(writer, [[1, 5, 3], [2, 2, 7, 9, 1, 4]])
            hook.remove()
            writer.encoder.embed_tokens = torch.nn.Embedding(1, D)
            theirs = writer.encoder(inputs_embeds=seen[0], attention_mask=encoded.mask).last_hidden_state
            writer.encoder.embed_tokens = torch.nn.Identity()
        torch.testing.assert_close(encoded.states, theirs, atol=SAME, rtol=0)

    def test_dropout_strikes_once(self) -> None:
        """T5 drops out its input and its output by itself: a second dropout before it would zero more."""
        writer = new_writer()
        seen: list[torch.Tensor] = []
        writer.encoder.block[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        writer.decoder.block[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        histories = [list(np.random.default_rng(i).integers(0, N_ITEMS, WIDTH)) for i in range(200)]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            items = writer.items()
            token = torch.randn(200, D)
            encoded = writer.encode(items, *padded(histories, WIDTH), token, "sequential")
            writer.token_losses(encoded, torch.arange(200) % N_ITEMS)
        p = SETTINGS.dropout
        for states in seen:
            assert float((states == 0).float().mean()) == pytest.approx(p, abs=0.02)
        # one block: zero before the last dropout is what fell out of the input and of both its layers
        assert float((encoded.states == 0).float().mean()) == pytest.approx(1 - (1 - p) * (1 - p**3), abs=0.01)


class TestWriting:
    def test_a_cache_changes_nothing(self, writer: TokenGenerator) -> None:
        """Written one token after the other, with beams that change places, as by teacher forcing."""
        encoded = read(writer, [[1, 5, 3], [2, 7]])
        length = writer.codes.shape[1]
        beams = torch.tensor([[3, 0, 8], [11, 5, 1]])
        first = torch.tensor([[0, 2, 1], [2, 0, 1]])  # where each beam comes from, a step before
        cache, last = writer.new_cache(), None
        found = []
        with torch.no_grad():
            for place in range(length):
                now = beams if place % 2 else beams.gather(1, first)
                log_probs = writer.step(encoded, last, cache)
                if place:
                    assert log_probs.shape == (2, 3, writer.tokens.num_embeddings)
                token = writer.codes[now][..., place]
                found.append(-log_probs.expand(-1, 3, -1).gather(2, token[..., None])[..., 0])
                following = beams.gather(1, first) if place % 2 else beams
                source = torch.stack([(now[p][:, None] == following[p]).int().argmax(0) for p in range(2)])
                flat = source + torch.tensor([[0], [3]]) if place else torch.tensor([[0, 0, 0], [1, 1, 1]])
                cache.self_attention_cache.batch_select_indices(flat.flatten())
                last = token.gather(1, source)
            for place in range(length):
                now = beams if place % 2 else beams.gather(1, first)
                people = torch.tensor([0, 0, 0, 1, 1, 1])
                expected = writer.token_losses(encoded.take(people), now.flatten()).view(2, 3, length)[..., place]
                really = writer.written[now][..., place]
                torch.testing.assert_close(found[place] * really, expected, atol=SAME, rtol=0)

    def test_people_share_one_copy_of_what_they_read(self, writer: TokenGenerator) -> None:
        encoded, cache = read(writer, [[1, 5, 3], [2, 7]]), writer.new_cache()
        with torch.no_grad():
            writer.step(encoded, None, cache)
            cache.self_attention_cache.batch_select_indices(torch.tensor([0, 0, 0, 1, 1, 1]))
            writer.step(encoded, torch.tensor([[1, 2, 3], [1, 2, 3]]), cache)
        assert isinstance(cache, EncoderDecoderCache)
        assert cache.cross_attention_cache.layers[0].keys.shape[0] == 2
        assert cache.self_attention_cache.layers[0].keys.shape[0] == 6
        assert cache.get_seq_length() == 2

    def test_probabilities_sum_to_one(self, writer: TokenGenerator) -> None:
        with torch.no_grad():
            log_probs = writer.step(read(writer, [[1], [2]]), None, writer.new_cache())
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 1))

    def test_the_loss_is_the_mean_over_tokens_that_are_written(self, writer: TokenGenerator) -> None:
        encoded, targets = read(writer, [[1, 5], [2]]), torch.tensor([0, 7])
        with torch.no_grad():
            each, loss = writer.token_losses(encoded, targets), writer.loss(encoded, targets)
        written = writer.written[targets]
        assert (each[~written] == 0).all() and (each[written] > 0).all()
        assert float(loss) == pytest.approx(float(each.sum() / written.sum()))

    def test_bfloat16_loses_little(self, writer: TokenGenerator) -> None:
        """Reading, writing and the gradient under autocast, as training runs where the hardware has bfloat16."""
        targets = torch.tensor([0, 7])
        exact = float(writer.loss(read(writer, [[1, 5], [2]]), targets).detach())
        writer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = writer.loss(read(writer, [[1, 5], [2]]), targets)
        loss.backward()
        assert loss.dtype == torch.float32 and float(loss.detach()) == pytest.approx(exact, abs=0.1)
        assert all(p.grad is None or p.grad.isfinite().all() for p in writer.parameters())

    def test_an_identifier_is_judged_before_it_is_read(self, writer: TokenGenerator) -> None:
        """The loss of a token must not see that token: two items that begin alike lose the same at the start."""
        encoded = read(writer, [[1, 5], [1, 5]], group=group_of(2, present=False))
        with torch.no_grad():
            each = writer.token_losses(encoded, torch.tensor([0, 1]))
        assert writer.codes[0, 0] == writer.codes[1, 0] and writer.codes[0, 1] != writer.codes[1, 1]
        assert each[0, 0] == pytest.approx(float(each[1, 0]), abs=SAME)
        assert abs(float(each[0, 1] - each[1, 1])) > 1e-3

    def test_it_learns_who_follows_whom(self) -> None:
        """Item i is followed by i + 1: after some steps the beam search writes just that, for unseen histories too."""
        rng = np.random.default_rng(0)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            writer = TokenGenerator(SETTINGS.model_copy(update={"dropout": 0.0}), FEATURES, TEXT, PAIRS)
            optimizer = torch.optim.AdamW(writer.parameters(), lr=1e-2)
            for _ in range(150):
                last = rng.integers(0, N_ITEMS, 32)
                histories = [[*rng.integers(0, N_ITEMS, rng.integers(0, 4)), newest] for newest in last]
                group = Group(*(t[:1].expand(32, *t.shape[1:]) for t in group_of(1).__dict__.values()))
                loss = writer.loss(read(writer, histories, group=group), torch.from_numpy((last + 1) % N_ITEMS))
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(writer.parameters(), 5.0)
                optimizer.step()
        writer.eval()
        histories = [[9, 9, i] for i in range(N_ITEMS)]
        group = Group(*(t[:1].expand(N_ITEMS, *t.shape[1:]) for t in group_of(1).__dict__.values()))
        encoded = read(writer, histories, group=group)
        found, log_probs = beam_search(writer, encoded, Trie.build(PAIRS), 3)
        assert found[:, 0].tolist() == [(i + 1) % N_ITEMS for i in range(N_ITEMS)]
        assert float(log_probs[:, 0].exp().min()) > 0.5


class TestCheckpoints:
    CONFIG = T5Config(vocab_size=20, d_model=24, d_kv=8, num_heads=3, d_ff=32, num_layers=2, dropout_rate=0.1)
    CODES = np.array([[i // 4, 3 + i % 4] for i in range(N_ITEMS)])
    PIECES = Identifiers("digits", CODES, 7, pieces=np.array([4, 6, 8, 10, 12, 14, 16]))

    def checkpoint(self, folder: Path, tied: bool = True) -> T5ForConditionalGeneration:
        config = T5Config(**{**self.CONFIG.to_dict(), "tie_word_embeddings": tied, "decoder_start_token_id": 0})
        config.scale_decoder_outputs = tied
        with torch.random.fork_rng():
            torch.manual_seed(5)
            t5 = T5ForConditionalGeneration(config)
        t5.shared.weight.data *= 7
        t5.save_pretrained(folder)
        return t5

    @pytest.mark.parametrize("tied", [True, False])
    def test_a_pretrained_t5_reads_and_writes_as_before(self, tmp_path: Path, tied: bool) -> None:
        """Same encoder states, same token embeddings, and the same scores of those tokens that identifiers use."""
        t5 = self.checkpoint(tmp_path, tied).eval()
        writer = new_writer(self.PIECES, checkpoint=tmp_path).eval()
        pieces = torch.from_numpy(self.PIECES.pieces)
        assert torch.equal(writer.tokens.weight, t5.shared.weight[pieces])
        encoded = EncoderStates(torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0)), torch.ones(2, 5))
        targets = torch.tensor([3, 9])
        with torch.no_grad():
            theirs = t5(
                encoder_outputs=(encoded.states,),
                attention_mask=encoded.mask,
                decoder_input_ids=torch.cat([torch.zeros(2, 1).long(), pieces[writer.codes[targets][:, :-1]]], 1),
            ).logits[:, :, pieces]
            mine = writer.token_losses(encoded, targets)
        expected = -theirs.log_softmax(-1).gather(2, writer.codes[targets][..., None])[..., 0]
        torch.testing.assert_close(mine, expected, atol=1e-4, rtol=1e-4)

    def test_sizes_come_from_the_checkpoint_and_dropout_from_the_settings(self, tmp_path: Path) -> None:
        self.checkpoint(tmp_path)
        writer = new_writer(self.PIECES, checkpoint=tmp_path)
        assert writer.items().shape == (N_ITEMS, 24)
        assert writer.training and all(m.training for m in writer.modules())
        dropouts = [m.p for m in writer.encoder.modules() if isinstance(m, torch.nn.Dropout)]
        assert set(dropouts) == {SETTINGS.dropout}

    def test_the_large_vocabulary_is_left_behind(self, tmp_path: Path) -> None:
        self.checkpoint(tmp_path)
        shapes = [p.shape for p in new_writer(self.PIECES, checkpoint=tmp_path).parameters()]
        assert (20, 24) not in shapes

    def test_what_stands_beside_the_tokens_is_brought_to_their_spread(self, tmp_path: Path) -> None:
        t5 = self.checkpoint(tmp_path)
        writer = new_writer(PAIRS, checkpoint=tmp_path)
        assert float(writer.scale) == pytest.approx(float(t5.shared.weight.detach().std()))
        assert float(writer.tokens.weight.detach().std()) == pytest.approx(float(writer.scale), rel=0.3)
        torch.testing.assert_close(writer.scale * writer.special.weight[START], t5.shared.weight[0])
        assert new_writer().scale == 1.0

    def test_whole_items_are_not_brought_to_their_spread(self, tmp_path: Path) -> None:
        """Alpha, like sigma, is absolute: what it adds to a token is the same whatever the checkpoint's table is like."""
        self.checkpoint(tmp_path)
        writer = new_writer(PAIRS, checkpoint=tmp_path).eval()
        seen: list[torch.Tensor] = []
        writer.encoder.block[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        items = writer.items().detach()
        rows, mask = padded([[4]], 1)
        with torch.no_grad():
            writer.encode(items, rows, mask, torch.zeros(1, 24), "sequential")
            added = seen[0][0, LEAD:] - writer.tokens(writer.codes[4])
            expected = SETTINGS.alpha * torch.nn.functional.layer_norm(items[4], (24,))
        assert float(writer.scale) > 3
        torch.testing.assert_close(added, expected.expand(2, -1), atol=1e-4, rtol=1e-4)

    def test_words_are_taken_over(self, tmp_path: Path) -> None:
        t5 = self.checkpoint(tmp_path)
        writer = new_writer(self.PIECES, checkpoint=tmp_path, wording=WORDS)
        assert WORDS.pieces is not None
        assert torch.equal(writer.words.weight, t5.shared.weight[list(WORDS.pieces)])
        own = new_writer(self.PIECES, checkpoint=tmp_path, wording=Wording(WORDS.words, WORDS.cuts))
        assert float(own.words.weight.detach().std()) == pytest.approx(float(own.scale), rel=0.3)
        foreign = Wording(WORDS.words, WORDS.cuts, (*WORDS.pieces[:-1], 99))
        with pytest.raises(IsrfError, match="its 20 tokens are not those that the templates were cut into"):
            new_writer(self.PIECES, checkpoint=tmp_path, wording=foreign)

    @pytest.mark.parametrize("tied", [True, False])
    def test_a_writer_is_built_again_without_the_checkpoint(self, tmp_path: Path, tied: bool) -> None:
        """A trained writer is served where the T5 that it began with is not: config and weights are all of it."""
        self.checkpoint(tmp_path, tied)
        writer = new_writer(self.PIECES, checkpoint=tmp_path).eval()
        sizes = T5Config.from_dict(json.loads(writer.config.to_json_string()))
        again = new_writer(self.PIECES, seed=9, checkpoint=sizes).eval()
        again.load_state_dict(writer.state_dict())
        assert torch.equal(scores(again, [[1, 2, 3]]), scores(writer, [[1, 2, 3]]))

    def test_pieces_of_another_vocabulary_are_refused(self, tmp_path: Path) -> None:
        self.checkpoint(tmp_path)
        wrong = Identifiers("digits", self.CODES, 7, pieces=np.array([4, 6, 8, 10, 12, 14, 99]))
        with pytest.raises(IsrfError, match="its 20 tokens are not those that the identifiers were cut into"):
            new_writer(wrong, checkpoint=tmp_path)

    def test_a_missing_or_damaged_checkpoint_is_one_clear_line(self, tmp_path: Path) -> None:
        with pytest.raises(IsrfError, match="no T5 checkpoint could be read from there"):
            new_writer(checkpoint=tmp_path / "none")
        self.checkpoint(tmp_path)
        weights = tmp_path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        with pytest.raises(IsrfError, match="no T5 checkpoint could be read from there"):
            new_writer(checkpoint=tmp_path)

    def test_another_architecture_is_refused(self, tmp_path: Path) -> None:
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1).save_pretrained(tmp_path)
        assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "bert"
        with pytest.raises(IsrfError, match="is a bert; the writer needs a T5"):
            new_writer(checkpoint=tmp_path)


def test_weights_survive_a_file(writer: TokenGenerator, tmp_path: Path) -> None:
    identifiers = PAIRS if writer.codes.shape[1] == 2 else ENDED
    save_file({k: v.clone() for k, v in writer.state_dict().items()}, tmp_path / "weights.safetensors")
    other = new_writer(identifiers, seed=9).eval()
    assert not torch.equal(scores(other, [[1, 2, 3]]), scores(writer, [[1, 2, 3]]))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(scores(other, [[1, 2, 3]]), scores(writer, [[1, 2, 3]]))


def test_identifiers_of_another_catalogue_are_refused() -> None:
    with pytest.raises(ValueError, match="12 items but 1 identifiers"):
        new_writer(Identifiers("semantic", np.array([[0]]), 1))


def test_scores_of_new_weights_are_spread_but_not_certain() -> None:
    """Logits of about unit variance at the start: neither uniform nor already sure."""
    made = scores(new_writer().eval(), [[1, 2, 3]])
    assert float(made.std()) > 0.3 and float(made.exp().max()) < 0.6 and math.isfinite(float(made.sum()))
