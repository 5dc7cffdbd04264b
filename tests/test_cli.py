"""The commands on good input: what they print, what they write, and that programs can read it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock
from tests.commands import (
    PEOPLE,
    PER_WORLD,
    WORLDS,
    Outcome,
    done,
    installed,
    isrf,
    refused,
    run_small,
    small_log,
    write_source,
)

from isrf import __version__
from isrf.core.sealed_documents import write_sealed

LOG = small_log()
CATALOGUE = {f"{world}-{n}" for world in WORLDS for n in range(PER_WORLD)}
ROW = {"user_id", "rank", "item_id", "title", "score", "shares", "feature", "reasons", "method"}
COMMANDS = (
    "run",
    "data",
    "reason",
    "embed",
    "graph",
    "train",
    "evaluate",
    "bench",
    "recommend",
    "inspect",
    "report",
    "audit",
    "doctor",
)


def rows_of(outcome: Outcome) -> list[dict[str, Any]]:
    """Standard output as JSON: valid, and nothing else on it."""
    rows = json.loads(done(outcome).out)
    assert all(set(row) == ROW for row in rows)
    return rows


def assert_recommendations(rows: list[dict[str, Any]], history: list[str], top: int) -> None:
    """In the catalogue, unseen, without repeats, best first, explained."""
    items = [row["item_id"] for row in rows]
    assert len(set(items)) == len(items) == top and set(items) <= CATALOGUE - set(history)
    assert [row["rank"] for row in rows] == list(range(1, top + 1))
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row in rows:
        assert row["title"] == row["item_id"].replace("-", " number ")
        assert row["reasons"] and all(row["reasons"]) and row["feature"]
        assert all(0 <= share <= 1 for share in row["shares"].values())
        assert sum(row["shares"].values()) == pytest.approx(1, abs=0.01) or not any(row["shares"].values())


def test_every_command_explains_itself() -> None:
    told = done(isrf("--help")).out
    for command in COMMANDS:
        assert re.search(rf"│ {command} ", told), command
        page = done(isrf(command, "--help")).out
        assert "Usage:" in page and len(page.splitlines()) > 5
    for command in ("import", "fetch", "describe"):
        assert "Usage:" in done(isrf("data", command, "--help")).out
    assert done(isrf("--version")).out.strip() == __version__


def test_help_and_refusals_load_nothing_heavy(tmp_path: Path) -> None:
    """The command line answers at once: neither pydantic for help, nor torch before the words of `run` are looked at."""
    loaded = "import sys; from isrf.cli import main as cli; sys.argv[1:] = {!r}.split()\ntry: cli.main()\n"
    loaded += "except SystemExit: print(*(m for m in ('pydantic', 'torch') if m in sys.modules), file=sys.stderr)"
    for words, found in (("--help", ""), (f"run --data none.xyz:{tmp_path} --out {tmp_path}/ws", "pydantic")):
        command = [sys.executable, "-c", loaded.format(words)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ended.stderr.splitlines()[-1] == found, words


def test_run_ends_with_the_table(source: str, workspace: Path) -> None:
    """Methods, where it lies, what to try next; standard error has the stages, standard output the result."""
    outcome = done(run_small(source, workspace))
    for method in ("popularity", "itemknn", "seq-itemknn", "ease", "id-plus-one", "isrf-graph", "isrf-generator"):
        assert method in outcome.out
    assert "paired test" in outcome.out and f"workspace: {workspace}" in outcome.out and "isrf recommend" in outcome.out
    assert "dataset: nothing changed, kept" in outcome.err and "dataset:" not in outcome.out
    seconds = re.search(r"^seconds: (.*)$", outcome.out, re.MULTILINE)
    assert seconds and [s.split()[0] for s in seconds[1].split(", ")] == [
        "dataset", "reasoning", "semantics", "graphs", "ranking", "model", "evaluation"
    ]  # fmt: skip


def test_metrics_follow_the_contract(finished: Path) -> None:
    document = json.loads((finished / "evaluation" / "metrics.json").read_text())
    assert document["dataset"].keys() == {"users", "items", "interactions", "digest"}
    assert document["dataset"]["users"] == PEOPLE and document["dataset"]["items"] == len(CATALOGUE)
    assert document["dataset"]["interactions"] == sum(map(len, LOG.values()))
    kinds = {(r["method"], r["task"], r["candidates"].split("-")[0]) for r in document["results"]}
    methods = {m for m, _, _ in kinds}
    assert {"isrf", "isrf-graph", "isrf-generator", "seq-itemknn", "id-plus-one"} <= methods
    assert kinds == {(m, t, c) for m in methods for t in ("sequential", "direct") for c in ("all", "sampled")}
    for row in document["results"]:
        assert row["split"] == "test" and row["users"] == PEOPLE
        assert 0 <= row["NDCG@5"] <= row["NDCG@10"] <= row["HR@10"] <= 1 and row["HR@5"] <= row["HR@10"]
        low, high = row["ndcg10_ci95"]
        assert low <= row["NDCG@10"] <= high


@pytest.mark.parametrize("task", ["sr", "dr"])
def test_recommend_for_a_user(task: str, finished: Path) -> None:
    """Everything known of the user is their history, held-out items too: this is use, not evaluation."""
    rows = rows_of(isrf("recommend", finished, "--user", "u3", "--top", 7, "--task", task, "--format", "json"))
    assert {row["user_id"] for row in rows} == {"u3"} and rows[0]["method"] == "isrf"
    assert_recommendations(rows, LOG["u3"], 7)


def test_recommend_for_several_users(finished: Path) -> None:
    rows = rows_of(isrf("recommend", finished, "--user", "u9", "--user", "u3", "--format", "json"))
    assert [row["user_id"] for row in rows] == ["u9"] * 10 + ["u3"] * 10
    alone = rows_of(isrf("recommend", finished, "--user", "u3", "--format", "json"))
    assert [row["item_id"] for row in rows[10:]] == [row["item_id"] for row in alone]


@pytest.mark.parametrize("which", ["finished", "untrained"])
def test_recommend_for_somebody_who_was_never_in_the_log(which: str, request: pytest.FixtureRequest) -> None:
    workspace = request.getfixturevalue(which)
    history = ["tea-2", "tea-4", "tea-0"]
    rows = rows_of(isrf("recommend", workspace, "--history", ",".join(history), "--format", "json"))
    assert_recommendations(rows, history, 10)
    assert rows[0]["method"] == {"finished": "isrf", "untrained": "isrf-graph"}[which]
    assert sum(row["item_id"].startswith("tea-") for row in rows[:9]) >= 7, "tea drinkers are offered tea"
    spaced = rows_of(isrf("recommend", workspace, "--history", " tea-2, tea-4 ,tea-0,", "--format", "json"))
    assert spaced == rows


def test_a_user_who_is_named_twice_is_answered_once(finished: Path) -> None:
    asked = ("--top", 3, "--format", "json")
    rows = rows_of(isrf("recommend", finished, "--user", "u9", "--user", "u3", "--user", "u9", *asked))
    assert rows == rows_of(isrf("recommend", finished, "--user", "u9", "--user", "u3", *asked))


@pytest.fixture(scope="module")
def sated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace, in a folder with a space, of a log in which u0 and u4 have had everything; an id holds a comma."""
    folder = tmp_path_factory.mktemp("sated")
    every = sorted(CATALOGUE)
    source = write_source(folder / "shop", small_log() | {"u0": every, "u4": every})
    for name in ("log.csv", "items.csv"):
        file = folder / "shop" / name
        file.write_text(re.sub(r"\btea-1,", '"tea,1",', file.read_text()))
    done(run_small(source, folder / "a shop", "--no-train"))
    return folder / "a shop"


