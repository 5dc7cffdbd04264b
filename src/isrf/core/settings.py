"""The tree of settings: one room of documented fields for each concern, with unit, bounds and source of every value.

Where values come from and how faults are told is ``config``. Knows nothing about files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from isrf.core.data_settings import DataSettings as DataSettings
from isrf.core.reasoning_settings import ReasoningSettings as ReasoningSettings
from isrf.core.settings_base import LARGEST_SEED, Room


class SemanticsSettings(Room):
    encoder: str = Field("minilm", description="'minilm' (embedded all-MiniLM-L6-v2) or a sentence-transformers name")
    item_text: Literal["attributes", "feature", "both", "none"] = Field(
        "both", description="what is encoded for an item; none = nothing, items start as random vectors (as in ELMRec)"
    )
    dimensions: int = Field(
        512, ge=2, le=65_536, description="PCA keeps at most this many (paper: 512) and what the encoder has"
    )
    batch_size: int = Field(128, ge=1, le=1_000_000, description="texts encoded at once")


class GraphSettings(Room):
    tau: float = Field(0.7, ge=-1, le=1, description="least cosine that links two users (paper: 0.7)")
    top_k: int = Field(
        100, ge=1, le=1_000_000, description="most neighbours of a user (paper: 100), and most moments of others heard"
    )
    layers: int = Field(
        2, ge=0, le=64, description="L: LightGCN layers of the interaction graph; items meet at even ones"
    )
    user_layers: int = Field(
        1,
        ge=0,
        le=64,
        description="L_user: LightGCN layers over the similar-user graph; 0 = a group knows what its people chose and "
        "nothing of what they are like, as no feature travels",
    )
    window: int = Field(7, ge=1, le=100_000, description="longest distance of a transition in the history, items")
    distance_power: float = Field(0.5, ge=0, le=100, description="a transition over distance d weighs d ** -this")
    backward: float = Field(0.3, ge=0, le=1, description="weight of a transition read backwards; 1 = no direction")
    source_power: float = Field(0.4, ge=0, le=1, description="exponent of the source item's degree in transitions")
    target_power: float = Field(0.1, ge=0, le=1, description="exponent of the target item's degree in transitions")
    decay: float = Field(0.6, gt=0, le=1, description="weight of a history item relative to the one after it")
    lenders: int = Field(
        10,
        ge=0,
        le=100_000,
        description="most items, nearest by text, from which one with few interactions borrows transitions, companions and "
        "votes; 0 = none borrows",
    )
    rare: int = Field(5, ge=0, le=1_000_000, description="items with at most this many training interactions borrow")
    kappa: float = Field(
        3.0,
        ge=0,
        le=1e6,
        description="an item with n interactions of its own borrows kappa / (kappa + n) of what its lenders have",
    )
    block: int = Field(2048, ge=1, le=10_000_000, description="users, or moments, compared at once")


class ModelSettings(Room):
    identifiers: Literal["atomic", "semantic", "digits"] = Field(
        "atomic",
        description="how an item is written: one token of its own; codes of its semantic features (TIGER); or the "
        "digits of a number (paper)",
    )
    prompt_tokens: int = Field(
        3,
        ge=1,
        le=1024,
        description="soft prompt tokens of each task (paper: 3); atomic reads those of explanations only",
    )
    alpha: float = Field(
        11.0,
        ge=0,
        le=1e6,
        description="weight of the graph-aware whole-item embedding beside each token's own (paper: 11); not read by atomic",
    )
    backbone: str | None = Field(
        None,
        description="folder or hub name of a T5 checkpoint that semantic and digits start from, which brings its own "
        "sizes; None, or a hub out of reach = random weights of the sizes below",
    )
    pieces: str | None = Field(
        None,
        description="spiece.model of a T5 whose pieces digits and templates are cut into where the backbone brings none; "
        "None = decimal digits, and a template's word is a token of its own",
    )
    templates: Literal["none", "paper"] = Field(
        "none",
        description="words around what is read of a person, a template for each task (model/templates.yaml); none = soft "
        "prompts alone; not read by atomic",
    )
    d_model: int = Field(128, ge=8, le=65_536, description="width of the T5 and of every embedding")
    heads: int = Field(4, ge=1, le=1024, description="attention heads; d_model must be a multiple")
    encoder_layers: int = Field(1, ge=1, le=1024, description="T5 encoder blocks")
    decoder_layers: int = Field(2, ge=1, le=1024, description="T5 decoder blocks")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout on input embeddings and on what a sub-layer adds")
    temperature: float = Field(
        0.1, ge=1e-6, le=1000, description="of atomic: divides the cosine of state and item in the softmax"
    )
    adapter_width: int = Field(256, ge=8, le=1_000_000, description="hidden width of the two-layer semantic adapter")
    history: int = Field(20, ge=1, le=10_000, description="most recent items that the generator reads")
    group: Literal["consumed", "aligned", "none"] = Field(
        "consumed",
        description="who reads the group interest: generator, alignment and fusion; the alignment loss alone (as the "
        "official code does); or nobody. isrf-graph, which has no generator, always reads it",
    )
    graph_evidence: bool = Field(
        True,
        description="whether the generator adds what the interest graphs say about each item to its score, weighed by "
        "gates that it learns; read by atomic alone",
    )
    group_dropout: float = Field(
        0.8,
        ge=0,
        lt=1,
        description="share of training examples that read no group token; in DR no votes either, in SR these are always heard",
    )

    @model_validator(mode="after")
    def heads_divide_width(self) -> Self:
        if self.d_model % self.heads:
            raise ValueError(f"model.d_model={self.d_model} must be a multiple of model.heads={self.heads}")
        return self

    @field_validator("backbone")
    @classmethod
    def folder_from_anywhere(cls, name: str | None) -> str | None:
        """Settings are kept, and later commands may be typed in another folder; a hub name stays as it is."""
        return str(Path(name).absolute()) if name is not None and Path(name).is_dir() else name

    @field_validator("pieces")
    @classmethod
    def file_from_anywhere(cls, name: str | None) -> str | None:
        """As ``folder_from_anywhere``; a file that is not there is told of where it is read."""
        return None if name is None else str(Path(name).absolute())

    @model_validator(mode="after")
    def backbone_writes(self) -> Self:
        if self.backbone is not None and self.identifiers == "atomic":
            raise ValueError(
                f"model.backbone={self.backbone} is for items of several tokens: set model.identifiers=semantic or "
                "digits, or model.backbone=null"
            )
        return self


class TrainingSettings(Room):
    epochs: int = Field(8, ge=1, le=1_000_000, description="most passes over the training interactions")
    batch_size: int = Field(
        256,
        ge=1,
        le=10_000_000,
        description="most histories (SR) or users (DR) in a batch; a small log gets smaller ones",
    )
    learning_rate: float = Field(3e-3, gt=0, le=1e18, description="AdamW, peak after warm-up, cosine decay to zero")
    warmup_steps: int = Field(
        100, ge=0, le=1_000_000_000, description="steps of linear warm-up, at most a fifth of all"
    )
    weight_decay: float = Field(0.01, ge=0, le=1000, description="AdamW, on matrices only")
    negatives: int = Field(
        1024,
        ge=0,
        le=1_000_000_000,
        description="of atomic: items drawn a step for the softmax, beside its targets; 0 = the whole catalogue",
    )
    sr_per_dr: int = Field(
        10, ge=1, le=1_000_000, description="SR batches between two DR batches (paper, step 3: tasks alternate)"
    )
    sr_per_explanation: int = Field(
        5,
        ge=0,
        le=1_000_000,
        description="SR batches between two batches of review explanations, where the data has any; 0 leaves that task out",
    )
    explanation_epochs: int = Field(
        2,
        ge=0,
        le=1_000_000,
        description="passes over the explanations behind all epochs, in which the explainer's own weights alone learn: "
        "the epoch that ranks best may come before sentences are learned",
    )
    explanation_length: int = Field(
        32,
        ge=1,
        le=10_000,
        description="most word pieces of an explanation; longer ones of reviews are cut in training",
    )
    alignment: float = Field(0.05, ge=0, le=1e6, description="lambda: weight of the alignment loss")
    alignment_direction: Literal["paper", "swapped", "open", "detached"] = Field(
        "paper",
        description="where the individual side of the alignment is detached: in DR batches (paper, step 3), in SR "
        "batches, nowhere, or in both; what is detached teaches the group and does not learn from it",
    )
    alignment_temperature: float = Field(
        0.1, ge=1e-6, le=1000, description="temperature of the alignment's similarities"
    )
    tracking: Literal["none", "tensorboard", "mlflow"] = Field(
        "none",
        description="who else gets the figures of every epoch, beside training_log.json; changes nothing that is learned",
    )
    patience: int = Field(
        4, ge=1, le=1_000_000, description="epochs without a better validation NDCG@10 before training stops"
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of identifiers, initial weights, batches and dropout")


class RankingSettings(Room):
    block: int = Field(
        512, ge=1, le=10_000_000, description="people scored at once; memory is this times the catalogue, float32"
    )
    fit_users: int = Field(
        8000,
        ge=1,
        le=1_000_000_000,
        description="most validation users that weights are fitted on, and as many stop training",
    )
    beams: int = Field(
        20,
        ge=1,
        le=10_000,
        description="beams of the search over identifiers of several tokens, and most items it finds (paper: 20)",
    )
    new_item_cost: float = Field(
        0.02,
        ge=0,
        le=1,
        description="share of NDCG@10 on items with interactions, against no borrowing at all, that recommending items without "
        "any may cost on validation; how much these borrow is fitted below it",
    )
    fusion: Literal["fitted", "generator"] = Field(
        "fitted",
        description="weights of all signals, fitted on validation; or the generator alone, as published methods rank",
    )


class EvaluationSettings(Room):
    sampled_negatives: int = Field(
        99, ge=1, le=1_000_000_000, description="items drawn beside the target in sampled ranking"
    )
    bootstrap_samples: int = Field(
        1000, ge=100, le=10_000_000, description="resamples of users for a confidence interval"
    )
    permutation_samples: int = Field(
        10_000, ge=100, le=1_000_000_000, description="random sign assignments of the paired test"
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of sampled items, bootstrap and paired test")
    block: int = Field(
        512, ge=1, le=10_000_000, description="users ranked at once; memory is this times the catalogue, float32"
    )


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
