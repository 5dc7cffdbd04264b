"""The front door: chained steps, nothing asked twice, who wrote which row; in the slow tier with a real llama.cpp server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.reasoning.hostile import HOSTILE, PAYLOAD
from tests.reasoning.scripted import Behaviour, Request, Response, chat, scripted, sensible, slowly

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.training_data import TrainingData
from isrf.reasoning.answers.store import open_store
from isrf.reasoning.llm.supplier import check_settings
from isrf.reasoning.reason import reason_history, reason_items, reason_users
from isrf.reasoning.tables import SCHEMA, coverage

STATISTICS = ReasoningSettings()
ROOT = Path(__file__).parents[2]
CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from isrf.core.config import ReasoningSettings
from isrf.reasoning.reason import reason_items
from tests.reasoning.conftest import tastes
settings, store = ReasoningSettings.model_validate_json(sys.argv[2]), Path(sys.argv[3])
"""
SCRIPT = CHILD + "reason_items(tastes(), settings, store)"
NOTEBOOK = (
    CHILD
    + """
import asyncio
async def cell():
    reason_items(tastes(), settings, store)
asyncio.new_event_loop().run_until_complete(cell())
"""
)


def counted(store: Path) -> tuple[int, tuple[int, int]]:
    with open_store(store) as answers:
        return len(answers), answers.tokens()


def test_statistics_give_a_row_an_item_and_a_user(two_tastes: TrainingData, store: Path) -> None:
    items = reason_items(two_tastes, STATISTICS, store)
    users = reason_users(two_tastes, items, STATISTICS, store)
    assert items.columns == [Columns.ITEM, *SCHEMA] and users.columns == [Columns.USER, *SCHEMA]
    assert items[Columns.ITEM].to_list() == two_tastes.catalogue.ids
    assert users[Columns.USER].to_list() == two_tastes.user_ids
    assert set(items["supplier"]) == {"attributes"} and items["tokens_in"].sum() == 0
    assert not store.exists(), "no LLM, no store"


def test_statistics_give_the_same_bytes_again(two_tastes: TrainingData, tmp_path: Path) -> None:
    for name in ("one", "two"):
        reason_items(two_tastes, STATISTICS, tmp_path / "s").write_parquet(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def assert_the_most_bought_are_asked(
    training: TrainingData, settings: ReasoningSettings, store: Path, model: str
) -> None:
    """A budget of two items: all are bought nine times, so that ties go by item id; and nothing is asked twice."""
    items = reason_items(training, settings, store)
    assert items["tokens_in"].gt(0).to_list() == [True] * 2 + [False] * 6
    assert items["fallback"][2:].to_list() == ["budget"] * 6
    by_llm = items.filter(pl.col("supplier") == "openai")
    assert set(by_llm["model"]) <= {model} and by_llm["prompt_version"].str.len_chars().eq(12).all()
    assert by_llm["fallback"].eq("").all() and items["tokens_thinking"].sum() == 0
    for text in ("likes", "dislikes", "feature"):
        assert items[text].str.len_chars().gt(0).all()
    assert sum(coverage(training, items).values()) == pytest.approx(1)

    before = counted(store)
    assert 2 <= before[0] <= 24 and before[1] == (items["tokens_in"].sum(), items["tokens_out"].sum())
    again = reason_items(training, settings, store)
    assert again.equals(items)
    assert counted(store) == before, "nothing is asked twice"


@pytest.mark.parametrize("plan", ["chained", "single"])
def test_the_most_bought_items_are_asked_and_the_rest_counted(two_tastes: TrainingData, store: Path, plan: str) -> None:
    with scripted() as server:
        settings = server.settings(plan=plan, budget="2items", concurrency=2)
        assert_the_most_bought_are_asked(two_tastes, settings, store, "m")


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["chained", "single"])
def test_a_real_model_is_asked_about_the_most_bought_items(
    two_tastes: TrainingData, asked: ReasoningSettings, store: Path, plan: str
) -> None:
    """Whatever a small model says; in the other tier ``test_reason_command`` has one that is asked for an estimate."""
    assert_the_most_bought_are_asked(two_tastes, asked.model_copy(update={"plan": plan}), store, "smollm2")


