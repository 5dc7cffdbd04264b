"""Settings of the room "reasoning": who reasons about items and users, how it is asked, and what it may cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from isrf.core.settings_base import LARGEST_SEED, Room

LONGEST_WAIT_S = 604_800
"""A week, seconds."""


class ReasoningSettings(Room):
    supplier: Literal["attributes", "local", "openai"] = Field(
        "attributes", description="who reasons (docs/reasoning.md)"
    )
    budget: str | None = Field(
        None,
        description="limit of an LLM supplier: '60items', '2min', '100ktok' or '5usd'; the rest uses attribute statistics",
    )
    plan: Literal["chained", "single"] = Field(
        "chained", description="three questions a row, each seeing the answers before it (paper), or one for all fields"
    )
    user_history: int = Field(
        20, ge=1, le=100_000, description="K: most recent training items in a user's prompt (paper, step 2)"
    )
    feature_words: int = Field(25, ge=5, le=10_000, description="longest concise feature, words (paper)")
    preference_words: int = Field(50, ge=5, le=10_000, description="longest likes or dislikes, words (paper)")
    domain: str = Field("items", description="what the items are, for the prompts: 'films', 'toys'")
    lift_shrinkage: float = Field(
        5.0, gt=0, le=1e9, description="pseudo-count (interactions) that pulls an attribute's lift towards 1"
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
        description="environment variable that holds the endpoint's key, named like DEEPSEEK_API_KEY or ISRF_LLM_KEY; never the "
        "key itself",
    )
    structure: Literal["auto", "schema", "object", "prompted"] = Field(
        "auto", description="how JSON is asked for: by schema, as any object, or in words; auto = the first that works"
    )
    concurrency: int = Field(8, ge=1, le=512, description="requests in flight, and slots of the local server")
    requests_per_minute: float | None = Field(
        None, gt=0, le=1e9, description="maximum requests per minute; None = no limit"
    )
    tokens_per_minute: float | None = Field(
        None, gt=0, le=1e12, description="most tokens a minute, in and out together; None = no limit"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="sampling temperature")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="sampling seed sent to the endpoint")
    max_tokens: int = Field(
        160, ge=16, le=10_000_000, description="longest answer of one field, tokens; the single plan gets three times"
    )
    thinking_tokens: int = Field(
        4096,
        ge=0,
        le=10_000_000,
        description="tokens beyond that for a model that thinks before it answers (<think>, reasoning_content)",
    )
    extra_body: dict[str, Any] = Field(
        {}, description="further fields of every request, e.g. {reasoning_effort: low}, as the endpoint defines them"
    )
    timeout_s: float = Field(120.0, gt=0, le=LONGEST_WAIT_S, description="longest wait for one whole answer, seconds")
    connect_timeout_s: float = Field(
        10.0, gt=0, le=LONGEST_WAIT_S, description="longest wait for a connection, seconds"
    )
    patience_s: float = Field(
        60.0,
        ge=0,
        le=LONGEST_WAIT_S,
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

    @field_validator("extra_body")
    @classmethod
    def is_json(cls, body: dict[str, Any]) -> dict[str, Any]:
        """It is sent as JSON, which has no infinity and no dates."""
        try:
            json.dumps(body, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"reasoning.extra_body cannot be sent as JSON: {error}") from None
        return body

    @field_validator("gguf", "prompts", "prices")
    @classmethod
    def from_anywhere(cls, path: Path | None) -> Path | None:
        """Settings are kept, and later commands may be typed in another folder."""
        try:
            return None if path is None else path.expanduser().absolute()
        except RuntimeError:
            raise ValueError(f"{path}: nobody of that name has a home folder here; write the path out") from None
