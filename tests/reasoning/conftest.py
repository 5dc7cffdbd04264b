"""Small logs with a known structure, and one real llama.cpp server for the whole session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from isrf.core.config import ReasoningSettings
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue, TrainingData
from isrf.reasoning.llm.prompt_templates import EXAMPLES

TEA = ["green tea sampler", "iron teapot", "bamboo whisk", "tea tin"]
RUN = ["trail shoes", "running socks", "sport watch", "trail map"]


def training_of(titles: list[str], histories: list[list[int]], **attributes: list[str]) -> TrainingData:
    """Items i0, i1, ... with the given titles and attributes; users u0, u1, ... with the given item rows."""
    table = pl.DataFrame(
        {Columns.ITEM: [f"i{n}" for n in range(len(titles))], Columns.TITLE: titles, **attributes},
        schema={Columns.ITEM: pl.String, Columns.TITLE: pl.String, **dict.fromkeys(attributes, pl.String)},
    )
    users = [f"u{n}" for n in range(len(histories))]
    return TrainingData(users, Catalogue(table), Histories.of([np.array(h, dtype=np.int64) for h in histories]))


@pytest.fixture(scope="session")
def build() -> Callable[..., TrainingData]:
    return training_of


def tastes() -> TrainingData:
    """Twelve people who buy only tea things (items 0 to 3), twelve who buy only running things (items 4 to 7)."""
    tea = [[(n + k) % 4 for k in range(3)] for n in range(12)]
    run = [[4 + (n + k) % 4 for k in range(3)] for n in range(12)]
    return training_of(
        TEA + RUN,
        tea + run,
        brand=["leaf", "leaf", "leaf", "leaf", "ridge", "ridge", "ridge", "ridge"],
        categories=["Tea|Kitchen"] * 4 + ["Outdoor|Running"] * 4,
    )


@pytest.fixture(scope="session")
def two_tastes() -> TrainingData:
    """See ``tastes``."""
    return tastes()


@pytest.fixture(scope="session")
def local_endpoint() -> Iterator[str]:
    """Base URL of a llama.cpp server that runs the embedded SmolLM2 with two slots."""
    from isrf.core import assets
    from isrf.reasoning.llm.local_server import local_server

    with local_server(assets.fetch("smollm2"), slots=2) as base_url:
        yield base_url


def short_prompts(folder: Path) -> Path:
    """The package's prompts with one worked example instead of several, which a slow machine reads sooner."""
    folder.mkdir(exist_ok=True)
    examples = json.loads((resources.files("isrf.reasoning") / "prompts" / EXAMPLES).read_text("utf-8"))
    for part in examples.values():
        part["dialogues"] = part["dialogues"][:1]
    (folder / EXAMPLES).write_text(json.dumps(examples))
    return folder


@pytest.fixture
def asked(local_endpoint: str, tmp_path: Path) -> ReasoningSettings:
    """Settings that reach that server as any endpoint is reached, with short questions and answers."""
    return ReasoningSettings(
        supplier="openai",
        base_url=local_endpoint,
        model="smollm2",
        prompts=short_prompts(tmp_path / "short-prompts"),
        concurrency=2,
        max_tokens=24,
        feature_words=6,
        preference_words=6,
        budget="2items",
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "answers.sqlite"
