"""What a workspace from somebody else cannot do: send a key or data where nobody here agreed to, write elsewhere, run code.

``docs/security.md`` says what is checked; each attack there is a test here, or beside what it attacks.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.commands import Outcome, done, isrf, refused, settings, small_log, without_privileges, write_source
from tests.reasoning.scripted import Server, scripted, status
from yarl import URL

from isrf.core.config import ReasoningSettings, given_names, load_settings
from isrf.core.errors import IsrfError
from isrf.core.sealed_documents import write_sealed
from isrf.pipeline.variants import variant_settings
from isrf.reasoning.answers.store import open_store
from isrf.reasoning.llm import consent
from isrf.reasoning.llm.consent import Terms, unagreed
from isrf.reasoning.llm.endpoint_address import check_key_variable, destination
from isrf.reasoning.llm.supplier import check_settings
from isrf.semantics.encode import VectorCache
from isrf.workspace.stage import Stage
from isrf.workspace.workspace import Workspace

SECRET = "canary-of-a-secret-8d21f0c7"
ALL_SETTINGS = frozenset(f"reasoning.{name}" for name in ReasoningSettings.model_fields)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a few people's log; not to be changed."""
    folder = tmp_path_factory.mktemp("security")
    log = {user: items for user, items in small_log().items() if int(user[1:]) < 8}
    done(isrf("data", "import", write_source(folder / "shop", log), "--out", folder / "ws", *settings()))
    return folder / "ws"