@pytest.mark.slow
def test_a_real_model_that_reads_a_hostile_catalogue_gives_whole_rows(
    build: Callable[..., TrainingData], asked: ReasoningSettings, store: Path
) -> None:
    """Whatever it makes of them; ``test_asking`` and ``test_quality`` have what a model that obeyed would answer."""
    titles = [HOSTILE[0], HOSTILE[1], HOSTILE[8], HOSTILE[14], "green tea sampler"]
    training = build(titles, [list(range(len(titles)))])
    settings = asked.model_copy(update={"plan": "single", "budget": None})
    items = reason_items(training, settings, store)
    assert items["tokens_out"].gt(0).all(), "each was asked about"
    for row in items.iter_rows(named=True):
        texts = [row[name] for name in ("likes", "dislikes", "feature")]
        assert all(text and text.isprintable() and not set(text) & set("<>{}") for text in texts)
        if row["supplier"] == "openai":
            assert not any(text.strip(" .") == PAYLOAD for text in texts)


def test_users_are_asked_with_a_token_budget(two_tastes: TrainingData, store: Path) -> None:
    """Each answer takes 120 tokens, and a row three of them."""
    items = reason_items(two_tastes, STATISTICS, store)
    with scripted() as server:
        users = reason_users(two_tastes, items, server.settings(budget="1ktok"), store)
    spent = users["tokens_in"].sum() + users["tokens_out"].sum()
    assert users["tokens_in"].gt(0).sum() == 1, "a fifth of 1000 tokens is spent within the first user"
    assert spent == sum(counted(store)[1]) > 200


def started(code: str, settings: ReasoningSettings, store: Path) -> subprocess.Popen[bytes]:
    """A process that reasons about the items of ``tastes``."""
    run = [sys.executable, "-c", code, str(ROOT), settings.model_dump_json(), str(store)]
    return subprocess.Popen(run, stderr=subprocess.PIPE)


def stored(store: Path) -> dict[str, str]:
    """Answers by key, as another process sees them."""
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            return dict(connection.execute("SELECT key, content FROM answers").fetchall())
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return {}  # not made yet


def wait_for(child: subprocess.Popen[bytes], store: Path, more_than: int) -> None:
    """Until so many answers are stored, or the process has come to its end."""
    deadline = time.monotonic() + 120
    while len(stored(store)) <= more_than and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(two_tastes: TrainingData, asked: ReasoningSettings, store: Path) -> None:
    """Against a real server; the next test kills runs in the other tier, against one that answers at once."""
    child = started(SCRIPT, asked, store)
    wait_for(child, store, 0)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    kept = stored(store)
    assert kept, "answers are kept from the moment they arrive"
    items = reason_items(two_tastes, asked, store)
    assert kept.items() <= stored(store).items(), "the answers of the killed run are used as they are"
    assert counted(store)[1] == (items["tokens_in"].sum(), items["tokens_out"].sum()), "and paid for once"


@pytest.mark.parametrize("crashes", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_again_and_again_ends_like_an_undisturbed_one(
    two_tastes: TrainingData, store: Path, crashes: int
) -> None:
    with scripted(slowly(0.05)) as server:
        settings = server.settings(concurrency=2)
        for crash in range(crashes):
            child = started(SCRIPT, settings, store)
            wait_for(child, store, crash)
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
        items = reason_items(two_tastes, settings, store)
        questions = [request.body["messages"] for request in server.requests if "colour" not in request.fields]
        twice = len(questions) - len({str(question) for question in questions})
        assert twice <= 2 * crashes, "only what was in flight is asked again"
        server.respond = sensible
        undisturbed = reason_items(two_tastes, settings, store.with_name("other.sqlite"))
    assert items.equals(undisturbed) and set(items["supplier"]) == {"openai"}


@pytest.mark.parametrize("code", [SCRIPT, NOTEBOOK], ids=["script", "notebook"])
def test_ctrl_c_keeps_the_answers_and_ends_in_order(two_tastes: TrainingData, store: Path, code: str) -> None:
    with scripted(slowly(0.5)) as server:
        settings = server.settings(concurrency=2)
        child = started(code, settings, store)
        wait_for(child, store, 2)
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=20)[1].decode()
        assert child.returncode != 0 and said.rstrip().endswith("KeyboardInterrupt"), said
        assert "destroyed" not in said and "Unclosed" not in said and "never retrieved" not in said
        kept = stored(store)
        assert 3 <= len(kept) < 24
        server.respond = sensible
        before = len(server.requests)
        items = reason_items(two_tastes, settings, store)
        assert len(server.requests) - before == 24 - len(kept) and set(items["supplier"]) == {"openai"}


def test_a_notebook_can_ask_too(two_tastes: TrainingData, store: Path) -> None:
    async def cell() -> pl.DataFrame:
        with scripted() as server:
            return reason_items(two_tastes, server.settings(budget="1items"), store)

    assert asyncio.run(cell())["tokens_in"].gt(0).sum() == 1


