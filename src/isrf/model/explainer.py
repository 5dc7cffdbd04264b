"""Explanation generation: the T5 of a generator or writer tells in a sentence why a person may like an item (step 3).

The encoder reads soft prompts of the task, the group interest, the individual interest and the graph-aware embedding of
the item; the decoder writes word pieces. An explainer adds prompts and a table of pieces, and nothing else of its own:
layers, item embeddings and both interests are those that recommend. It reads no review, of the item or the person, and
not the feature that a held-out review turned out to be about. Knows nothing about files or training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional as F

from isrf.core.config import ModelSettings
from isrf.model.encoder_states import EncoderStates
from isrf.model.interests import individual_interest
from isrf.model.vocabulary import END, PAD, UNKNOWN, Vocabulary

READ = 3
"""What is read beside the prompts: group interest, individual interest, item."""


@dataclass(frozen=True)
class Read:
    """What is known of B pairs of a person and an item when a sentence is written.

    Attributes:
        encoded: encoder states.
        whole: (B, d) what is added to every piece of the sentence: as a whole-word embedding (paper, step 1), it tells
            what the sentence is about.
    """

    encoded: EncoderStates
    whole: torch.Tensor


class Host(Protocol):
    """What an explainer uses of the generator that it belongs to.

    Attributes:
        settings: sizes and dropout.
        special: embeddings of special tokens.
        norm_in: normalises what is read.
        scale: spread of what its T5 reads; a number, or a scalar tensor.
        t5_drops_input: whether its T5 drops out and normalises its own input and output.
    """

    @property
    def settings(self) -> ModelSettings: ...

    @property
    def special(self) -> nn.Embedding: ...

    @property
    def norm_in(self) -> nn.Module: ...

    @property
    def scale(self) -> float | torch.Tensor: ...

    @property
    def t5_drops_input(self) -> bool: ...

    def encoder_states(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, S, d) states of the T5's encoder for (B, S, d) embeddings."""
        ...

    def decoder_states(self, inputs: torch.Tensor, encoded: EncoderStates, cache: Any) -> torch.Tensor:
        """(B, T, d) states of the T5's decoder for (B, T, d) embeddings; with a cache these are the newest only."""
        ...

    def new_cache(self) -> Any:
        """Keys and values of a decoding that has not begun."""
        ...


class Explainer(nn.Module):
    """What a generator or writer needs to write sentences; becomes its part as ``host.explainer``.

    Args:
        host: whose T5, item embeddings and interests are used; not kept.
        vocabulary: the pieces it writes.
        length: most pieces of a sentence.

    Attributes:
        vocabulary, length: as given.
    """

    def __init__(self, host: Host, vocabulary: Vocabulary, length: int) -> None:
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        d = host.special.embedding_dim
        self.prompts = nn.Parameter(torch.randn(host.settings.prompt_tokens, d))
        self.places = nn.Parameter(torch.randn(READ, d))  # the decoder attends without positions: tells which is which
        self.tokens = nn.Embedding(len(vocabulary), d)
        self.whole = nn.Linear(READ * d, d)
        self.head = nn.Linear(d, len(vocabulary), bias=False)
        nn.init.normal_(self.head.weight, std=d**-0.5)
        own = not host.t5_drops_input
        self.dropout = nn.Dropout(host.settings.dropout if own else 0.0)
        self.norm_out: nn.Module = nn.LayerNorm(d) if own else nn.Identity()

    @torch.no_grad()
    def take_over(self, table: torch.Tensor, head: torch.Tensor, scale: float) -> None:
        """Start from a pretrained T5.

        Args:
            table: (V, d) its embedding of each piece.
            head: (V, d) its output weights, brought down to size.
            scale: spread of its whole table.
        """
        self.tokens.weight.copy_(table / scale)
        self.head.weight.copy_(head)

    def encode(
        self,
        host: Host,
        items: torch.Tensor,
        rows: torch.Tensor,
        mask: torch.Tensor,
        token: torch.Tensor,
        explained: torch.Tensor,
    ) -> Read:
        """Read B pairs of a person and an item.

        Args:
            host: whose part this is.
            items: (I, d) item embeddings, ``host.items()``.
            rows: (B, L) int64 item rows of each person in any order, without the item to explain.
            mask: (B, L) float32, 1 where there is an item.
            token: (B, d) group token.
            explained: (B,) int64 item rows.
        """
        person = host.norm_in(individual_interest(items, rows, mask))
        read = torch.stack([token, person, host.norm_in(items[explained])], 1)
        lead = torch.cat([self.prompts.expand(len(rows), -1, -1), read + self.places], 1)
        states = host.encoder_states(self._scaled(host, lead))
        return Read(EncoderStates(states, states.new_ones(states.shape[:2])), self.whole(read.flatten(1)))

    def loss(self, host: Host, read: Read, sentences: torch.Tensor) -> torch.Tensor:
        """Scalar: cross-entropy over the pieces of B sentences, teacher-forced, mean over pieces.

        Args:
            read: B pairs.
            sentences: (B, T) int64 tokens, END behind each unless it was cut, then PAD.
        """
        start = torch.full_like(sentences[:, :1], PAD)
        logits = self._logits(host, read, torch.cat([start, sentences[:, :-1]], 1))
        return F.cross_entropy(logits.flatten(0, 1), sentences.flatten(), ignore_index=PAD)

    @torch.no_grad()
    def write(self, host: Host, read: Read) -> list[str]:
        """The likeliest sentence of B pairs, piece by piece (greedy), with the keys and values of the pieces before kept."""
        states = read.encoded.states
        size = len(states)
        cache = host.new_cache()
        last = torch.full((size, 1), PAD, device=states.device)
        ended = torch.zeros(size, dtype=torch.bool, device=last.device)
        written: list[torch.Tensor] = []
        while len(written) < self.length and not ended.all():
            logits = self._logits(host, read, last, cache)[:, -1]
            logits[:, [PAD, UNKNOWN]] = -torch.inf
            last = logits.argmax(-1, keepdim=True)
            written.append(last[:, 0].masked_fill(ended, END))
            ended |= last[:, 0] == END
        return [self.vocabulary.text(tokens) for tokens in torch.stack(written, 1).tolist()]

    def _logits(self, host: Host, read: Read, tokens: torch.Tensor, cache: Any = None) -> torch.Tensor:
        """(B, T, V) float32 scores of the piece behind each of (B, T) tokens; with a cache, tokens are the newest only."""
        inputs = self._scaled(host, self.tokens(tokens) + read.whole[:, None])
        states = host.decoder_states(inputs, read.encoded, cache)
        with torch.autocast(states.device.type, enabled=False):
            return F.linear(self.norm_out(states.float()), self.head.weight.float())

    def _scaled(self, host: Host, embedded: torch.Tensor) -> torch.Tensor:
        """Embeddings with the spread that the host's T5 reads."""
        return self.dropout(host.scale * embedded)