def test_people_who_have_had_everything_are_told_of(sated: Path, tmp_path: Path) -> None:
    """No recommendation is left for them: a word of it, and a Parquet file that can still be read by its columns."""
    file = tmp_path / "none.parquet"
    to_file = ("--format", "parquet", "--output", file)
    outcome = done(isrf("recommend", sated, "--user", "u4", "--user", "u0", *to_file))
    assert "2 people have had every item" in outcome.err and "u4, u0" in outcome.err
    table = pl.read_parquet(file)
    assert not table.height and set(table.columns) == ROW
    outcome = done(isrf("recommend", sated, "--user", "u0", "--user", "u1", "--format", "json"))
    assert {row["user_id"] for row in rows_of(outcome)} == {"u1"} and "1 person has had every item" in outcome.err
    done(isrf("recommend", sated, "--user", "u1", *to_file))
    assert pl.read_parquet(file).schema == table.schema


def test_an_id_that_holds_a_comma_is_quoted(sated: Path) -> None:
    rows = rows_of(isrf("recommend", sated, "--history", '"tea,1", tea-2', "--format", "json"))
    assert len(rows) == 10 and not {row["item_id"] for row in rows} & {"tea,1", "tea-2"}
    line = refused(isrf("recommend", sated, "--history", "tea,1"), "'tea'", "double quotes")
    assert line.endswith("""--history '"tea,1",ITEM'"""), "the line shows how such an id of this workspace is written"


