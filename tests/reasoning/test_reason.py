"""The front door, against a real llama.cpp server: chained steps, nothing asked twice, who wrote which row."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from isrf.config import ReasoningSettings
from isrf.data.dataset import Columns
from isrf.data.split import TrainingData
from isrf.errors import IsrfError
from isrf.reasoning.endpoint import parse_answer
from isrf.reasoning.reason import coverage, reason_history, reason_items, reason_users
from isrf.reasoning.store import open_store

STATISTICS = ReasoningSettings()
TABLE = ["likes", "dislikes", "feature", "supplier", "model", "prompt_version", "tokens_in", "tokens_out"]

IN_CIRCLES = '{"likes": "' + "people who love it and " * 6 + '"}'


def counted(store: Path) -> tuple[int, tuple[int, int]]:
    with open_store(store) as answers:
        return len(answers), answers.tokens()


def test_statistics_give_a_row_an_item_and_a_user(two_tastes: TrainingData, store: Path) -> None:
    items = reason_items(two_tastes, STATISTICS, store)
    users = reason_users(two_tastes, items, STATISTICS, store)
    assert items.columns == [Columns.ITEM, *TABLE] and users.columns == [Columns.USER, *TABLE]
    assert items[Columns.ITEM].to_list() == two_tastes.catalogue.ids
    assert users[Columns.USER].to_list() == two_tastes.user_ids
    assert set(items["supplier"]) == {"attributes"} and items["tokens_in"].sum() == 0
    assert not store.exists(), "no LLM, no store"


def test_statistics_give_the_same_bytes_again(two_tastes: TrainingData, tmp_path: Path) -> None:
    for name in ("one", "two"):
        reason_items(two_tastes, STATISTICS, tmp_path / "s").write_parquet(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_most_bought_items_are_asked_and_the_rest_counted(
    two_tastes: TrainingData, asked: ReasoningSettings, store: Path
) -> None:
    items = reason_items(two_tastes, asked, store)
    # all items are bought nine times: ties go by item id
    assert items["tokens_in"].gt(0).to_list() == [True] * 2 + [False] * 6
    by_llm = items.filter(pl.col("supplier") == "openai")
    assert set(by_llm["model"]) <= {"smollm2"} and by_llm["prompt_version"].str.len_chars().eq(12).all()
    for text in ("likes", "dislikes", "feature"):
        assert items[text].str.len_chars().gt(0).all()
    assert sum(coverage(two_tastes, items).values()) == pytest.approx(1)

    before = counted(store)
    assert 2 <= before[0] <= 6 and before[1] == (items["tokens_in"].sum(), items["tokens_out"].sum())
    again = reason_items(two_tastes, asked, store)
    assert again.equals(items)
    assert counted(store) == before, "nothing is asked twice"


def test_users_are_asked_with_a_token_budget(two_tastes: TrainingData, asked: ReasoningSettings, store: Path) -> None:
    items = reason_items(two_tastes, STATISTICS, store)
    few = asked.model_copy(update={"budget": "1ktok", "concurrency": 1})
    users = reason_users(two_tastes, items, few, store)
    spent = users["tokens_in"].sum() + users["tokens_out"].sum()
    assert users["tokens_in"].gt(0).sum() == 1, "a fifth of 1000 tokens is spent within the first user"
    assert spent == sum(counted(store)[1]) > 200


def test_a_killed_run_goes_on_where_it_was(two_tastes: TrainingData, asked: ReasoningSettings, store: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from conftest import two_tastes; from isrf.config import ReasoningSettings\n"
        "from isrf.reasoning.reason import reason_items\n"
        "settings = ReasoningSettings.model_validate_json(sys.argv[2])\n"
        "reason_items(two_tastes.__wrapped__(), settings, Path(sys.argv[3]))\n"
    )
    here = str(Path(__file__).parent)
    run = [sys.executable, "-c", code, here, asked.model_dump_json(), str(store)]
    child = subprocess.Popen(run, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not store.exists() or not stored(store)):
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    kept = stored(store)
    assert kept, "answers are kept from the moment they arrive"
    items = reason_items(two_tastes, asked, store)
    after = stored(store)
    assert kept.items() <= after.items(), "the answers of the killed run are used as they are"
    assert counted(store)[1] == (items["tokens_in"].sum(), items["tokens_out"].sum()), "and paid for once"


def stored(store: Path) -> dict[str, str]:
    import sqlite3

    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            return dict(connection.execute("SELECT key, answer FROM answers").fetchall())
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return {}  # not made yet


def test_a_notebook_can_ask_too(two_tastes: TrainingData, asked: ReasoningSettings, store: Path) -> None:
    import asyncio

    async def cell() -> pl.DataFrame:
        return reason_items(two_tastes, asked.model_copy(update={"budget": "1items"}), store)

    assert asyncio.run(cell())["tokens_in"].gt(0).sum() == 1


def test_the_local_supplier_brings_its_own_server(two_tastes: TrainingData, store: Path) -> None:
    local = ReasoningSettings(
        supplier="local", budget="1items", concurrency=1, max_tokens=16, feature_words=5, preference_words=5
    )
    items = reason_items(two_tastes, local, store)
    assert items["tokens_out"].gt(0).sum() == 1
    assert set(items.filter(pl.col("tokens_out") > 0)["supplier"]) <= {"local", "attributes"}


def test_an_endpoint_that_is_down_is_one_clear_line(two_tastes: TrainingData, store: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    settings = ReasoningSettings(supplier="openai", base_url=url, model="m", concurrency=2)
    with pytest.raises(IsrfError, match=f"{url}/: cannot be reached") as caught:
        reason_items(two_tastes, settings, store)
    assert "\n" not in str(caught.value)


def test_a_hosted_endpoint_without_a_key_is_refused(
    two_tastes: TrainingData, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(IsrfError, match="set OPENAI_API_KEY"):
        reason_items(two_tastes, ReasoningSettings(supplier="openai", model="m"), store)


def test_a_key_never_reaches_the_store(
    two_tastes: TrainingData, asked: ReasoningSettings, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-do-not-keep-this")
    reason_items(two_tastes, asked.model_copy(update={"budget": "1items"}), store)
    assert b"sk-do-not-keep" not in b"".join(path.read_bytes() for path in store.parent.iterdir())


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"supplier": "openai"}, "reasoning.model"),
        ({"supplier": "local", "budget": "5usd"}, "prices"),
        ({"supplier": "local", "gguf": Path(__file__)}, "not a GGUF file"),
        ({"supplier": "local", "gguf": Path("no-such.gguf")}, "no-such.gguf: No such file"),
    ],
)
def test_settings_that_cannot_work(two_tastes: TrainingData, store: Path, update: dict, said: str) -> None:
    with pytest.raises(IsrfError, match=said):
        reason_items(two_tastes, STATISTICS.model_copy(update=update), store)


def test_a_gguf_that_llama_cannot_load(two_tastes: TrainingData, store: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(IsrfError, match=r"broken\.gguf: llama\.cpp cannot load it"):
        reason_items(two_tastes, STATISTICS.model_copy(update={"supplier": "local", "gguf": broken}), store)


def test_features_of_another_catalogue_are_refused(
    two_tastes: TrainingData, build: Callable[..., TrainingData], store: Path
) -> None:
    other = reason_items(build(["a"], [[0]]), STATISTICS, store)
    with pytest.raises(IsrfError, match="another catalogue"):
        reason_users(two_tastes, other, STATISTICS, store)


def test_a_person_who_is_not_in_the_log(two_tastes: TrainingData, store: Path) -> None:
    items = reason_items(two_tastes, STATISTICS, store)
    reasons = reason_history(two_tastes, items, np.array([4, 5]), STATISTICS)
    assert "ridge" in reasons["likes"] and reasons["supplier"] == "attributes"
    assert [entry[Columns.ITEM] for entry in reasons["evidence"]] == ["i5", "i4"]
    assert reasons["evidence"][0]["feature"] == items["feature"][5]


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", "null", '{"likes": ""}', '{"likes": " .. "}', '{"likes": 3}', '{"other": "x"}', IN_CIRCLES],
)
def test_answers_that_cannot_be_used(content: str | None) -> None:
    assert parse_answer(content, "likes", 500) is None


def test_an_answer_cut_by_its_limit_ends_with_a_whole_word() -> None:
    assert parse_answer('{"likes": "People who like long wal"}', "likes", 24) == "People who like long."
