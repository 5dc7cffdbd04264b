"""Every setting of the project in one documented tree; presets, a YAML file, environment and flags fill it.

Precedence, weakest first: field defaults, preset, ``--config`` file, environment (``ISRF_GRAPHS__TAU=0.6``),
``--set graphs.tau=0.6``. Unknown keys and values out of range are errors at load.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from isrf.errors import IsrfError

ENV_PREFIX = "ISRF_"
PRIVATE = {
    "reasoning.key_variable": "is the name of an environment variable in capitals, like DEEPSEEK_API_KEY, and the key "
    "itself is that variable's value",
    "reasoning.base_url": "is an address, like http://localhost:11434/v1",
    "reasoning.extra_body": "holds names with values, like {reasoning_effort: low}",
}
"""Settings that a key may have got into by mistake, so that a wrong value is not repeated; and what belongs there."""


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
    seed: int = Field(0, ge=0, description="sampling seed sent to the endpoint")
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
    top_k: int = Field(100, ge=1, description="most neighbours of a user (paper: 100)")
    layers: int = Field(2, ge=0, description="L: LightGCN layers over the semantic interaction graph")
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
    block: int = Field(2048, ge=1, description="users compared at once when the similar-user graph is built")


class ModelSettings(Room):
    d_model: int = Field(128, ge=8, description="width of the T5 and of every embedding")
    heads: int = Field(4, ge=1, description="attention heads; d_model must be a multiple")
    encoder_layers: int = Field(1, ge=1, description="T5 encoder blocks")
    decoder_layers: int = Field(2, ge=1, description="T5 decoder blocks")
    dropout: float = Field(0.35, ge=0, lt=1, description="dropout in the T5 and on its input embeddings")
    adapter_width: int = Field(256, ge=8, description="hidden width of the two-layer semantic adapter")
    history: int = Field(20, ge=1, description="most recent items that the generator reads")
    group: Literal["consumed", "aligned", "none"] = Field(
        "consumed",
        description="who reads the group interest: generator, alignment and fusion; the alignment loss alone (as the "
        "official code does); or nobody. isrf-graph, which has no generator, always reads it",
    )
    group_dropout: float = Field(0.8, ge=0, lt=1, description="share of training examples that read no group interest")

    @model_validator(mode="after")
    def heads_divide_width(self) -> Self:
        if self.d_model % self.heads:
            raise ValueError(f"model.d_model={self.d_model} must be a multiple of model.heads={self.heads}")
        return self


class TrainingSettings(Room):
    epochs: int = Field(14, ge=1, description="most passes over the training interactions")
    batch_size: int = Field(
        256, ge=1, description="most histories (SR) or users (DR) in a batch; a small log gets smaller ones"
    )
    learning_rate: float = Field(2e-3, gt=0, description="AdamW, peak after warm-up, cosine decay to zero")
    warmup_steps: int = Field(100, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.01, ge=0, description="AdamW, on matrices only")
    negatives: int = Field(
        2048,
        ge=0,
        description="items drawn a batch to estimate the softmax; 0 = the whole catalogue, also where smaller",
    )
    sr_per_dr: int = Field(4, ge=1, description="SR batches between two DR batches (paper, step 3: tasks alternate)")
    alignment: float = Field(0.05, ge=0, description="lambda: weight of the alignment loss")
    alignment_direction: Literal["paper", "swapped", "open", "detached"] = Field(
        "paper",
        description="where the individual side of the alignment is detached: in DR batches (paper, step 3), in SR "
        "batches, nowhere, or in both; what is detached teaches the group and does not learn from it",
    )
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


def preset_names() -> list[str]:
    """Presets that the package ships."""
    folder = resources.files("isrf") / "presets"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


def load_settings(
    preset: str | None = None, config: Path | None = None, overrides: Sequence[str] = (), base: Path | None = None
) -> Settings:
    """Merge all sources of settings, weakest first: defaults, preset, ``base``, ``config``, environment, overrides.

    Args:
        preset: name of a preset; None = "fast" unless ``base`` is there.
        config: YAML file with rooms as keys.
        overrides: "room.name=value" each, value in YAML.
        base: YAML file that a workspace keeps of its last settings; skipped where it does not exist or where a preset
            is named.

    Raises:
        IsrfError: unknown preset, room or name, unreadable YAML, or a value out of range.
    """
    tree: dict[str, Any] = {}
    if base is not None and base.exists() and preset is None:
        merge(tree, read_yaml(base))
    else:
        name = preset or "fast"
        if name not in preset_names():
            raise IsrfError(f"--preset {name}: unknown; there are {', '.join(preset_names())}")
        merge(tree, yaml.safe_load((resources.files("isrf") / "presets" / f"{name}.yaml").read_text()) or {})
    if config is not None:
        merge(tree, read_yaml(config))
    for variable in sorted(os.environ):
        # ISRF_CACHE and the like are no settings: those have a room before a double underscore
        if variable.startswith(ENV_PREFIX) and "__" in variable:
            room, _, name = variable[len(ENV_PREFIX) :].lower().partition("__")
            merge(tree, {room: {name: parse_value(os.environ[variable], variable, f"{room}.{name}")}})
    for override in overrides:
        address, equals, value = override.partition("=")
        room, dot, name = address.strip().partition(".")
        if not equals or not dot or not name:
            raise IsrfError(f"--set {override}: write room.name=value, for example --set graphs.tau=0.7")
        merge(tree, {room: {name: parse_value(value, f"--set {room}.{name}", f"{room}.{name}")}})
    return validated(tree)


def validated(tree: dict[str, Any]) -> Settings:
    """The settings of a tree; IsrfError with one line that names the first fault."""
    try:
        return Settings(**tree)
    except ValidationError as error:
        fault = error.errors()[0]
        address = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            raise IsrfError(f"unknown setting {address!r}; {known_names(fault['loc'])}") from None
        if fault["type"] == "value_error":  # a conflict between settings: our own words, which name them
            raise IsrfError(f"{fault['ctx']['error']}") from None
        setting = ".".join(str(part) for part in fault["loc"][:2])
        if setting in PRIVATE:
            raise IsrfError(f"setting {setting} {PRIVATE[setting]}; what was given is not shown") from None
        raise IsrfError(
            f"setting {address}={fault['input']!r}: {fault['msg'].removeprefix('Value error, ').lower()}"
        ) from None


def known_names(location: tuple[int | str, ...]) -> str:
    """What could have been meant at a place of the tree."""
    room = Settings.model_fields.get(str(location[0]))
    if room is None or len(location) < 2:
        return f"rooms are {', '.join(Settings.model_fields)}"
    names = type(room.default).model_fields
    close = difflib.get_close_matches(str(location[1]), names, n=1)
    return f"did you mean {location[0]}.{close[0]}?" if close else f"{location[0]} has {', '.join(names)}"


def merge(tree: dict[str, Any], new: Any) -> None:
    """Lay ``new`` over ``tree``, room by room, in place."""
    if not isinstance(new, dict):
        raise IsrfError(f"settings must be rooms with names under them, like 'graphs: {{tau: 0.7}}'; found {new!r}")
    for room, values in new.items():
        if values is None:  # a room with nothing under it, as an edited file may hold
            continue
        if room in Settings.model_fields and not isinstance(values, dict):
            raise IsrfError(f"setting {room}={values!r}: a room holds names, like '{room}: {{name: value}}'")
        if isinstance(values, dict) and isinstance(tree.get(room), dict):
            tree[room].update(values)
        else:
            tree[room] = dict(values) if isinstance(values, dict) else values


def read_yaml(path: Path) -> Any:
    """A YAML file's content; IsrfError where it is missing or unreadable."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise IsrfError(f"{path}: {error.strerror or error}; check the path") from None
    except yaml.MarkedYAMLError as error:  # its own words quote the line, and a key may be in that
        mark = error.problem_mark or error.context_mark
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise IsrfError(f"{place}: not readable as YAML ({error.problem or error.context})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise IsrfError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from None


def parse_value(text: str, origin: str, setting: str) -> Any:
    """A value as YAML reads it: numbers, true, null, text; ``origin`` and the setting's address are for errors."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        if setting in PRIVATE:
            raise IsrfError(f"{origin}: not a readable value; {setting} {PRIVATE[setting]}") from None
        raise IsrfError(
            f"{origin}: {text!r} is not a readable value; put text with special characters in quotes"
        ) from None


def save_settings(settings: Settings, path: Path) -> None:
    """Write the whole tree as YAML, for later commands on the same workspace."""
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    partial.replace(path)
