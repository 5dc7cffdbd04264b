"""The tree of settings: one room of documented fields for each concern, with unit, bounds and source of every value.

Where values come from and how faults are told is ``config``. Knows nothing about files.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LARGEST_SEED = 2**31 - 1
"""What every library that draws random numbers here accepts."""


class Room(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DataSettings(Room):
    min_interactions: int = Field(5, ge=0, description="k of the k-core over users and items, iterated; 0 keeps all")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of the row permutation of users and items")
    id_order: Literal["shuffled", "appearance"] = Field(
        "shuffled",
        description="numbers that digit identifiers print: drawn by a seed, or, to see the leak at work, in order of "
        "first appearance over whole sequences, held-out items included (as in the published P5 files)",
    )
    on_bad_row: Literal["fail", "skip"] = Field("fail", description="skip writes bad rows to dataset/rejected.csv")
    user_column: str | None = Field(None, description="column of user ids; None = found by the usual names")
    item_column: str | None = Field(None, description="column of item ids; None = found by the usual names")
    time_column: str | None = Field(None, description="column of times; None = found by the usual names, else no time")
    position_column: str | None = Field(None, description="column that orders a user's rows where there is no time")
    title_column: str | None = Field(None, description="catalogue column that items are shown by; None = usual names")
    brand_column: str | None = Field(None, description="catalogue column of brands; None = usual names")
    category_column: str | None = Field(None, description="catalogue column of categories; None = usual names")
    description_column: str | None = Field(None, description="catalogue column of longer texts; None = usual names")
    separator: str | None = Field(None, description="CSV field separator; None = found among , ; tab |")
    split: Literal["leave-one-out", "temporal", "given"] = Field(
        "leave-one-out",
        description="what is held out: everybody's last two items; all interactions from a date on; or what the source "
        "itself marks (docs/protocol.md)",
    )
    split_at: str | None = Field(
        None,
        description="where the temporal split cuts: an ISO date or time (UTC), epoch seconds or milliseconds, or a number "
        "between 0 and 1 = that quantile of all times; what is not before it is test",
    )
    split_column: str | None = Field(
        None,
        description="column of the given split that says train, valid or test; None = found by the usual names; not read "
        "where the folder holds a file for each",
    )

    @field_validator("split_at", mode="before")
    @classmethod
    def written_out(cls, value: Any) -> Any:
        """YAML reads dates and numbers; all are kept as text."""
        if isinstance(value, date):
            return value.isoformat()
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def split_is_whole(self) -> Self:
        if self.split == "temporal" and self.split_at is None:
            raise ValueError(
                "data.split=temporal needs data.split_at: a date like 2014-01-31, epoch seconds, or a quantile like 0.9"
            )
        for name, value, kind in (
            ("split_at", self.split_at, "temporal"),
            ("split_column", self.split_column, "given"),
        ):
            if value is not None and self.split != kind:
                raise ValueError(
                    f"data.{name}={value} is read by data.split={kind} alone, and data.split={self.split}; set one of them"
                )
        return self


class ReasoningSettings(Room):
    supplier: Literal["attributes", "local", "openai"] = Field(
        "attributes", description="who reasons (DESIGN 2, step 1)"
    )
    budget: str | None = Field(
        None,
        description="limit of an LLM supplier: '60items', '2min', '100ktok' or '5usd'; the rest uses attribute statistics",
    )
    plan: Literal["chained", "single"] = Field(
        "chained", description="three questions a row, each seeing the answers before it (paper), or one for all fields"
    )
    user_history: int = Field(20, ge=1, description="K: most recent training items in a user's prompt (paper, step 2)")
    feature_words: int = Field(25, ge=5, description="longest concise feature, words (paper)")
    preference_words: int = Field(50, ge=5, description="longest likes or dislikes, words (paper)")
    domain: str = Field("items", description="what the items are, for the prompts: 'films', 'toys'")
    lift_shrinkage: float = Field(
        5.0, gt=0, description="pseudo-count (interactions) that pulls an attribute's lift towards 1"
    )
    base_url: str | None = Field(
        None, description="OpenAI-compatible endpoint, e.g. http://localhost:11434/v1; None = OpenAI's own"
    )
    model: str | None = Field(None, description="model name at the endpoint; the local supplier names its GGUF itself")
    gguf: Path | None = Field(
        None, description="GGUF file of the local supplier; None = embedded SmolLM2-135M-Instruct"
    )
    key_variable: str = Field(
        "OPENAI_API_KEY",
        pattern=r"^[A-Z][A-Z0-9_]{2,63}$",
        description="environment variable that holds the endpoint's key, e.g. DEEPSEEK_API_KEY; never the key itself",
    )
    structure: Literal["auto", "schema", "object", "prompted"] = Field(
        "auto", description="how JSON is asked for: by schema, as any object, or in words; auto = the first that works"
    )
    concurrency: int = Field(8, ge=1, le=512, description="requests in flight, and slots of the local server")
    requests_per_minute: float | None = Field(None, gt=0, description="most requests a minute; None = no limit")
    tokens_per_minute: float | None = Field(
        None, gt=0, description="most tokens a minute, in and out together; None = no limit"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="sampling temperature")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="sampling seed sent to the endpoint")
    max_tokens: int = Field(
        160, ge=16, description="longest answer of one field, tokens; the single plan gets three times"
    )
    thinking_tokens: int = Field(
        4096,
        ge=0,
        description="tokens beyond that for a model that thinks before it answers (<think>, reasoning_content)",
    )
    extra_body: dict[str, Any] = Field(
        {}, description="further fields of every request, e.g. {reasoning_effort: low}, as the endpoint defines them"
    )
    timeout_s: float = Field(120.0, gt=0, description="longest wait for one whole answer, seconds")
    connect_timeout_s: float = Field(10.0, gt=0, description="longest wait for a connection, seconds")
    patience_s: float = Field(
        60.0,
        ge=0,
        description="how long an endpoint may fail in a row, retried ever more slowly, before the run stops; seconds",
    )
    language: str = Field(
        "auto",
        pattern=r"^(auto|any|[a-z]{2,3})$",
        description="language an answer must be in: an ISO 639 code, any, or auto = the catalogue's",
    )
    prompts: Path | None = Field(
        None, description="folder whose files replace the package's prompt templates of that name"
    )
    prices: Path | None = Field(None, description="YAML file of prices by model, over the package's own price table")

    @field_validator("gguf", "prompts", "prices")
    @classmethod
    def from_anywhere(cls, path: Path | None) -> Path | None:
        """Settings are kept, and later commands may be typed in another folder."""
        try:
            return None if path is None else path.expanduser().absolute()
        except RuntimeError:
            raise ValueError(f"{path}: nobody of that name has a home folder here; write the path out") from None


class SemanticsSettings(Room):
    encoder: str = Field("minilm", description="'minilm' (embedded all-MiniLM-L6-v2) or a sentence-transformers name")
    item_text: Literal["attributes", "feature", "both", "none"] = Field(
        "both", description="what is encoded for an item; none = nothing, items start as random vectors (as in ELMRec)"
    )
    dimensions: int = Field(512, ge=2, description="PCA keeps at most this many (paper: 512) and what the encoder has")
    batch_size: int = Field(128, ge=1, description="texts encoded at once")


class GraphSettings(Room):
    tau: float = Field(0.7, ge=-1, le=1, description="least cosine that links two users (paper: 0.7)")
    top_k: int = Field(
        100, ge=1, description="most neighbours of a user (paper: 100), and most moments of others heard"
    )
    layers: int = Field(2, ge=0, description="L: LightGCN layers of the interaction graph; items meet at even ones")
    user_layers: int = Field(
        1,
        ge=0,
        description="L_user: LightGCN layers over the similar-user graph; 0 = a group knows what its people chose and "
        "nothing of what they are like, as no feature travels",
    )
    window: int = Field(7, ge=1, description="longest distance of a transition in the history, items")
    distance_power: float = Field(0.5, ge=0, description="a transition over distance d weighs d ** -this")
    backward: float = Field(0.3, ge=0, le=1, description="weight of a transition read backwards; 1 = no direction")
    source_power: float = Field(0.4, ge=0, le=1, description="exponent of the source item's degree in transitions")
    target_power: float = Field(0.1, ge=0, le=1, description="exponent of the target item's degree in transitions")
    decay: float = Field(0.6, gt=0, le=1, description="weight of a history item relative to the one after it")
    block: int = Field(2048, ge=1, description="users, or moments, compared at once")


class ModelSettings(Room):
    identifiers: Literal["atomic", "semantic", "digits"] = Field(
        "atomic",
        description="how an item is written: one token of its own; codes of its semantic features (TIGER); or the "
        "digits of a number (paper)",
    )
    prompt_tokens: int = Field(
        3, ge=1, description="soft prompt tokens of each task (paper: 3); atomic reads those of explanations only"
    )
    alpha: float = Field(
        11.0,
        ge=0,
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
    d_model: int = Field(128, ge=8, description="width of the T5 and of every embedding")
    heads: int = Field(4, ge=1, description="attention heads; d_model must be a multiple")
    encoder_layers: int = Field(1, ge=1, description="T5 encoder blocks")
    decoder_layers: int = Field(2, ge=1, description="T5 decoder blocks")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout on input embeddings and on what a sub-layer adds")
    temperature: float = Field(0.1, gt=0, description="of atomic: divides the cosine of state and item in the softmax")
    adapter_width: int = Field(256, ge=8, description="hidden width of the two-layer semantic adapter")
    history: int = Field(20, ge=1, description="most recent items that the generator reads")
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
    epochs: int = Field(8, ge=1, description="most passes over the training interactions")
    batch_size: int = Field(
        256, ge=1, description="most histories (SR) or users (DR) in a batch; a small log gets smaller ones"
    )
    learning_rate: float = Field(3e-3, gt=0, description="AdamW, peak after warm-up, cosine decay to zero")
    warmup_steps: int = Field(100, ge=0, description="steps of linear warm-up, at most a fifth of all")
    weight_decay: float = Field(0.01, ge=0, description="AdamW, on matrices only")
    negatives: int = Field(
        1024,
        ge=0,
        description="of atomic: items drawn a step for the softmax, beside its targets; 0 = the whole catalogue",
    )
    sr_per_dr: int = Field(10, ge=1, description="SR batches between two DR batches (paper, step 3: tasks alternate)")
    sr_per_explanation: int = Field(
        5,
        ge=0,
        description="SR batches between two batches of review explanations, where the data has any; 0 leaves that task out",
    )
    explanation_epochs: int = Field(
        2,
        ge=0,
        description="passes over the explanations behind all epochs, in which the explainer's own weights alone learn: "
        "the epoch that ranks best may come before sentences are learned",
    )
    explanation_length: int = Field(
        32, ge=1, description="most word pieces of an explanation; longer ones of reviews are cut in training"
    )
    alignment: float = Field(0.05, ge=0, description="lambda: weight of the alignment loss")
    alignment_direction: Literal["paper", "swapped", "open", "detached"] = Field(
        "paper",
        description="where the individual side of the alignment is detached: in DR batches (paper, step 3), in SR "
        "batches, nowhere, or in both; what is detached teaches the group and does not learn from it",
    )
    alignment_temperature: float = Field(0.1, gt=0, description="temperature of the alignment's similarities")
    tracking: Literal["none", "tensorboard", "mlflow"] = Field(
        "none",
        description="who else gets the figures of every epoch, beside training_log.json; changes nothing that is learned",
    )
    patience: int = Field(4, ge=1, description="epochs without a better validation NDCG@10 before training stops")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of identifiers, initial weights, batches and dropout")


class RankingSettings(Room):
    block: int = Field(512, ge=1, description="people scored at once; memory is this times the catalogue, float32")
    fit_users: int = Field(
        8000, ge=1, description="most validation users that weights are fitted on, and as many stop training"
    )
    beams: int = Field(
        20,
        ge=1,
        description="beams of the search over identifiers of several tokens, and most items it finds (paper: 20)",
    )
    fusion: Literal["fitted", "generator"] = Field(
        "fitted",
        description="weights of all signals, fitted on validation; or the generator alone, as published methods rank",
    )


class EvaluationSettings(Room):
    sampled_negatives: int = Field(99, ge=1, description="items drawn beside the target in sampled ranking")
    bootstrap_samples: int = Field(1000, ge=100, description="resamples of users for a confidence interval")
    permutation_samples: int = Field(10_000, ge=100, description="random sign assignments of the paired test")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of sampled items, bootstrap and paired test")
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
