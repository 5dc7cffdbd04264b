"""Forgetting people: no byte of a workspace names them, or holds what was written about them; everybody else stays."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from pathlib import Path

import polars as pl
import pytest
from tests.commands import done, isrf, refused, run_small, settings, small_log, write_source
from tests.reasoning.scripted import scripted
from tests.reviews import write_reviews
from tests.test_reason_command import asked, reaching, workspace_of

import isrf as library
from isrf.core.errors import IsrfError
from isrf.data.storage import read_split, read_training
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.store import Origin, open_store
from isrf.semantics.encode import Encoder
from isrf.workspace.layout import REVIEW_FILES
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

WHO = "somebody-to-forget-77"
MORE = "user_id,item_id,timestamp\n"


def everything(workspace: Path) -> dict[str, bytes]:
    """Path -> bytes of every file, and what of it is packed as it is read: tables, arrays, rows."""
    found: dict[str, bytes] = {}
    for path in sorted(workspace.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(workspace))
        found[name] = path.read_bytes() + name.encode()
        if path.suffix == ".parquet":
            found[f"{name} read"] = repr(pl.read_parquet(path).rows()).encode()
        elif path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                found[f"{name} read"] = b"".join(archive.read(member) for member in archive.namelist())
        elif path.suffix == ".sqlite":
            connection = sqlite3.connect(path)
            found[f"{name} read"] = "\n".join(connection.iterdump()).encode()
            connection.close()
    return found


def where_is(text: str, workspace: Path) -> list[str]:
    return [name for name, content in everything(workspace).items() if text.encode() in content]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace of whose people one is to be forgotten, with a version before, a bench and findings."""
    folder = tmp_path_factory.mktemp("known")
    log = small_log()
    log[WHO] = ["tea-1", "bread-2", "tea-3", "music-4", "garden-5", "tea-7"]
    ws = folder / "ws"
    source = write_source(folder / "shop", log)
    with (folder / "shop" / "log.csv").open("a") as file:
        file.write(f"{WHO},,1400000000\nu1,,1400000000\n")
    done(run_small(source, ws, "--on-bad-row", "skip"))
    (folder / "more.csv").write_text(f"{MORE}{WHO},bread-1,1500000000\nu2,bread-1,1500000001\n")
    done(isrf("update", ws, "--data", folder / "more.csv"))
    done(isrf("bench", ws, "--methods", "popularity,isrf-graph"))
    done(isrf("inspect", ws, "--find", "bridges", "--top", "100"))
    done(isrf("audit", ws))
    (ws / "report.html").write_text(f"a page that shows {WHO}")
    variant = ws / "variants" / "one" / "dataset"
    variant.mkdir(parents=True)
    (variant / "note").write_text(WHO)
    return ws


@pytest.fixture
def ws(known: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(known, tmp_path / "ws"))


def test_no_byte_is_left_of_a_person(ws: Path) -> None:
    here = Workspace(ws)
    users = pl.read_parquet(here.stage("reasoning").file("users.parquet")).filter(pl.col("user_id") == WHO)
    texts = [str(users[name][0]) for name in ("likes", "feature")]
    with open_store(
        ws / "reasoning" / "answers.sqlite"
    ) as store:  # of an LLM that was asked once, under other settings
        for kind in ("user", "item"):
            origin = Origin("openai", "m", kind, "feature", "v", 1.0)
            store.put(f"{kind} key", Completion(f"what {kind} says: {texts[1]}", "", False, 1, 1, 0), origin)
    encoder = Encoder(saved_settings(here).semantics, ws / "semantics" / "vectors.sqlite")
    assert encoder.known([texts[1]]) is not None
    assert len(where_is(WHO, ws)) > 5 and len(where_is(texts[1], ws)) > 2
    items = read_training(here).catalogue.ids
    others = [user for user in read_split(here).user_ids if user != WHO]

    outcome = done(isrf("forget", ws, "--user", WHO))
    assert "weights were trained with them" in outcome.out and "isrf train" in outcome.out
    assert where_is(WHO, ws) == []
    assert encoder.known([texts[1]]) is None
    # an answer about an item is about nobody
    assert where_is(texts[0], ws) == []
    assert {name.split()[0] for name in where_is(texts[1], ws)} == {"reasoning/answers.sqlite"}
    with open_store(ws / "reasoning" / "answers.sqlite") as store:
        assert [key for key, _, _ in store.rows()] == ["item key"]
    after = Workspace(ws)
    assert library.versions(ws) == [3] and not (ws / "graphs" / "graphs.npz").exists()
    assert read_training(after).catalogue.ids == items and read_split(after).user_ids == others
    assert not any((ws / name).exists() for name in ("bench", "inspection", "report.html", "variants"))
    assert "u1,," in after.stage("dataset").file("rejected.csv").read_text()
    refused(isrf("recommend", ws, "--user", WHO), WHO)
    done(isrf("recommend", ws, "--user", "u1"))
    done(isrf("evaluate", ws))
    refused(isrf("forget", ws, "--user", WHO), "nowhere", "nothing was changed")
    assert library.versions(ws) == [3]


