"""`isrf reason` as a user types it: what it takes and costs, who answers, what is shared, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.commands import WORLDS, Outcome, artifacts, done, isrf, refused, stage_info, write_source
from tests.reasoning.scripted import Request, Server, scripted, sensible, status, when

PEOPLE = 6
ITEMS = [f"{world}-{n}" for world in WORLDS[:2] for n in range(6)]
LOG = {f"u{n}": [ITEMS[(2 * n + k) % len(ITEMS)] for k in range(5)] for n in range(PEOPLE)}
OPTIONS = ("--supplier", "--budget", "--plan", "--estimate", "--report", "--export", "--import", "--preset", "--config")


def workspace_of(folder: Path, log: dict[str, list[str]]) -> Path:
    """A workspace with a log whose catalogue has what was bought and nothing else."""
    source = write_source(folder / "shop", log)
    catalogue, bought = folder / "shop" / "items.csv", {item for history in log.values() for item in history}
    head, *lines = catalogue.read_text().splitlines()
    catalogue.write_text("\n".join([head, *(line for line in lines if line.split(",")[0] in bought)]) + "\n")
    done(isrf("data", "import", source, "--out", folder / "ws", "--set", "data.min_interactions=0"))
    return folder / "ws"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve items and six people; not to be changed."""
    return workspace_of(tmp_path_factory.mktemp("imported"), LOG)


@pytest.fixture
def ws(imported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(imported, tmp_path / "ws"))


def reaching(server: Server, **changes: object) -> list[str]:
    """``--set`` for each setting that reaches the server."""
    chosen = {"supplier": "openai", "base_url": server.url, "model": "m", "concurrency": 2, **changes}
    return [part for name, value in chosen.items() for part in ("--set", f"reasoning.{name}={value}")]