@pytest.fixture
def ws(imported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(imported, tmp_path / "ws"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine on which nothing was agreed to yet; the folder of what will be."""
    monkeypatch.setenv("ISRF_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(consent, "GIVEN_NOW", [])
    consent.told_once.cache_clear()
    yield tmp_path / "config" / "agreed"


def foreign(ws: Path, **changes: Any) -> None:
    """Settings as somebody else has left them in a workspace."""
    file = ws / "settings.yaml"
    tree = yaml.safe_load(file.read_text())
    tree["reasoning"] |= changes
    file.write_text(yaml.safe_dump(tree))


def hosted(server: Server, **changes: Any) -> dict[str, Any]:
    return {"supplier": "openai", "base_url": server.url, "model": "m", "plan": "single", "patience_s": 0.3, **changes}


def machine(folder: Path, **variables: str) -> dict[str, str]:
    return {"ISRF_CONFIG": str(folder / "config"), **variables}


def suggested(outcome: Outcome, *words: str) -> list[str]:
    """The command that a refusal suggests, as a shell would read it."""
    line = refused(outcome, "nobody agreed to that on this machine", *words)
    command = shlex.split(line.partition(" type ")[2])
    assert command[0] == "isrf"
    return command[1:]


# ------------------------------------------------------------------------------------------- where keys and data go


def test_a_foreign_workspace_sends_no_key_until_somebody_here_agrees(ws: Path, tmp_path: Path) -> None:
    """Refused with one line; the command in it agrees, also for later commands and copies; another machine asks again."""
    env = machine(tmp_path, SHOP_API_KEY=SECRET)
    with scripted() as server:
        foreign(ws, **hosted(server, key_variable="SHOP_API_KEY"))
        before = yaml.safe_load((ws / "settings.yaml").read_text())
        command = suggested(isrf("reason", ws, env=env), server.url, "SHOP_API_KEY")
        assert not server.requests and yaml.safe_load((ws / "settings.yaml").read_text()) == before
        shutil.copytree(ws, tmp_path / "copy")
        done(isrf(*command, env=env))
        assert {r.headers["authorization"] for r in server.requests} == {f"Bearer {SECRET}"}
        asked = len(server.requests)
        done(isrf("reason", tmp_path / "copy", env=env))
        assert len(server.requests) > asked, "what was agreed to holds for every workspace of this machine"
        asked = len(server.requests)
        shutil.copytree(ws, tmp_path / "moved", ignore=shutil.ignore_patterns("stage.json"))
        shutil.copy(ws / "dataset" / "stage.json", tmp_path / "moved" / "dataset" / "stage.json")
        suggested(isrf("reason", tmp_path / "moved", env={**env, "ISRF_CONFIG": str(tmp_path / "other")}))
        assert len(server.requests) == asked


@pytest.mark.parametrize("variable", ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"])
def test_other_secrets_are_not_read_whoever_names_them(variable: str, ws: Path, tmp_path: Path) -> None:
    env = machine(tmp_path, **{variable: SECRET})
    with scripted() as server:
        told = refused(
            isrf("reason", ws, *given_as_sets(hosted(server, key_variable=variable)), env=env), "API_KEY", "ISRF_"
        )
        assert SECRET not in told and not server.requests


def given_as_sets(chosen: dict[str, Any]) -> list[str]:
    return [part for name, value in chosen.items() for part in ("--set", f"reasoning.{name}={value}")]


def test_an_estimate_asks_for_the_same_and_keeps_nothing(ws: Path, tmp_path: Path) -> None:
    env = machine(tmp_path, SHOP_API_KEY=SECRET)
    with scripted() as server:
        foreign(ws, **hosted(server, key_variable="SHOP_API_KEY"))
        command = suggested(isrf("reason", ws, "--estimate", env=env))
        assert "--estimate" in command and not server.requests
        done(isrf(*command, env=env))
        assert server.requests and not (tmp_path / "config").exists()


def test_a_run_asks_for_the_same(ws: Path, imported: Path, tmp_path: Path) -> None:
    env = machine(tmp_path, SHOP_API_KEY=SECRET)
    source = f"csv:{imported.parent / 'shop'}"
    with scripted() as server:
        foreign(ws, **hosted(server, key_variable="SHOP_API_KEY"))
        suggested(isrf("run", "--data", source, "--out", ws, "--no-train", env=env))
        assert not server.requests


def test_a_refused_command_agrees_to_nothing(ws: Path, tmp_path: Path) -> None:
    """As its settings are not kept either."""
    env = machine(tmp_path, OPENAI_API_KEY=SECRET)
    with scripted(lambda request, before: status(401)) as server:
        refused(isrf("reason", ws, *given_as_sets(hosted(server)), env=env), "does not accept the key")
    assert not list((tmp_path / "config" / "agreed").iterdir())


def test_where_nothing_can_be_kept_it_is_given_each_time(ws: Path, tmp_path: Path) -> None:
    """A home that is read-only."""
    (tmp_path / "home").mkdir(mode=0o555)
    env = {"ISRF_CONFIG": str(tmp_path / "home" / "isrf"), "OPENAI_API_KEY": SECRET}
    with scripted() as server:
        chosen = given_as_sets(hosted(server))
        outcome = done(isrf("reason", ws, *chosen, env=env, obstacles=[without_privileges]))
        assert "has to be given each time" in outcome.err and server.requests
        (ws / "reasoning" / "stage.json").unlink()
        suggested(isrf("reason", ws, env=env, obstacles=[without_privileges]))
        done(isrf("reason", ws, *chosen, env=env, obstacles=[without_privileges]))


BASE = {"supplier": "openai", "base_url": "https://a.example/v1", "model": "m", "key_variable": "SHOP_API_KEY"}


@pytest.mark.parametrize(("given", "changes", "left"), [
    ((), {}, ["base_url", "key_variable"]),
    (("supplier", "model"), {}, ["base_url", "key_variable"]),
    (("base_url",), {}, ["base_url", "key_variable"]),
    (("key_variable",), {}, ["base_url"]),
    (("base_url", "key_variable"), {}, []),
    (("base_url",), {"key_variable": "OPENAI_API_KEY"}, []),
    (("supplier",), {"base_url": None, "key_variable": "OPENAI_API_KEY"}, []),
    ((), {"base_url": None, "key_variable": "OPENAI_API_KEY"}, ["supplier", "key_variable"]),
    (("supplier",), {"base_url": None}, ["supplier", "key_variable"]),
    (("base_url", "key_variable"), {"prompts": "/p", "extra_body": {"a": 1}}, ["prompts", "extra_body"]),
    (("base_url", "key_variable", "prompts"), {"prompts": "/p", "prices": "/q"}, ["prices"]),
    ((), {"supplier": "local", "gguf": "/m.gguf"}, ["gguf"]),
    (("gguf",), {"supplier": "local", "gguf": "/m.gguf"}, []),
    ((), {"supplier": "local"}, []),
    ((), {"supplier": "local", "prompts": "/p"}, ["prompts"]),
])  # fmt: skip
def test_what_has_to_be_given(given: tuple[str, ...], changes: dict[str, Any], left: list[str], here: Path) -> None:
    chosen = ReasoningSettings(**{**BASE, **changes})
    names = frozenset(f"reasoning.{name}" for name in given)
    assert unagreed(chosen, names) == left
    assert (consent.offer(chosen, names) is None) == bool(left)
    assert bool(unagreed(chosen)) == bool(left), "what was given holds for the rest of the command"


@pytest.mark.parametrize(("changes", "left"), [
    ({}, []),
    ({"base_url": "HTTPS://A.example:443/v1/"}, []),
    ({"base_url": "http://a.example/v1"}, ["base_url", "key_variable"]),
    ({"base_url": "https://a.example:8443/v1"}, ["base_url", "key_variable"]),
    ({"base_url": "https://a.example.evil.example/v1"}, ["base_url", "key_variable"]),
    ({"base_url": "https://a.example/v1/../../other"}, ["base_url", "key_variable"]),
    ({"base_url": None}, ["supplier", "key_variable"]),
    ({"key_variable": "OTHER_API_KEY"}, ["base_url", "key_variable"]),
    ({"budget": None}, ["budget"]),
    ({"budget": "900usd", "model": "the-dear-one"}, ["model", "budget"]),
    ({"extra_body": {"tools": 1}, "prompts": "/p", "prices": "/q"}, ["prompts", "extra_body", "prices"]),
    ({"supplier": "local", "gguf": "/m"}, ["gguf"]),
    ({"domain": "films", "temperature": 0.3}, []),
])  # fmt: skip
def test_what_an_agreement_covers(changes: dict[str, Any], left: list[str], here: Path) -> None:
    """Address and variable as a pair; with them what it costs, and what is read and sent beside."""
    agreement = ReasoningSettings(**BASE, budget="5usd")
    consent.keep(Terms.of(agreement))
    assert unagreed(ReasoningSettings(**{**BASE, "budget": "5usd", **changes})) == left


@pytest.mark.parametrize(("address", "key", "free"), [
    ("http://localhost:11434/v1", "", True),
    ("http://127.0.0.1:1/v1", "", True),
    ("http://[::1]:1/v1", "", True),
    ("http://localhost:11434/v1", SECRET, False),
    ("http://gpu-machine:8000/v1", "", False),
    ("http://localhost.evil.example/v1", "", False),
    ("http://169.254.169.254/v1", "", False),
    (None, "", False),
])  # fmt: skip
def test_without_a_key_what_stays_on_this_machine_needs_no_agreement(
    address: str | None, key: str, free: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere the address alone decides who reads the catalogue and what people bought."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert (not unagreed(ReasoningSettings(supplier="openai", base_url=address, model="m"))) == free


@pytest.mark.parametrize("how", ["set", "environment", "config", "preset", "new"])
def test_who_gives_a_setting(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command line, environment, ``--config`` and a preset are the person's own, and so is a workspace that is new."""
    base = tmp_path / "settings.yaml"
    base.write_text("reasoning: {base_url: 'https://b.example/v1', model: theirs}")
    address = "reasoning.base_url"
    config, overrides, preset = None, [], None
    if how == "set":
        overrides = [f" {address} =https://a.example/v1"]
    elif how == "environment":
        monkeypatch.setenv("ISRF_REASONING__BASE_URL", "https://a.example/v1")
    elif how == "config":
        config = tmp_path / "mine.yaml"
        config.write_text("graphs:\nreasoning: {base_url: 'https://a.example/v1'}")
    elif how == "preset":
        preset = "fast"
    else:
        base.unlink()
    found = load_settings(preset, config, overrides, base)
    names = given_names(preset, config, overrides, base)
    assert names >= ALL_SETTINGS if how in ("preset", "new") else names == {address}
    assert found.reasoning.base_url == (None if how in ("preset", "new") else "https://a.example/v1")


def test_a_variant_counts_as_given_what_its_name_says(ws: Path, here: Path) -> None:
    """``isrf bench --methods isrf@reasoning.prompts=...`` was typed; what the workspace brings was not."""
    foreign(ws, supplier="openai", model="m", base_url="https://a.example/v1")
    consent.keep(Terms.of(ReasoningSettings(supplier="openai", model="m", base_url="https://a.example/v1")))
    mine = variant_settings(Workspace(ws), "isrf@reasoning.model=other")
    consent.require(ws, mine.reasoning)
    foreign(ws, budget="900items")
    with pytest.raises(IsrfError, match="nobody agreed"):
        consent.require(ws, variant_settings(Workspace(ws), "isrf@reasoning.plan=single").reasoning)


@pytest.mark.parametrize("name", [
    "OPENAI_API_KEY", "DEEPSEEK_API_KEY", "API_KEY", "AZURE_OPENAI_API_KEY", "AI_GATEWAY_API_KEY", "ISRF_LLM_KEY",
])  # fmt: skip
def test_variables_of_keys_to_language_models(name: str) -> None:
    check_key_variable(name)


@pytest.mark.parametrize("name", [
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "PATH", "HOME", "PGPASSWORD", "DATABASE_URL", "SECRET_KEY",
    "SSH_PRIVATE_KEY", "MY_API_KEY_BACKUP", "XAPI_KEY", "STORAGE_ACCOUNT_KEY", "ISRF", "NISRF_KEY", "NPM_TOKEN", "MASTER_KEY",
])  # fmt: skip
def test_variables_that_are_never_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names them, and whoever reasons; the message does not repeat what may be a key itself."""

    class Watched(dict):  # type: ignore[type-arg]
        def get(self, key: str, default: Any = None) -> Any:
            assert key != name
            return super().get(key, default)

    monkeypatch.setattr(os, "environ", Watched(os.environ))
    for supplier in ("openai", "local", "attributes"):
        with pytest.raises(IsrfError, match="ISRF_LLM_KEY") as caught:
            check_settings(ReasoningSettings(supplier=supplier, model="m", key_variable=name))
        assert name not in str(caught.value).replace("API_KEY", "").replace("ISRF_", "").split()


@pytest.mark.parametrize("url", [
    "http://good.example\\@evil.example/v1", "http://good.example /v1", "http://good.example/\tv1", "http://a.example/\n",
    "https://good.example@evil.example/v1", "http://good.example#@evil.example", "http://good.example?@evil.example",
    "ftp://a.example", "//a.example", "http://", "http://a.example:99999/v1", "http://a.example:x/v1", "http://[::1/v1",
    "http://a\u200b.example/v1", "javascript:alert(1)", "",
])  # fmt: skip
def test_addresses_that_can_be_read_in_two_ways(url: str) -> None:
    with pytest.raises(IsrfError, match=r"reasoning\.base_url"):
        destination(url)


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), max_size=20))
def test_one_form_of_an_address_is_where_the_client_would_connect(host: str, path: str) -> None:
    """What is compared is what the HTTP library reads, whatever is in the address."""
    url = f"http://{host}/{path}"
    try:
        found = URL(destination(url))
    except IsrfError:
        return
    real = URL(f"{url.rstrip('/')}/chat/completions")
    assert (found.scheme, found.raw_host, found.port) == (real.scheme, real.raw_host, real.port)


# ----------------------------------------------------------------------------------------------- the agreements' files

TERMS = Terms.of(ReasoningSettings(**BASE))


def test_agreements_are_this_persons_own(here: Path) -> None:
    path = consent.keep(TERMS)
    assert path is not None and consent.known() == [TERMS]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(here.stat().st_mode) == 0o700
    assert consent.keep(TERMS) is None, "it is there already"
    assert "SHOP_API_KEY" in path.read_text() and SECRET not in path.read_text()
    consent.withdraw(path)
    assert consent.known() == []


def damaged(path: Path, how: str, elsewhere: Path) -> None:
    """Make of an agreement what somebody else may have put there."""
    text = path.read_text()
    if how == "others may write it":
        path.chmod(0o622)
    elif how == "others may write the folder":
        path.parent.chmod(0o777)
    elif how == "a link":
        elsewhere.write_text(text)
        path.unlink()
        path.symlink_to(elsewhere)
    elif how == "a queue":
        path.unlink()
        os.mkfifo(path)
    elif how == "other terms":
        path.write_text(json.dumps(asdict(replace(TERMS, model="other"))))
    else:
        path.write_text({"no JSON": "{", "a list": "[]", "deep": "[" * 100_000, "empty": "", "long": text + " " * 99_999,
                         "other fields": '{"address": "x"}', "other types": text.replace('"m"', "3")}[how])  # fmt: skip


@pytest.mark.parametrize("how", [
    "others may write it", "others may write the folder", "a link", "a queue", "other terms", "no JSON", "a list", "deep",
    "empty", "other fields", "other types",
])  # fmt: skip
def test_a_file_that_somebody_else_could_have_made_is_no_agreement(
    how: str, here: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = consent.keep(TERMS)
    assert path is not None
    damaged(path, how, tmp_path / "elsewhere")
    assert consent.known() == [] and "delete it" in capfd.readouterr().err
    if how != "others may write the folder":
        consent.keep(TERMS)
        assert consent.known() == [TERMS], "agreeing again replaces it"
    if how == "a link":
        assert not path.is_symlink() and (tmp_path / "elsewhere").exists()


def test_two_commands_that_agree_at_once(here: Path) -> None:
    terms = [replace(TERMS, model=f"m{n % 10}") for n in range(40)]
    threads = [threading.Thread(target=consent.keep, args=(one,)) for one in terms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(consent.known()) == set(terms) and len(list(here.iterdir())) == 10


@pytest.mark.parametrize("kind", ["file", "missing home"])
def test_a_folder_that_cannot_be_made(
    kind: str, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ISRF_CONFIG", str(tmp_path / "file" if kind == "file" else "/proc/nowhere"))
    assert consent.keep(TERMS) is None and consent.known() == []
    assert "given each time" in capfd.readouterr().err


# -------------------------------------------------------------------------------------------- links out of a workspace


def planted(ws: Path, what: str, target: Path) -> Path:
    """A link in a workspace to something of this person's; its path."""
    place = ws / what
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(target)
    return place


LEADING_OUT = (
    "dataset", "reasoning", "semantics", "graphs", "ranking", "model", "evaluation", "bench", "inspection", "tracking",
    "settings.yaml", ".lock", "reasoning/.partial", "model/.partial", "model/.partial/checkpoint", "bench/ranks",
    "reasoning/.partial/items.parquet", "model/.partial/checkpoint/tensors.safetensors", "dataset/stage.json",
    "reasoning/answers.sqlite", "reasoning/answers.sqlite-wal", "semantics/vectors.sqlite", "inspection/audit.json",
    "model/.partial/key", "bench/ranks/.itemknn.npz", "semantics/vectors.sqlite-journal",
)  # fmt: skip


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
@pytest.mark.parametrize("what", LEADING_OUT)
def test_a_link_out_of_a_workspace_is_refused(what: str, absolute: bool, ws: Path, tmp_path: Path) -> None:
    """Before anything is written, read or deleted through it."""
    mine = tmp_path / "mine"
    (mine / "dataset").mkdir(parents=True)
    (mine / "letter.txt").write_text("mine")
    shutil.copytree(ws / "dataset", mine / "dataset", dirs_exist_ok=True)
    target = mine if "." not in Path(what).name or what.endswith(".partial") else mine / "letter.txt"
    target = mine / "dataset" if what == "dataset" else target
    place = planted(ws, what, target if absolute else Path(os.path.relpath(target, (ws / what).parent.resolve())))
    before = {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()}
    for opened in (Workspace.existing, Workspace.create):
        with pytest.raises(IsrfError, match="a link that leads out of the workspace") as caught:
            opened(ws)
    assert shlex.split(str(caught.value).rpartition("remove it: ")[2]) == ["rm", str(place)]
    assert {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("command", [["embed"], ["recommend"], ["reason"], ["report"], ["graph"]])
def test_commands_refuse_it(command: list[str], ws: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    planted(ws, "semantics", tmp_path / "mine")
    refused(isrf(*command, ws), "leads out of the workspace")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "mine"


def test_a_link_to_nothing_or_to_itself_is_refused(ws: Path, tmp_path: Path) -> None:
    for target in (tmp_path / "nothing.sqlite", ws / "reasoning" / "answers.sqlite"):
        place = planted(ws, "reasoning/answers.sqlite", target)
        with pytest.raises(IsrfError, match="a link that leads out of the workspace"):
            Workspace.existing(ws)
        place.unlink()


def test_what_is_neither_file_nor_folder_is_refused(ws: Path) -> None:
    (ws / "settings.yaml").unlink()
    os.mkfifo(ws / "settings.yaml")
    with pytest.raises(IsrfError, match=r"settings\.yaml: neither a file nor a folder"):
        Workspace.existing(ws)


def test_links_that_do_no_harm(ws: Path, imported: Path, tmp_path: Path) -> None:
    """A workspace that is a link itself, links within it, artifacts elsewhere, and a variant's stores."""
    (tmp_path / "link").symlink_to(ws)
    artifact = next((ws / "dataset").glob("*.parquet"))
    artifact.rename(tmp_path / artifact.name)
    artifact.symlink_to(tmp_path / artifact.name)
    (ws / "notes.txt").symlink_to("/etc/hostname")
    (ws / "variants").symlink_to(tmp_path)
    variant = ws / "variants" / "v"
    (variant / "dataset").mkdir(parents=True)
    (variant / "reasoning").mkdir()
    (variant / "reasoning" / "answers.sqlite").symlink_to(ws.resolve() / "reasoning" / "answers.sqlite")
    for root in (ws, tmp_path / "link", variant):
        assert Workspace.existing(root).root == root


# --------------------------------------------------------------------------------------- what files of a stage can say


@pytest.mark.parametrize(
    "name", ["../items.parquet", "/etc/hostname", "..", ".", "", "a/b", "a\\b", "C:x", "../../x/y"]
)
def test_a_stage_names_files_of_its_own_folder_only(name: str, ws: Path) -> None:
    """Its files are read, linked into variants and deleted by these names."""
    file = ws / "dataset" / "stage.json"
    info = json.loads(file.read_text())
    info["files"][name] = next(iter(info["files"].values()))
    file.write_text(json.dumps(info))
    with pytest.raises(IsrfError, match=r"stage\.json: names files outside of its folder"):
        Stage(ws, "dataset").info()


def test_stages_that_were_made_from_each_other_end(ws: Path) -> None:
    """No stage is made from a later one, whatever a file says."""
    info = json.loads((ws / "dataset" / "stage.json").read_text())
    for one, other in (("graphs", "model"), ("model", "graphs"), ("semantics", "semantics")):
        (ws / one).mkdir()
        about = {**info, "inputs": {f"{other}/x": "0"}, "files": {"x": {"sha256": "0", "bytes": 0}}}
        write_sealed(ws / one / "stage.json", about)
    assert Stage(ws, "semantics").outdated() is None and Stage(ws, "graphs").outdated() is None
    assert Stage(ws, "model").outdated() is None


INTRUDERS = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON {0} BEGIN DELETE FROM {0}; END",
    "a view": "CREATE VIEW v AS SELECT * FROM {0}",
    "a table of others": "CREATE TABLE logins (name TEXT, password TEXT)",
    "a virtual table": "CREATE VIRTUAL TABLE words USING fts5(text)",
}


@pytest.mark.parametrize("store", ["answers", "vectors"])
@pytest.mark.parametrize("what", INTRUDERS)
def test_a_store_with_more_than_our_tables_is_refused(what: str, store: str, tmp_path: Path) -> None:
    """A trigger would run with every answer that is kept."""
    path = tmp_path / f"{store}.sqlite"
    if store == "answers":
        with open_store(path):
            pass
    else:
        VectorCache(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(INTRUDERS[what].format(store))
    with pytest.raises(IsrfError, match=r"which isrf did not make"):
        if store == "answers":
            with open_store(path):
                pass
        else:
            VectorCache(path)


def test_a_database_of_another_program_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE cookies (host TEXT)")
    before = path.read_bytes()
    with pytest.raises(IsrfError, match="'cookies'"):
        VectorCache(path)
    assert path.read_bytes() == before


def test_where_nobody_has_a_home_agreements_are_given_each_time(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As in a container that runs under a number."""
    monkeypatch.delenv("ISRF_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(
        Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory."))
    )
    assert consent.keep(TERMS) is None and consent.known() == [*consent.GIVEN_NOW]
    assert "there is no home folder" in capfd.readouterr().err
    monkeypatch.setenv("ISRF_CONFIG", "~nobodyhere/x")
    with pytest.raises(IsrfError, match="ISRF_CONFIG=~nobodyhere/x: there is no such home folder"):
        consent.known()