@pytest.mark.slow
def test_the_local_supplier_brings_its_own_server(two_tastes: TrainingData, store: Path) -> None:
    """In the other tier, ``test_reason_command`` has an estimate that brings it, which asks it about two items."""
    local = ReasoningSettings(
        supplier="local", budget="1items", concurrency=1, max_tokens=16, feature_words=5, preference_words=5
    )
    items = reason_items(two_tastes, local, store)
    assert items["tokens_out"].gt(0).sum() == 1
    assert set(items.filter(pl.col("tokens_out") > 0)["supplier"]) <= {"local", "attributes"}


def test_a_small_budget_is_not_spent_by_all_that_may_be_in_flight(
    build: Callable[..., TrainingData], store: Path
) -> None:
    """120 tokens an answer, and a share of the items of 800: three items are paid for, sixty could have been started."""
    training = build([f"tea number {n} from the hills" for n in range(60)], [[0, 1, 2]])
    with scripted(slowly(0.05, sensible)) as server:
        items = reason_items(training, server.settings(concurrency=60, budget="1ktok"), store)
    assert (items["fallback"] == "").sum() == 3
    assert counted(store)[1][0] + counted(store)[1][1] < 2 * 1000


def test_an_endpoint_that_is_down_is_one_clear_line(two_tastes: TrainingData, store: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    settings = ReasoningSettings(supplier="openai", base_url=url, model="m", concurrency=2)
    with pytest.raises(IsrfError, match=f"{url}: cannot be reached") as caught:
        reason_items(two_tastes, settings, store)
    assert "\n" not in str(caught.value)


def test_a_hosted_endpoint_without_a_key_is_refused(
    two_tastes: TrainingData, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(IsrfError, match="set OPENAI_API_KEY"):
        reason_items(two_tastes, ReasoningSettings(supplier="openai", model="m"), store)


def cut_at_first(request: Request, before: int) -> Response:
    """An endpoint whose answers need more room than they get at first."""
    short = request.fields != ["colour"] and request.body["max_tokens"] <= 160
    return chat('{"likes": "People who', finish="length") if short else sensible(request, before)


@pytest.mark.parametrize("respond", [sensible, cut_at_first])
def test_whoever_was_given_all_answers_needs_no_key(
    two_tastes: TrainingData, store: Path, monkeypatch: pytest.MonkeyPatch, respond: Behaviour
) -> None:
    """The answers of a colleague who paid OpenAI for them: nothing is asked, not even how to ask."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with scripted(respond) as server:
        paid = reason_items(two_tastes, server.settings(), store)
    assert set(paid["supplier"]) == {"openai"}
    assert reason_items(two_tastes, ReasoningSettings(supplier="openai", model="m"), store).equals(paid)


def test_a_key_never_reaches_the_store(two_tastes: TrainingData, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-do-not-keep-this")
    with scripted() as server:
        reason_items(two_tastes, server.settings(budget="1items"), store)
        assert all("sk-do-not-keep-this" in request.headers["authorization"] for request in server.requests)
    assert b"sk-do-not-keep" not in b"".join(path.read_bytes() for path in store.parent.iterdir())


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"supplier": "openai"}, "reasoning.model"),
        ({"supplier": "local", "budget": "5usd"}, "costs no money"),
        ({"supplier": "local", "gguf": Path(__file__)}, "not a GGUF file"),
        ({"supplier": "local", "gguf": Path("no-such.gguf")}, "no-such.gguf: no such file"),
        ({"supplier": "openai", "model": "m", "base_url": "localhost:80"}, "reasoning.base_url"),
        ({"supplier": "openai", "model": "m", "base_url": "http://user:secret@host/v1"}, "reasoning.base_url"),
        ({"supplier": "openai", "model": "m", "budget": "5eur"}, "reasoning.budget"),
        ({"supplier": "openai", "model": "no-such-model", "budget": "5usd"}, "no-such-model"),
        ({"supplier": "openai", "model": "m", "prompts": Path("no-such")}, "reasoning.prompts"),
        ({"supplier": "openai", "model": "m", "extra_body": {"messages": []}}, "reasoning.extra_body"),
        ({"supplier": "openai", "model": "m", "extra_body": {"stream": True}}, "reasoning.extra_body"),
        ({"supplier": "openai", "model": "m", "language": "qq"}, "reasoning.language"),
    ],
)
def test_settings_that_cannot_work(two_tastes: TrainingData, store: Path, update: dict, said: str) -> None:
    with pytest.raises(IsrfError, match=said) as caught:
        reason_items(two_tastes, STATISTICS.model_copy(update=update), store)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_settings_are_checked_without_any_work() -> None:
    with pytest.raises(IsrfError, match=r"reasoning\.model"):
        check_settings(ReasoningSettings(supplier="openai"))
    check_settings(STATISTICS)


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
