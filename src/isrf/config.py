"""Every setting of the project in one documented tree; presets, a YAML file, environment and flags fill it.

Precedence, weakest first: field defaults, preset, ``--config`` file, environment (``ISRF_GRAPHS__TAU=0.6``),
``--set graphs.tau=0.6``. Unknown keys and values out of range are errors at load.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isrf.errors import IsrfError

ENV_PREFIX = "ISRF_"
PRESETS = ("fast", "paper", "elmrec")


class Room(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DataSettings(Room):
    min_interactions: int = Field(5, ge=0, description="k of the k-core over users and items, iterated; 0 keeps all")
    seed: int = Field(0, ge=0, description="seed of the row permutation of users and items")
    on_bad_row: Literal["fail", "skip"] = Field("fail", description="skip writes bad rows to dataset/rejected.csv")
    user_column: str | None = Field(None, description="column of user ids; None = found by the usual names")
    item_column: str | None = Field(None, description="column of item ids; None = found by the usual names")
    time_column: str | None = Field(None, description="column of times; None = found by the usual names, else no time")
    position_column: str | None = Field(None, description="column that orders a user's rows where there is no time")
    separator: str | None = Field(None, description="CSV field separator; None = found among , ; tab |")


class ReasoningSettings(Room):
    supplier: Literal["attributes", "local", "openai"] = Field("attributes", description="who reasons (DESIGN 2, step 1)")
    budget: str | None = Field(
        None, description="limit of an LLM supplier: '60items', '2min' or '100ktok'; the rest uses attribute statistics"
    )
    user_history: int = Field(20, ge=1, description="K: most recent training items in a user's prompt (paper, step 2)")
    feature_words: int = Field(25, ge=5, description="longest concise feature, words (paper)")
    preference_words: int = Field(50, ge=5, description="longest likes or dislikes, words (paper)")
    domain: str = Field("items", description="what the items are, for the prompts: 'films', 'toys'")
    lift_shrinkage: float = Field(
        5.0, gt=0, description="pseudo-count (interactions) that pulls an attribute's lift towards 1"
    )
    base_url: str | None = Field(None, description="OpenAI-compatible endpoint; None = the client's own default")
    model: str | None = Field(None, description="model name at the endpoint; the local supplier names its GGUF itself")
    gguf: Path | None = Field(None, description="GGUF file of the local supplier; None = embedded SmolLM2-135M-Instruct")
    concurrency: int = Field(8, ge=1, le=512, description="requests in flight, and slots of the local server")
    temperature: float = Field(0.0, ge=0, le=2, description="sampling temperature")
    seed: int = Field(0, ge=0, description="sampling seed sent to the endpoint")
    max_tokens: int = Field(160, ge=16, description="longest answer of one step, tokens")
    timeout_s: float = Field(120.0, gt=0, description="longest wait for one answer, seconds")


class SemanticsSettings(Room):
    encoder: str = Field("minilm", description="'minilm' (embedded all-MiniLM-L6-v2) or a sentence-transformers name")
    item_text: Literal["attributes", "feature", "both"] = Field("both", description="what is encoded for an item")
    dimensions: int = Field(512, ge=2, description="PCA keeps at most this many (paper: 512) and what the encoder has")
    batch_size: int = Field(128, ge=1, description="texts encoded at once")


class GraphSettings(Room):
    tau: float = Field(0.7, ge=-1, le=1, description="least cosine that links two users (paper: 0.7)")
    top_k: int = Field(100, ge=1, description="most neighbours of a user (paper: 100)")
    layers: int = Field(2, ge=0, description="L: LightGCN layers over the semantic interaction graph")
    user_layers: int = Field(1, ge=0, description="L_user: LightGCN layers over the similar-user graph")
    window: int = Field(7, ge=1, description="longest distance of a transition in the history, items")
    decay: float = Field(0.7, gt=0, le=1, description="weight of a history item relative to the one after it")
    block: int = Field(2048, ge=1, description="users compared at once when the similar-user graph is built")


class ModelSettings(Room):
    d_model: int = Field(128, ge=8, description="width of the T5 and of every embedding")
    heads: int = Field(4, ge=1, description="attention heads; d_model must be a multiple")
    encoder_layers: int = Field(1, ge=1, description="T5 encoder blocks")
    decoder_layers: int = Field(2, ge=1, description="T5 decoder blocks")
    dropout: float = Field(0.35, ge=0, lt=1, description="dropout in the T5 and on its input embeddings")
    adapter_width: int = Field(256, ge=8, description="hidden width of the two-layer semantic adapter")
    history: int = Field(20, ge=1, description="most recent items that the generator reads")
    group_dropout: float = Field(0.5, ge=0, lt=1, description="share of training examples that read no group interest")


class TrainingSettings(Room):
    epochs: int = Field(15, ge=1, description="most passes over the training interactions")
    batch_size: int = Field(256, ge=1, description="histories (SR) or users (DR) in a batch")
    learning_rate: float = Field(2e-3, gt=0, description="AdamW, peak after warm-up, cosine decay to zero")
    warmup_steps: int = Field(100, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.01, ge=0, description="AdamW, on matrices only")
    sr_per_dr: int = Field(2, ge=1, description="SR batches between two DR batches (paper, step 3: tasks alternate)")
    alignment: float = Field(0.05, ge=0, description="lambda: weight of the alignment loss")
    alignment_temperature: float = Field(0.1, gt=0, description="temperature of the alignment's similarities")
    patience: int = Field(4, ge=1, description="epochs without a better validation NDCG@10 before training stops")
    seed: int = Field(0, ge=0, description="seed of initial weights, batches and dropout")


class RankingSettings(Room):
    block: int = Field(512, ge=1, description="people scored at once; memory is this times the catalogue, float32")
    fit_users: int = Field(8000, ge=1, description="most validation users that fusion weights are fitted on")


class EvaluationSettings(Room):
    sampled_negatives: int = Field(99, ge=1, description="items drawn beside the target in sampled ranking")
    bootstrap_samples: int = Field(1000, ge=100, description="resamples of users for a confidence interval")
    permutation_samples: int = Field(10_000, ge=100, description="random sign assignments of the paired test")
    seed: int = Field(0, ge=0, description="seed of sampled items, bootstrap and paired test")
    block: int = Field(512, ge=1, description="users ranked at once; memory is this times the catalogue, float32")


class Settings(Room):
    """The whole tree; ``--set room.name=value`` addresses a leaf."""

    data: DataSettings = DataSettings()
    reasoning: ReasoningSettings = ReasoningSettings()
    semantics: SemanticsSettings = SemanticsSettings()
    graphs: GraphSettings = GraphSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    ranking: RankingSettings = RankingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