def test_what_to_try_next_can_be_pasted(sated: Path) -> None:
    """Also where the path holds a space."""
    told = done(isrf("evaluate", sated)).out
    line = next(line for line in told.splitlines() if line.startswith("next: "))
    words = shlex.split(line.removeprefix("next: "))
    assert words == ["isrf", "recommend", str(sated), "--user", "ID", "isrf", "inspect", str(sated), "--user", "ID"]


def test_recommend_for_a_history_beside_users(finished: Path) -> None:
    rows = rows_of(isrf("recommend", finished, "--user", "u1", "--history", "tea-1", "--format", "json"))
    assert list(dict.fromkeys(row["user_id"] for row in rows)) == ["u1", "(history)"]


def test_recommend_for_everybody_in_parquet(finished: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"
    outcome = done(isrf("recommend", finished, "--top", 5, "--format", "parquet", "--output", file))
    assert not outcome.out.strip() and "300 rows" in outcome.err
    table = pl.read_parquet(file)
    assert set(table.columns) == ROW and set(table["user_id"]) == set(LOG)
    rows = [{**row, "shares": json.loads(row["shares"])} for row in table.iter_rows(named=True)]
    for user, history in LOG.items():
        assert_recommendations([row for row in rows if row["user_id"] == user], history, 5)
    assert [p.name for p in tmp_path.iterdir()] == ["all.parquet"]


def test_more_than_the_catalogue_holds(finished: Path) -> None:
    rows = rows_of(isrf("recommend", finished, "--user", "u0", "--top", 1000, "--format", "json"))
    assert_recommendations(rows, LOG["u0"], len(CATALOGUE) - len(LOG["u0"]))


@pytest.mark.parametrize("format", ["json", "table"])
def test_recommend_into_a_file(format: str, finished: Path, tmp_path: Path) -> None:
    """The same as on the screen, and nothing on the screen."""
    file = tmp_path / "file"
    shown = done(isrf("recommend", finished, "--user", "u1", "--format", format))
    outcome = done(isrf("recommend", finished, "--user", "u1", "--format", format, "--output", file))
    assert not outcome.out and file.read_text().split() == shown.out.split()


def test_recommend_as_a_table(finished: Path) -> None:
    rows = rows_of(isrf("recommend", finished, "--user", "u1", "--format", "json"))
    told = done(isrf("recommend", finished, "--user", "u1")).out
    assert "for u1, by isrf" in told
    assert re.findall(r"│ (\S+-\d+) +│", told) == [row["item_id"] for row in rows]


def test_recommend_with_the_graphs_alone(finished: Path, untrained: Path) -> None:
    """--method isrf-graph answers as a workspace without a generator does."""
    asked = ("--user", "u1", "--format", "json")
    rows = rows_of(isrf("recommend", finished, *asked, "--method", "isrf-graph"))
    assert rows == rows_of(isrf("recommend", untrained, *asked))
    assert all("generator" not in row["shares"] for row in rows)


SECTIONS = (
    "explicit interests, strongest first",
    "most similar of",
    "implicit group interests",
    "recommendations and what carried each",
    "core preference:",
)


@pytest.mark.parametrize("which", ["finished", "untrained"])
@pytest.mark.parametrize("person", [("--user", "u1"), ("--history", "tea-1,tea-3")], ids=["user", "history"])
def test_inspect_shows_one_person_in_full(which: str, person: tuple[str, str], request: pytest.FixtureRequest) -> None:
    """Interests with features, neighbours with shared tastes, what the group likes beyond, and who carried what."""
    workspace = request.getfixturevalue(which)
    told = " ".join(done(isrf("inspect", workspace, *person, "--top", 6)).out.split())
    places = [told.find(section) for section in SECTIONS]
    assert -1 not in places[:4] and places[:4] == sorted(places[:4]), told
    assert SECTIONS[4] in told
    history = LOG["u1"] if person[0] == "--user" else ["tea-1", "tea-3"]
    explicit = told[places[0] : places[1]]
    assert all(item in explicit for item in history)
    group = told[places[2] : places[3]]
    offered = re.findall(r"│ (\w+-\d+) │", group)
    assert offered and not set(offered) & set(history)
    recommended = rows_of(isrf("recommend", workspace, *person, "--top", 6, "--format", "json"))
    assert re.findall(r"│ (\w+-\d+) │", told[places[3] :]) == [row["item_id"] for row in recommended]
    assert "individual" in told[places[3] :]


def test_describe_a_source_and_a_workspace(source: str, finished: Path) -> None:
    """The same data set, counted and with the same digest."""
    for what in (source, finished):
        told = " ".join(done(isrf("data", "describe", what, "--set", "data.min_interactions=0")).out.split())
        assert "users │ 60" in told and "items │ 48" in told, what
        digest = json.loads((finished / "dataset" / "dataset.json").read_text())["digest"]
        assert digest in told, what
        assert "2014-05-13 to 2014-05-13" in told, what


def test_audit_a_source_and_a_workspace(source: str, workspace: Path) -> None:
    for what in (source, workspace):
        told = done(isrf("audit", what, "--set", "data.min_interactions=0")).out
        verdicts = {c[1].strip(): c[3].strip() for line in told.splitlines() if len(c := line.split("│")) == 6}
        assert verdicts["chance"] == "reference" and verdicts["id + 1, rows of this project"] == "clean", what


def test_audit_of_a_log_without_a_catalogue(source: str) -> None:
    """What was not looked at is not clean."""
    log = Path(source.removeprefix("csv:")) / "log.csv"
    told = [
        {f["name"]: f for f in json.loads(done(isrf("audit", *what, "--format", "json")).out)}
        for what in ((log,), (log, "--items", log.with_name("items.csv")))
    ]
    for name in (
        "items whose text names another item",
        "test items named by the text of a history item, or naming one",
    ):
        without, having = (found[name] for found in told)
        assert (without["value"], without["verdict"]) == (None, "unknown") and "no catalogue" in without["meaning"]
        assert having["value"] is not None and having["verdict"] in ("clean", "note")


def test_describe_and_audit_read_a_file_of_settings(source: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("data: {min_interactions: 7}\n")
    told = " ".join(done(isrf("data", "describe", source, "--config", file)).out.split())
    assert "min_interactions (k of the k-core) │ 7" in told
    file.write_text("data: {min_interactions: 99}\n")
    refused(isrf("audit", source, "--config", file), "99 interactions")


def test_columns_that_were_not_recognised_are_told_by_describe_import_and_run(tmp_path: Path) -> None:
    write_source(tmp_path, LOG)
    log, items = tmp_path / "log.csv", tmp_path / "items.csv"
    log.write_text(log.read_text().replace("timestamp", "Wann"))
    items.write_text(items.read_text().replace("title", "Text"))
    small, out = ("--set", "data.min_interactions=0"), ("--out", tmp_path / "ws")
    for command in (
        ("data", "describe", log, "--items", items, *small),
        ("data", "import", log, "--items", items, *small, *out),
        ("run", "--data", log, "--items", items, *small, "--no-train", "--out", tmp_path / "run"),
    ):
        warnings = [line for line in done(isrf(*command)).err.splitlines() if line.startswith("warning: no ")]
        assert len(warnings) == 2
        assert warnings[0].endswith("--set data.time_column=Wann")
        assert warnings[1].endswith("--set data.title_column=Text")
    named = ("--set", "data.time_column=Wann", "--set", "data.title_column=Text")
    assert "warning" not in done(isrf("data", "describe", log, "--items", items, *small, *named)).err


@pytest.mark.parametrize("seed", [0, 7])
def test_audit_of_a_workspace_is_about_its_own_split(seed: int, source: str, tmp_path: Path) -> None:
    """Its own numbering, and the order of its source: the same findings as for the source with the same seed."""
    chosen = ("--set", "data.min_interactions=0", "--set", f"data.seed={seed}")
    done(isrf("data", "import", source, "--out", tmp_path / "ws", *chosen))
    told = [
        json.loads(done(isrf("audit", *w, "--format", "json")).out) for w in ((source, *chosen), (tmp_path / "ws",))
    ]
    of_source, of_workspace = ([f for f in found if "repeat" not in f["protection"]] for found in told)
    assert of_source == of_workspace, "all but repeats, of which a workspace keeps the count alone"


def test_audit_of_a_workspace_of_former_days(source: str, tmp_path: Path) -> None:
    """One that did not keep the log for the audit says how to make it anew."""
    ws = tmp_path / "ws"
    done(isrf("data", "import", source, "--out", ws))
    stage = ws / "dataset" / "stage.json"
    info = json.loads(stage.read_text())
    del info["files"]["interactions.parquet"]
    write_sealed(stage, info)
    (ws / "dataset" / "interactions.parquet").unlink()
    refused(isrf("audit", ws), "interactions.parquet: missing", "run again to make it anew")


def test_audit_finds_what_the_order_of_ids_gives_away(tmp_path: Path) -> None:
    """Integer ids in order of first appearance, test item included, as the P5 files have them."""
    folder = tmp_path / "p5"
    folder.mkdir()
    users, length = 40, 6
    (folder / "sequential.txt").write_text(
        "".join(f"{u + 1} {' '.join(str(u * length + t + 1) for t in range(length))}\n" for u in range(users))
    )
    maps = {
        "id2user": {str(u + 1): f"person {u}" for u in range(users)},
        "id2item": {str(i + 1): f"B{i:04}" for i in range(users * length)},
    }
    (folder / "datamaps.json").write_text(json.dumps(maps))
    told = done(isrf("audit", f"p5:{folder}", "--set", "data.min_interactions=0")).out
    assert "leak" in told
    ws = tmp_path / "ws"
    done(isrf("data", "import", f"p5:{folder}", "--out", ws, "--set", "data.min_interactions=0"))
    assert "leak" in done(isrf("audit", ws)).out, "the workspace remembers the source's order for the audit"


def test_data_import_describes(source: str, tmp_path: Path) -> None:
    told = done(isrf("data", "import", source, "--out", tmp_path / "ws")).out
    assert "history length" in told and "catalogue columns" in told
    assert sorted(p.name for p in (tmp_path / "ws").iterdir()) == [".lock", "dataset", "settings.yaml"]


def test_doctor() -> None:
    told = done(isrf("doctor")).out
    for what in ("python", "torch", "cores", "memory", "asset minilm", "cache"):
        assert what in told


def test_doctor_says_what_to_mend(tmp_path: Path) -> None:
    """A cache that cannot be written: exit code 1, and what to do."""
    (tmp_path / "file").write_text("")
    outcome = isrf("doctor", env={"ISRF_CACHE": str(tmp_path / "file")})
    assert outcome.code == 1 and "ISRF_CACHE" in outcome.out


def test_a_workspace_may_be_moved(finished: Path, tmp_path: Path) -> None:
    """Nothing in it names where it was, but the record of the command that was typed."""
    moved = Path(shutil.copytree(finished, tmp_path / "elsewhere" / "other name"))
    asked = ("--user", "u1", "--format", "json")
    assert rows_of(isrf("recommend", moved, *asked)) == rows_of(isrf("recommend", finished, *asked))
    for path in moved.rglob("*.json"):
        text = path.read_text()
        told = json.loads(text).get("command", "") if path.name == "stage.json" else ""
        assert str(finished.parent) not in text.replace(json.dumps(told), ""), path


def test_the_installed_command(finished: Path) -> None:
    """From a cold start, as a shell runs it."""
    rows = rows_of(installed("recommend", finished, "--history", "tea-1,tea-2", "--format", "json"))
    assert_recommendations(rows, ["tea-1", "tea-2"], 10)


def test_a_log_from_which_nothing_can_be_held_out_still_recommends(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\na,x\na,y\nb,x\nb,z\nc,q\n")
    (tmp_path / "items.csv").write_text("item_id,title\nx,red ball\ny,blue ball\nz,red car\nq,green car\n")
    ws = tmp_path / "ws"
    told = done(
        isrf(
            *("run", "--data", tmp_path / "log.csv", "--items", tmp_path / "items.csv", "--out", ws),
            *("--set", "data.min_interactions=0"),
        )
    ).err
    assert "no generator and no table" in told and "weights fitted elsewhere" in told
    rows = rows_of(isrf("recommend", ws, "--user", "a", "--format", "json"))
    assert rows[0]["item_id"] == "z", "red like the ball, and what the other buyer of x went on to"


def test_a_setting_that_the_command_does_not_read_is_refused_and_not_remembered(workspace: Path) -> None:
    before = (workspace / "settings.yaml").read_text()
    refused(isrf("evaluate", workspace, "--set", "graphs.tau=0.99"), "'graphs'", "evaluation")
    refused(isrf("reason", workspace, "--supplier", "openai"), "reasoning.model")
    assert (workspace / "settings.yaml").read_text() == before


def test_run_starts_from_the_settings_that_the_workspace_keeps(source: str, workspace: Path) -> None:
    """Also when it looks for what is wrong before any work: the model was named by an earlier command."""
    done(isrf("reason", workspace, "--set", "reasoning.model=m"))
    refused(
        isrf(
            *("run", "--data", source, "--out", workspace, "--set", "reasoning.supplier=openai"),
            env={"OPENAI_API_KEY": ""},
        ),
        "set OPENAI_API_KEY",
    )


def test_a_command_that_finds_the_workspace_taken_changes_no_settings(workspace: Path) -> None:
    """The command at work may be stopped, and the next one goes on with the settings that are kept."""
    before = (workspace / "settings.yaml").read_text()
    with FileLock(workspace / ".lock"):
        refused(isrf("reason", workspace, "--supplier", "local"), "another isrf command")
    assert (workspace / "settings.yaml").read_text() == before


def test_a_kept_budget_is_lifted(workspace: Path) -> None:
    for given, kept in (("60items", "60items"), ("none", "null"), ("$5", "$5")):
        done(isrf("reason", workspace, "--budget", given))
        assert f"budget: {kept}\n" in (workspace / "settings.yaml").read_text()
    for wrong in ("60", ""):
        refused(isrf("reason", workspace, "--budget", wrong), "write it like 60items")