def test_several_people_from_a_file_and_the_library(ws: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.txt"
    file.write_text("u5\nu6\n")
    done(isrf("forget", ws, "--users-file", file))
    assert not {"u5", "u6"} & set(read_split(Workspace(ws)).user_ids)
    assert library.forget(ws, ["u7"]).version == 4
    assert library.versions(ws) == [4]
    with pytest.raises(IsrfError, match="nobody"):
        library.forget(ws, ["u8", "nobody"])
    assert "u8" in read_split(Workspace(ws)).row_of
    refused(isrf("forget", ws), "--user")


def test_what_was_counted_is_counted_anew(tmp_path: Path) -> None:
    """As if they had never been in the log, but for rows of items, which stay."""
    log = small_log()
    source = write_source(tmp_path / "shop", log)
    fewer = write_source(tmp_path / "fewer", {user: items for user, items in log.items() if user != "u9"})
    for name, src in (("ws", source), ("other", fewer)):
        done(run_small(src, tmp_path / name, "--no-train"))
    made = library.forget(tmp_path / "ws", ["u9"])
    other = Workspace(tmp_path / "other")
    assert read_training(made).catalogue.ids == read_training(other).catalogue.ids  # all are in the catalogue
    for one, two in ((made, other), (other, made)):
        by_user = {user: one_history.tolist() for user, one_history in histories(one)}
        assert by_user == {user: history.tolist() for user, history in histories(two)}
    columns = ["user_id", "feature"]
    reasons = [
        pl.read_parquet(w.stage("reasoning").file("users.parquet")).select(columns).sort(columns) for w in (made, other)
    ]
    assert reasons[0].equals(reasons[1])


def histories(workspace: Workspace) -> list:
    training = read_training(workspace)
    return list(zip(training.user_ids, training.histories, strict=True))


def test_answers_about_others_stay_in_the_store(tmp_path: Path) -> None:
    log = {f"u{n}": [f"tea-{(n + k) % 6}" for k in range(5)] for n in range(6)}
    ws = workspace_of(tmp_path, log)
    store = ws / "reasoning" / "answers.sqlite"

    def kinds() -> dict[str, int]:
        with open_store(store) as answers:
            rows = [origin.kind for _, _, origin in answers.rows()]
        return {kind: rows.count(kind) for kind in set(rows)}

    with scripted() as server:
        done(isrf("reason", ws, *reaching(server)))
        assert kinds() == {"item": 18, "user": 18}
        asked(server)
        outcome = done(isrf("forget", ws, "--user", "u3"))
        assert not asked(server) and "3 answers about people" in outcome.out
        assert kinds() == {"item": 18, "user": 15}
        done(isrf("reason", ws))
        assert not asked(server)


def test_review_explanations_of_others_stay(tmp_path: Path) -> None:
    log = small_log()
    log[WHO] = ["tea-1", "tea-2", "tea-3", "tea-4"]
    source = write_reviews(tmp_path / "p5", log, lambda user, item: (f"{user} likes {item}", "tea"))
    ws = tmp_path / "ws"
    done(isrf("data", "import", source, "--out", ws, *settings()))
    before = Workspace(ws)
    kept = {part: pl.read_parquet(before.stage("dataset").file(name)).height for part, name in REVIEW_FILES.items()}
    made = library.forget(ws, [WHO])
    split = read_split(made)
    for part, name in REVIEW_FILES.items():
        table = pl.read_parquet(made.stage("dataset").file(name))
        assert table.height == kept[part] - {"train": 2, "valid": 1, "test": 1}[part]
        items, pairs = split.training.catalogue.ids, table.select("user_row", "item_row").rows()
        said = [f"{split.user_ids[user]} likes {items[item]}" for user, item in pairs]
        assert table["explanation"].to_list() == said
    assert where_is(WHO, ws) == []