def table_of(workspace: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(workspace / "reasoning" / f"{name}.parquet")


def asked(server: Server) -> list[Request]:
    """Questions about rows: all requests but those that find out how to ask. Forgets them."""
    found = [r for r in server.requests if r.path.endswith("/chat/completions") and r.fields != ["colour"]]
    server.requests.clear()
    return found


def about(requests: list[Request], field: str, kind: str) -> int:
    """How many ask for a field, of items or of users."""
    users = [any("one person bought" in str(m["content"]) for m in r.body["messages"]) for r in requests]
    return sum(field in r.fields and user == (kind == "user") for r, user in zip(requests, users, strict=True))


def estimated(outcome: Outcome) -> dict[str, list[str]]:
    """Name of a line -> items, users and total."""
    lines = (re.split(r" {2,}", line) for line in done(outcome).out.splitlines())
    return {name: values for name, *values in lines if len(values) == 3}


def test_help_for_a_newcomer() -> None:
    """Every option says in plain words what it does, and no line needs another page to be understood."""
    page = done(isrf("reason", "--help", env={"COLUMNS": "100"})).out
    for option in OPTIONS:
        assert re.search(rf"│ {option} +\S+ +\w.{{10,}}", page), option
    told = " ".join(page.replace("│", " ").split())
    for words in ("no LLM", "endpoint", "60items, 2min, 100ktok or 5usd", "cost", "Parquet file"):
        assert words in told, words


def test_an_endpoint_is_set_once_and_kept(ws: Path) -> None:
    """Every row says who wrote it; the same command again asks nothing."""
    with scripted() as server:
        done(isrf("reason", ws, *reaching(server)))
        assert len(asked(server)) == 3 * (len(ITEMS) + PEOPLE)
        again = done(isrf("reason", ws))
        assert "nothing changed, kept" in again.err and f"next: `isrf embed {ws}`" in again.err and not server.requests
    for name, rows in (("items", len(ITEMS)), ("users", PEOPLE)):
        table = table_of(ws, name)
        assert table.height == rows and set(table["supplier"]) == {"openai"} and set(table["model"]) == {"m"}
        assert (table["tokens_in"] > 0).all() and (table["fallback"] == "").all()
    notes = stage_info(ws, "reasoning")["notes"]
    assert notes == {"share_of_interactions_by_supplier": {"openai": 1.0}, "rows_unanswered": 0}


def test_one_question_for_all_fields(ws: Path) -> None:
    with scripted() as server:
        done(isrf("reason", ws, "--plan", "single", *reaching(server)))
        requests = asked(server)
    assert [request.fields for request in requests] == [["likes", "dislikes", "feature"]] * (len(ITEMS) + PEOPLE)
    assert set(table_of(ws, "users")["supplier"]) == {"openai"}


def test_a_budget_in_items(ws: Path) -> None:
    """The rest is left to attribute statistics, and the shares are told."""
    with scripted() as server:
        outcome = done(isrf("reason", ws, "--budget", "4items", *reaching(server)))
        assert len(asked(server)) == 12
    items = table_of(ws, "items")
    assert items["fallback"].value_counts(sort=True).rows() == [("budget", len(ITEMS) - 4), ("", 4)]
    shares = stage_info(ws, "reasoning")["notes"]["share_of_interactions_by_supplier"]
    assert f"openai {shares['openai']:.1%} (4 items)" in outcome.err and sum(shares.values()) == pytest.approx(1)


def test_an_estimate_of_a_hosted_model_asks_nothing_and_changes_nothing(ws: Path) -> None:
    """No key is there, so that asking would fail: calls, tokens and money by the package's list of prices."""
    before = {p: p.read_bytes() for p in ws.rglob("*") if p.is_file()}
    hosted = ("--supplier", "openai", "--set", "reasoning.model=gpt-4o-mini", "--estimate")
    lines = estimated(isrf("reason", ws, *hosted))
    assert lines["calls"] == ["36", "18", "54"]
    assert lines["time"] == ["unknown"] * 3 and float(lines["money, USD"][2]) >= 0
    assert {p: p.read_bytes() for p in ws.rglob("*") if p.is_file()} == before


def test_an_estimate_with_ones_own_prices(ws: Path, tmp_path: Path) -> None:
    """What asking a few items measured, where it is free; what has a price is not asked, also on this machine."""
    (tmp_path / "prices.yaml").write_text("m: {input_usd_per_mtok: 1000, output_usd_per_mtok: 5000}\n")
    kept = (ws / "settings.yaml").read_text()
    with scripted() as server:
        chosen = reaching(server, prices=tmp_path / "prices.yaml")
        lines = estimated(isrf("reason", ws, "--estimate", "--budget", "6usd", *chosen))
        assert not asked(server) and lines["known already"][0] == "0" and lines["time"][0] == "unknown"
        done(isrf("reason", ws, "--estimate", *reaching(server)))
        measured = len(asked(server))
        lines = estimated(isrf("reason", ws, "--estimate", "--budget", "6usd", *chosen))
        assert measured == 24 and lines["known already"][0] == "8" and not asked(server)
        tokens_in, tokens_out = (int(lines[name][2].replace(",", "")) for name in ("tokens in", "tokens out"))
        assert float(lines["money, USD"][2]) == pytest.approx((tokens_in + 5 * tokens_out) / 1000, abs=0.02)
        assert lines["rows within 6usd"][0] != "unknown"
        assert (ws / "settings.yaml").read_text() == kept and not (ws / "reasoning" / "stage.json").exists()
        done(isrf("reason", ws, *chosen))
        assert len(asked(server)) == 3 * (len(ITEMS) + PEOPLE) - measured, "what was asked for the estimate is kept"


def test_an_estimate_of_the_local_model(tmp_path: Path) -> None:
    """A real server, started for it: time is measured, and costs nothing."""
    ws = workspace_of(tmp_path, {"u0": ["tea-0", "tea-1"]})
    small = ("max_tokens=24", "preference_words=6", "feature_words=6", "concurrency=1")
    sets = [part for setting in small for part in ("--set", f"reasoning.{setting}")]
    outcome = isrf("reason", ws, "--supplier", "local", "--plan", "single", "--estimate", *sets)
    lines = estimated(outcome)
    assert lines["known already"][0] == "2" and lines["money, USD"][2] == "0.00" and "unknown" not in lines["time"]
    assert "SmolLM2" in outcome.out and "starting llama.cpp" in outcome.err


def test_a_report(ws: Path) -> None:
    """What came of the questions, why answers were rejected, and examples with their item; nothing is asked."""
    with scripted(when("tea number 3", status(400, "no"))) as server:
        done(isrf("reason", ws, *reaching(server)))
        server.requests.clear()
        outcome = done(isrf("reason", ws, "--report"))
        assert not server.requests
    told = " ".join(outcome.out.split())
    for words in ("accepted at the first answer", "not answered", "who wrote them", "openai, m", "bread number"):
        assert words in told, words
    assert all(len(line) <= 100 for line in outcome.out.splitlines())


def test_a_team_shares_its_answers(imported: Path, tmp_path: Path) -> None:
    """Exported here, imported there: the same tables, and the endpoint need not even be up."""
    first, second = (Path(shutil.copytree(imported, tmp_path / name)) for name in ("first", "second"))
    file = tmp_path / "answers.parquet"
    with scripted() as server:
        done(isrf("reason", first, *reaching(server)))
        count = len(asked(server))
        assert f"{count} answers written" in done(isrf("reason", first, "--export", file)).err
        server.down()  # whoever has all answers needs nobody to ask, not even how to ask
        outcome = done(isrf("reason", second, "--import", file, *reaching(server)))
        assert f"{count} answers taken, 0 were known" in outcome.err and not server.requests
        assert artifacts(first, ["reasoning"]) == artifacts(second, ["reasoning"])
        outcome = done(isrf("reason", second, "--import", file))
        assert f"0 answers taken, {count} were known" in outcome.err and "nothing changed, kept" in outcome.err
    done(isrf("reason", second, "--export", tmp_path / "again.parquet"))
    assert (tmp_path / "again.parquet").read_bytes() == file.read_bytes()


def test_a_changed_prompt_asks_what_it_touches(ws: Path, tmp_path: Path) -> None:
    """Items are asked for their feature again, with the answers before it as they are; users quote features."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    with scripted() as server:
        done(isrf("reason", ws, *reaching(server)))
        asked(server)
        before = table_of(ws, "items")
        packaged = done(isrf("reason", ws, "--set", f"reasoning.prompts={folder}")).err
        assert "nothing changed" not in packaged and not server.requests, "an empty folder changes no word"
        (folder / "item_feature.jinja").write_text('"feature": in {{ feature_words }} words, what is it good for?')
        done(isrf("reason", ws))
        requests = asked(server)
        assert [about(requests, field, "item") for field in ("likes", "dislikes", "feature")] == [0, 0, len(ITEMS)]
        assert about(requests, "likes", "user") == PEOPLE
        after = table_of(ws, "items")
        assert after["likes"].equals(before["likes"]) and not after["prompt_version"].equals(before["prompt_version"])
        assert "nothing changed, kept" in done(isrf("reason", ws)).err


def test_rows_that_were_not_answered_are_asked_about_again(ws: Path) -> None:
    """The settings are the same, and the stage is finished: these rows are asked about all the same, and no others."""
    with scripted(when("title: tea number 3", status(400, "no such luck"))) as server:
        outcome = done(isrf("reason", ws, *reaching(server)))
        assert "1 items were not answered by the endpoint; the same command asks about them again" in outcome.err
        assert stage_info(ws, "reasoning")["notes"]["rows_unanswered"] == 1
        lost = table_of(ws, "items").filter(pl.col("fallback") != "")
        assert lost["item_id"].to_list() == ["tea-3"] and lost["supplier"].to_list() == ["attributes"]
        assert lost["fallback"][0].startswith("endpoint: refuses the request, HTTP 400")
        asked(server)
        server.respond = sensible
        outcome = done(isrf("reason", ws))
        assert "1 rows were not answered by the endpoint the last time" in outcome.err
        requests = asked(server)
        assert about(requests, "likes", "item") == about(requests, "feature", "item") == 1
    assert stage_info(ws, "reasoning")["notes"]["rows_unanswered"] == 0
    assert (table_of(ws, "items")["fallback"] == "").all()


REFUSED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "two things at once": (("--estimate", "--report"), ("--estimate", "--report", "one of them")),
    "two other things": (("--report", "--export", "f.parquet"), ("--export", "one of them")),
    "no such plan": (("--plan", "double"), ("double", "chained")),
    "no such supplier": (("--supplier", "oracle"), ("oracle", "attributes")),
    "no model": (("--supplier", "openai"), ("reasoning.model",)),
    "no key": (("--supplier", "openai", "--set", "reasoning.model=m"), ("set OPENAI_API_KEY",)),
    "no price": (
        ("--supplier", "openai", "--set", "reasoning.model=m", "--budget", "5usd"),
        ("no price is known for model 'm'", "reasoning.prices"),
    ),
    "money for nothing": (("--supplier", "local", "--budget", "5usd"), ("5usd", "costs no money", "60items")),
    "other money": (("--supplier", "local", "--budget", "5eur"), ("5eur", "US dollars")),
    "no budget": (("--supplier", "local", "--budget", "lots"), ("lots", "60items")),
    "no estimate of statistics": (("--estimate",), ("attribute statistics", "cost nothing", "reasoning.supplier")),
    "no reasons to report": (("--report",), ("isrf reason",)),
    "no answers to export": (("--export", "f.parquet"), ("no answers yet", "isrf reason")),
    "nothing to import": (("--import", "none.parquet"), ("none.parquet",)),
    "something else to import": (("--import", __file__), ("test_reason_command.py",)),
    "no folder of prompts": (
        ("--supplier", "local", "--set", "reasoning.prompts=none"),
        ("none", "No such file", "reasoning.prompts"),
    ),
    "no file of prices": (
        ("--supplier", "openai", "--set", "reasoning.model=m", "--set", "reasoning.prices=none.yaml"),
        ("none.yaml", "no such file"),
    ),
    "another room's setting": (("--set", "graphs.tau=0.5"), ("'graphs'", "reasoning")),
    "an option that is none": (("--estimates",), ("--estimates", "see `isrf reason --help`")),
    "nobody there": (
        ("--supplier", "openai", "--set", "reasoning.model=m", "--set", "reasoning.base_url=http://127.0.0.1:9/v1"),
        ("127.0.0.1:9", "run again to go on"),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str, ws: Path, tmp_path: Path) -> None:
    """Exit code 2 and one line that says what to do; nothing of it is remembered, and the data is as it was."""
    options, words = REFUSED[what]
    before, settings = artifacts(ws, ["dataset"]), (ws / "settings.yaml").read_bytes()
    refused(isrf("reason", ws, *options), *words)
    assert artifacts(ws, ["dataset"]) == before and not (ws / "reasoning" / "stage.json").exists()
    assert (ws / "settings.yaml").read_bytes() == settings
    done(isrf("reason", ws))


def test_prompts_that_cannot_be_used(ws: Path, tmp_path: Path) -> None:
    def refuse(name: str, text: str, *words: str) -> None:
        folder = tmp_path / "prompts"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / name).write_text(text)
        line = refused(isrf("reason", ws, "--supplier", "local", "--set", f"reasoning.prompts={folder}"), *words)
        assert str(folder / name) in line

    refuse("item_likes.jinja", '"likes": who likes {{ title }}?', "<data>", "not to be trusted")
    refuse("item_likes.jinja", "one\n{{ titel }}", "line 2", "titel")
    refuse("item_likes.jinja", "{% for %}", "line 1")
    refuse("item_loves.jinja", "?", "no prompt has that name", "item_likes.jinja")
    refuse("examples.json", json.dumps({"item": {}}), "needs")


def test_not_a_workspace(tmp_path: Path) -> None:
    for option in ((), ("--estimate",), ("--report",), ("--export", tmp_path / "f"), ("--import", tmp_path / "f")):
        refused(isrf("reason", tmp_path / "none", *option), "not a workspace", "isrf run")
