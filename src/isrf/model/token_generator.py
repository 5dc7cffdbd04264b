"""The writer: a T5 encoder-decoder that writes an item's identifier token by token (paper, step 3; TIGER, P5).

The encoder reads soft prompts of the task, the group interest, the individual interest and the history as a flat
sequence of identifier tokens, each with the graph-aware embedding of its whole item added, and where asked the words of
a template around person and history; the decoder writes the tokens of one item. From outside it looks like
``atomic_generator.AtomicGenerator``, which writes an item as one token. Knows nothing about files, training, trie or beams.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import T5Config, T5ForConditionalGeneration, T5Model
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from isrf.core.config import ModelSettings
from isrf.core.errors import IsrfError
from isrf.data.queries import TASKS, Task
from isrf.model.encoder_states import EncoderStates
from isrf.model.explainer import Explainer
from isrf.model.identifiers import Identifiers
from isrf.model.input_templates import Wording
from isrf.model.interests import Group, GroupInterest, ItemEmbeddings, individual_interest
from isrf.model.pretrained import config_of, pretrained

START, NO_GROUP = range(2)
"""Special tokens: the decoder's start, and what stands for a group that is not there."""

NEVER = -1e9
"""Added to the attention scores of what is not there."""


class TokenGenerator(nn.Module):
    """T5 over identifier tokens with both interests as input.

    Args:
        settings: sizes (a checkpoint brings its own), dropout, soft prompt tokens of each task, and alpha, the weight
            of the graph-aware whole-item embedding beside each token's own (paper, step 1).
        item_features: (I, k) float32 for ``ItemEmbeddings``.
        user_dimensions: width of semantic user features.
        identifiers: the code of every item.
        checkpoint: folder or hub name of a T5, whose token embeddings are taken over where identifiers are made of
            T5's pieces; or the ``config`` of another writer, whose weights are then loaded as a state dict; None draws
            weights for the sizes in the settings.
        wording: templates of the input; None reads no words.

    Attributes:
        config: sizes of the T5; with settings, identifiers and the state dict all that is needed to build the same
            writer again.

    Raises:
        IsrfError: the checkpoint cannot be read or is no T5, or its vocabulary lacks a piece.
    """

    t5_drops_input = True  # as ``explainer.Host`` says
    scale: torch.Tensor
    codes: torch.Tensor
    written: torch.Tensor

    def __init__(
        self,
        settings: ModelSettings,
        item_features: torch.Tensor,
        user_dimensions: int,
        identifiers: Identifiers,
        checkpoint: str | Path | T5Config | None = None,
        wording: Wording | None = None,
    ) -> None:
        super().__init__()
        if len(item_features) != len(identifiers):
            raise ValueError(f"{len(item_features)} items but {len(identifiers)} identifiers")
        if checkpoint is None:
            checkpoint = config_of(settings)
        t5 = T5Model(checkpoint) if isinstance(checkpoint, T5Config) else pretrained(checkpoint, settings.dropout)
        d = t5.config.d_model
        self.config = T5Config(**{**t5.config.to_dict(), "vocab_size": 1, "eos_token_id": None})
        self.settings = settings
        self.explainer: Explainer | None = None  # of a source with review explanations (``model.explainer``)
        self.alpha = settings.alpha
        self.identifiers = identifiers
        self.items = ItemEmbeddings(item_features, d, settings.adapter_width, dropout=0.1)
        self.group = GroupInterest(d, user_dimensions)
        self.special = nn.Embedding(2, d)
        self.prompts = nn.Parameter(torch.randn(len(TASKS), settings.prompt_tokens, d))
        self.tokens = nn.Embedding(identifiers.size, d)
        self.norm_in = nn.LayerNorm(d)
        self.head = nn.Linear(d, identifiers.size, bias=False)
        nn.init.normal_(self.head.weight, std=d**-0.5)
        self.wording = wording
        if wording is not None:
            self.words = nn.Embedding(len(wording.words), d)
        # a pretrained T5 reads embeddings with a spread of their own: what stands beside them is brought to it
        self.register_buffer("scale", torch.tensor(1.0))
        if isinstance(t5, T5ForConditionalGeneration):
            self._take_over(t5, identifiers, checkpoint)
        self.encoder, self.decoder = t5.encoder, t5.decoder
        # tokens enter as embeddings: the T5's own table is never read, and would be most of a checkpoint
        self.encoder.embed_tokens = self.decoder.embed_tokens = nn.Identity()
        self.register_buffer("codes", torch.from_numpy(identifiers.tokens), persistent=False)
        self.register_buffer("written", torch.from_numpy(identifiers.written), persistent=False)
        self.train()

    @torch.no_grad()
    def _take_over(self, t5: T5ForConditionalGeneration, identifiers: Identifiers, checkpoint: object) -> None:
        """Token embeddings, output weights and the decoder's start of a pretrained T5."""
        table, width = t5.shared.weight, t5.config.d_model
        self.scale.copy_(table.std())
        start = getattr(t5.config, "decoder_start_token_id", None)  # a T5 that names none starts with its padding
        self.special.weight[START] = table[t5.config.pad_token_id if start is None else start] / self.scale
        if self.wording is not None:
            words = self.wording.pieces
            if words is not None and max(words) >= len(table):
                raise IsrfError(f"{checkpoint}: its {len(table)} tokens are not those that the templates were cut into")
            self.words.weight.copy_(self.scale * self.words.weight if words is None else table[torch.tensor(words)])
        if identifiers.pieces is None:
            self.tokens.weight *= self.scale
            return
        if identifiers.pieces.max() >= len(table):
            raise IsrfError(f"{checkpoint}: its {len(table)} tokens are not those that the identifiers were cut into")
        pieces = torch.from_numpy(identifiers.pieces)
        self.tokens.weight.copy_(table[pieces])
        # a T5 that writes with its input table brings the scores down to size; its head here has them so
        factor = width**-0.5 if t5.config.scale_decoder_outputs else 1.0
        self.head.weight.copy_(t5.lm_head.weight[pieces] * factor)

    def group_token(self, items: torch.Tensor, group: Group) -> tuple[torch.Tensor, torch.Tensor]:
        """As ``GroupInterest.token``."""
        return self.group.token(items, group, self.special.weight[NO_GROUP])

    def encode(
        self, items: torch.Tensor, rows: torch.Tensor, mask: torch.Tensor, token: torch.Tensor, task: Task
    ) -> EncoderStates:
        """Read B people.

        In sequential recommendation the newest item stands first, at the same distance from the prompts for everybody,
        so that relative positions tell how old an item is. In direct recommendation every two items are equally far
        apart and the order of ``rows`` changes nothing. Words behind the history stand as far from everything before
        them as T5 can tell, wherever the history ends.

        Args:
            items: (I, d) item embeddings, ``self.items()``.
            rows: (B, L) int64 item rows, oldest first, padded on the right.
            mask: (B, L) float32, 1 where there is an item.
            token: (B, d) group token.
            task: "sequential" or "direct".
        """
        size, width = rows.shape
        length = self.codes.shape[1]
        person = self.norm_in(individual_interest(items, rows, mask))
        prompts = self.prompts[TASKS.index(task)].expand(size, -1, -1)
        opening = self.scale * torch.cat([prompts, token[:, None]], 1)
        before, between, behind = (words.expand(size, -1, -1) for words in self._template(task))
        lead = torch.cat([opening, before, self.scale * person[:, None], between], 1)
        if task == "sequential":
            newest = mask.sum(1, keepdim=True).long() - 1 - torch.arange(width, device=rows.device)
            rows = rows.gather(1, newest.clamp(min=0))  # padding stays on the right: lengths are as before
        # not brought to the tokens' spread: alpha and sigma are absolute (docs/presets.md)
        whole = self.alpha * self.norm_in(items[rows])
        flat = (self.tokens(self.codes[rows]) + whole[:, :, None]).flatten(1, 2)  # (B, L, T, d) -> (B, L * T, d)
        there = (mask[:, :, None] * self.written[rows]).flatten(1)
        mask = torch.cat([there.new_ones(lead.shape[:2]), there, there.new_ones(behind.shape[:2])], 1)
        bias = self._position_bias(lead.shape[1], width, length, behind.shape[1], apart=task == "direct")
        # T5Stack.forward with positions of our own; it is the T5 that drops out its input and its output
        hidden = self.encoder.dropout(torch.cat([lead, flat, behind], 1))
        bias = bias + _away(mask)
        for block in self.encoder.block:
            hidden = block(hidden, position_bias=bias)[0]
        return EncoderStates(self.encoder.dropout(self.encoder.final_layer_norm(hidden)), mask)

    def _template(self, task: Task) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(W, d) words before the person, between person and history, and behind; none of each without templates."""
        if self.wording is None:
            nothing = self.special.weight[:0]
            return nothing, nothing, nothing
        cut, device = self.wording.of(task), self.special.weight.device
        before, between, behind = (
            self.words(torch.tensor(rows, dtype=torch.long, device=device))
            for rows in (cut.before, cut.between, cut.behind)
        )
        return before, between, behind

    def _position_bias(self, lead: int, width: int, length: int, behind: int, apart: bool) -> torch.Tensor:
        """(1, heads, S, S) the encoder's learned bias by relative position.

        Args:
            lead: tokens before the first item.
            width: items.
            length: tokens an item.
            behind: tokens behind the last item, as far from all others as T5 can tell.
            apart: every token of another item is as far away as T5 can tell, on the same side.
        """
        attention = self.encoder.block[0].layer[0].SelfAttention
        most = attention.relative_attention_max_distance
        by_distance = attention.compute_bias(1, 2 * most + 1, past_seen_tokens=most)[0, :, 0]  # (heads, -most..most)
        end = lead + width * length
        place = torch.arange(end + behind, device=by_distance.device)
        owner = torch.where(place < lead, -1, torch.where(place < end, (place - lead) // length, width))
        place = torch.where(place < end, place, place + most)
        relative = (place[None] - place[:, None]).clamp(-most, most)
        if apart:
            relative = torch.where(owner[None] == owner[:, None], relative, most)
        return by_distance[:, relative + most][None]

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        """(..., size) in float32, even under autocast: bfloat16 has so few digits that codes would tie."""
        with torch.autocast(states.device.type, enabled=False):
            return F.linear(states.float(), self.head.weight.float())

    def token_losses(self, encoded: EncoderStates, targets: torch.Tensor) -> torch.Tensor:
        """(B, T) float32 -log p of each token of one item a person, teacher-forced; 0 behind an identifier's end.

        Args:
            encoded: B people.
            targets: (B,) int64 item rows.
        """
        codes = self.codes[targets]
        start = (self.scale * self.special.weight[START]).expand(len(targets), 1, -1)
        states = self.decoder_states(torch.cat([start, self.tokens(codes[:, :-1])], 1), encoded, None)
        losses = F.cross_entropy(self._logits(states).transpose(1, 2), codes, reduction="none")
        return losses * self.written[targets]

    def loss(self, encoded: EncoderStates, targets: torch.Tensor, counts: torch.Tensor | None = None) -> torch.Tensor:
        """Scalar: cross-entropy over the identifier tokens of one target a person, mean over tokens that are written.

        Arguments as in ``token_losses``; ``counts`` (B,) float32 is how much each target counts, None = each 1.
        """
        losses, written = self.token_losses(encoded, targets), self.written[targets]
        if counts is None:
            return losses.sum() / written.sum()
        return (losses.sum(1) * counts).sum() / (written.sum(1) * counts).sum().clamp_min(1e-12)

    def encoder_states(self, inputs: torch.Tensor) -> torch.Tensor:
        """As ``explainer.Host`` says."""
        return self.encoder(inputs_embeds=inputs).last_hidden_state

    def decoder_states(
        self, inputs: torch.Tensor, encoded: EncoderStates, cache: EncoderDecoderCache | None
    ) -> torch.Tensor:
        """As ``explainer.Host`` says."""
        return self.decoder(
            inputs_embeds=inputs,
            encoder_hidden_states=encoded.states,
            encoder_attention_mask=encoded.mask,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state

    def new_cache(self) -> EncoderDecoderCache:
        """Keys and values of a decoding that has not begun.

        The self-attention part has a row for each of the (B * K) beams and is the caller's to reorder; the
        cross-attention part has B rows, as all beams of a person read the same encoder states.
        """
        return EncoderDecoderCache(DynamicCache(), DynamicCache())

    def step(self, encoded: EncoderStates, last: torch.Tensor | None, cache: EncoderDecoderCache) -> torch.Tensor:
        """(B, K, size) float32 log-probabilities of the next token of K beams a person.

        Args:
            encoded: B people.
            last: (B, K) int64 the token that each beam wrote last; None at the start, where K is 1.
            cache: of the tokens before; this step is added to it.
        """
        people = len(encoded.states)
        embedded = self.scale * self.special.weight[START].expand(people, 1, -1) if last is None else self.tokens(last)
        beams = embedded.shape[1]
        hidden = self.decoder.dropout(embedded.reshape(people * beams, 1, -1))
        # cross-attention knows no positions: the mask is all its bias, and beams may stand where T5 has positions, so that
        # B rows of keys serve B * K beams
        away, own_bias = _away(encoded.mask), None
        for block in self.decoder.block:
            read_self, read_encoder, feed_forward = block.layer
            hidden, own_bias, _ = read_self(hidden, position_bias=own_bias, past_key_values=cache)
            hidden, _, _ = read_encoder(
                hidden.view(people, beams, -1), encoded.states, position_bias=away, past_key_values=cache
            )
            hidden = feed_forward(hidden.reshape(people * beams, 1, -1))
        states = self.decoder.dropout(self.decoder.final_layer_norm(hidden))
        return torch.log_softmax(self._logits(states).view(people, beams, -1), -1)


def _away(mask: torch.Tensor) -> torch.Tensor:
    """(B, 1, 1, S) what a (B, S) mask adds to attention scores."""
    return ((1 - mask) * NEVER)[:, None, None]
