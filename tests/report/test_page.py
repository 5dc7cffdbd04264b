"""The report as a file: well formed, whole by itself, escaped, every chart drawn; and in a browser where there is one."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections import Counter
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from bench.screenshots import browser_on_this_machine
from tests.commands import done, isrf, with_charts

from isrf.core.sealed_documents import write_sealed
from isrf.report import account_sections
from isrf.report import curve_sections as curves
from isrf.report import results_sections as results
from isrf.report.inline_charts import placed
from isrf.report.page import page
from isrf.report.section import Missing, Section

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert('x')</script> \" & </table>"
SECTIONS = (
    *("results", "time", "segments", "bridges", "map", "graphs"),
    *("learning", "sweep", "reasoning", "cards", "audit", "provenance"),
)


class Read(HTMLParser):
    """Elements of a page; fails where one is not closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.marks: list[int] = []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.addresses += [given[name] or "" for name in ("href", "src", "xlink:href") if name in given]
        assert not [name for name in given if name.startswith("on")]
        if tag == "svg":
            self.marks.append(0)
        elif tag in ("path", "rect", "line", "circle") and "svg" in self.open:
            self.marks[-1] += (given.get("aria-roledescription") or "") != ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


def row(method: str, value: float, task: str = "sequential", candidates: str = "all") -> dict[str, Any]:
    metrics = dict.fromkeys(("HR@5", "NDCG@5", "HR@10"), value * 1.1) | {"NDCG@10": value}
    about = {"method": method, "task": task, "split": "test", "candidates": candidates, "users": 50}
    return about | metrics | {"ndcg10_ci95": [value * 0.9, value * 1.1], "fit_seconds": 2.5, "rank_seconds": 1.0}


DOCUMENT: dict[str, Any] = {
    "results": [
        row("isrf", 0.06),
        row(HOSTILE, 0.058),
        row("popularity", 0.01),
        row("isrf@graphs.tau=0.5", 0.055),
        row("isrf@graphs.tau=0.5@graphs.top_k=9", 0.9),
        row("isrf", 0.4, candidates="sampled-100"),
        row("isrf", 0.0234) | {"split": "test, new items"},
    ],
    "paired": [
        {"methods": ["isrf", HOSTILE], "task": "sequential", "split": "test", "ndcg10_difference": 0.002}
        | {"p_value": 0.03, "p_models_as_given": 0.0123, "p_holm": 0.09, "effect_size": 0.1, "ci95": [-0.001, 0.004]},
        {"methods": ["isrf", "popularity"], "task": "sequential", "split": "test", "ndcg10_difference": 0.05}
        | {"p_value": 0.001, "p_models_as_given": 0.001, "p_holm": 0.002, "effect_size": 0.4, "ci95": [0.04, 0.06]},
    ],
    "segments": [
        {
            "method": m,
            "task": "sequential",
            "split": "test",
            "segment": "history",
            "group": g,
            "users": 25,
            "NDCG@10": v,
        }
        for m, g, v in (("isrf", "short", 0.0712), ("isrf", "long", 0.0512), ("popularity", "short", 0.011))
    ],
    "segment_gains": [
        {"methods": ["isrf", "isrf-nogroup"], "task": "sequential", "split": "test", "segment": "history"}
        | {"group": g, "users": 25, "ndcg10_difference": d, "ci95": [d - 0.001, d + 0.001], "p_value": p}
        for g, d, p in (("short", 0.0031, 0.01), ("long", -0.0002, 0.7))
    ],
    "cards": {"isrf": {"interest_scope": ["individual", "group"], "boundary": HOSTILE}},
}
WHERE = Path("my ws")


def html_of(*sections: Section) -> str:
    return page(HOSTILE, HOSTILE, [(HOSTILE, HOSTILE, HOSTILE)], sections)


def missing(section: Section) -> list[Missing]:
    return [part for part in section.parts if isinstance(part, Missing)]


def test_text_of_users_is_escaped_everywhere() -> None:
    finding = {"name": HOSTILE, "value": 0.05, "verdict": "leak", "meaning": HOSTILE, "unit": HOSTILE}
    person = {"user_id": HOSTILE, "interests": [{"title": HOSTILE}], "group": [{"title": HOSTILE, "share": 0.5}]}
    person |= {
        "crossed": [{"title": HOSTILE, "rank": 3, "rank_alone": 30}],
        "held_out_title": HOSTILE,
        "confirmed": True,
    }
    confirmation = {"people": 9, "changed": 1, "crossings": 1, "confirmed": 1, "against": []}
    bridges = {"confirmation": confirmation, "confirmed": [person], "strongest": [person]}
    text = html_of(
        results.headline(DOCUMENT, WHERE),
        curves.time(DOCUMENT, WHERE),
        results.segments(DOCUMENT, WHERE),
        account_sections.cards(DOCUMENT["cards"], WHERE),
        account_sections.audit({"findings": [finding]}, False, WHERE),
        account_sections.bridges(bridges, True, WHERE),
    )
    assert Read(text).tags["script"] == 0
    assert text.count("&lt;script&gt;") > 15


def test_best_is_bold_ties_are_marked_by_the_corrected_p_and_variants_stand_apart() -> None:
    text = html_of(results.headline(DOCUMENT, WHERE))
    main = text[: text.index("<details>")]
    assert "<strong>0.0600</strong>" in main and "isrf@" not in main and "0.4000" not in main
    assert "&lt;/table&gt; ≈" in main and "popularity ≈" not in main
    assert "isrf@graphs.tau=0.5" in text and "biased" in text and "+0.0500" in text
    assert "models as given" in text and "0.0123" in text, "p over people alone beside that over seeds too"
    assert "Reported apart: test, new items" in text and "0.0234" in text and "0.0234" not in main


def test_a_sweep_is_drawn_from_systems_that_differ_in_one_setting() -> None:
    drawn = curves.sweep(DOCUMENT, {"graphs.tau": 0.7, "graphs.top_k": 100}, WHERE)
    text = html_of(drawn)
    assert not missing(drawn) and Read(text).tags["svg"] == 1  # of top_k there is one value only
    without = curves.sweep({"results": [row("isrf", 0.06)]}, {"graphs.tau": 0.7, "graphs.top_k": 100}, WHERE)
    assert missing(without)[0].command.startswith("isrf bench 'my ws' --methods isrf,isrf@graphs.tau=")


def test_segments_show_gains_and_each_method() -> None:
    text = html_of(results.segments(DOCUMENT, WHERE))
    assert all(figure in text for figure in ("+0.0031", "-0.0002", "0.0712", "0.0512", "0.0110"))
    assert "history: short" in text and Read(text).marks[0] >= 4


@pytest.mark.parametrize(
    "section",
    [
        results.headline(None, WHERE),
        curves.time(None, WHERE),
        curves.learning(None, 0, WHERE),
        results.segments({"results": []}, WHERE),
        account_sections.bridges(None, False, WHERE),
        account_sections.reasons(None, {}, WHERE),
        account_sections.cards({}, WHERE),
        account_sections.audit(None, False, WHERE),
    ],
    ids=lambda section: section.name,
)
def test_what_is_not_there_names_the_command_that_makes_it(section: Section) -> None:
    (gap,) = missing(section)
    assert gap.command.startswith("isrf ") and "'my ws'" in gap.command
    Read(html_of(section))


def test_labels_cover_neither_each_other_nor_points() -> None:
    points = [(0.5, 0.5), (0.5, 0.5), (0.52, 0.52), (0.95, 0.5), (0.94, 0.52)]
    width, height, characters = 300.0, 200.0, 8
    boxes = []
    for (x, _), (at, left) in zip(points, placed(points, [characters] * 5, width, height), strict=True):
        start = x * width - 8 - characters * 6.5 if left else x * width + 8
        boxes.append((start, start + characters * 6.5, at * height))
        assert boxes[-1][0] >= 0 and boxes[-1][1] <= width
    for at, (a, b, y) in enumerate(boxes):
        assert all(b <= c or d <= a or abs(y - z) >= 12 for c, d, z in boxes[:at])


@pytest.fixture(scope="module")
def reported(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with bridges looked for, and its report."""
    ws = tmp_path_factory.mktemp("reported") / "ws"
    shutil.copytree(finished, ws)
    found = json.loads(done(isrf("inspect", ws, "--find", "bridges", "--top", 3, "--format", "json")).out)
    assert found == json.loads((ws / "inspection" / "bridges.json").read_text("utf-8"))
    assert len(found["strongest"]) <= 3 and found["confirmation"]["people"] > 0
    done(isrf("report", ws, obstacles=[with_charts]))
    return ws / "report.html"


def test_the_file_is_whole_by_itself(reported: Path) -> None:
    text = reported.read_text("utf-8")
    read = Read(text)
    assert not read.tags["script"] and not read.tags["iframe"] and not read.tags["img"]
    assert set(read.addresses) == {"data:,", *(f"#{name}" for name in SECTIONS)}
    assert not re.findall(r"https?://", text.replace("http://www.w3.org/", "")) and "@import" not in text
    inside = set(re.findall(r"url\(([^)]*)\)", text))
    assert {address.strip("#'\"") for address in inside} <= set(read.ids)
    assert [name for name in read.ids if name in SECTIONS] == list(SECTIONS)
    assert len(read.ids) == len(set(read.ids))


def test_every_chart_has_marks_and_follows_the_scheme(reported: Path) -> None:
    text = reported.read_text("utf-8")
    read = Read(text)
    assert len(read.marks) >= 11 and min(read.marks) > 0
    assert "prefers-color-scheme: dark" in text
    charts = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert set(re.findall(r"#[0-9a-fA-F]{6}\b", charts)) == set(), "a colour that no scheme changes"


def test_the_report_says_what_made_it(reported: Path) -> None:
    text, ws = reported.read_text("utf-8"), reported.parent
    stage = json.loads((ws / "dataset" / "stage.json").read_text("utf-8"))
    assert all(about["sha256"] in text for about in stage["files"].values())
    assert f"isrf report {ws}" in text and "torch" in text and "min_interactions: 0" in text
    ran = stage["command"]
    assert ran.startswith("isrf run ") and "--data" in ran and escape(ran) in text, "the command as it was typed"
    assert escape(f"isrf inspect {ws} --find bridges --top 3 --format json") in text


def test_bridges_of_another_model_are_marked_as_such(reported: Path, tmp_path: Path) -> None:
    ws = tmp_path / "ws"
    shutil.copytree(reported.parent, ws)
    kept = ws / "inspection" / "bridges.json"
    write_sealed(kept, json.loads(kept.read_text("utf-8")) | {"of": {"model/fusion.json": "0"}})
    done(isrf("report", ws, "--output", tmp_path / "other.html", obstacles=[with_charts]))
    assert "another model" in (tmp_path / "other.html").read_text("utf-8")
    assert "another model" not in reported.read_text("utf-8")


def test_what_was_looked_for_outlives_an_evaluation_and_an_old_audit_is_marked(reported: Path, tmp_path: Path) -> None:
    ws = tmp_path / "ws"
    shutil.copytree(reported.parent, ws)
    done(isrf("audit", ws))
    done(isrf("evaluate", ws, "--set", "evaluation.bootstrap_samples=200"))
    bridges, audit = (
        json.loads((ws / "inspection" / name).read_text("utf-8")) for name in ("bridges.json", "audit.json")
    )
    assert bridges["confirmation"]["people"] > 0 and audit["command"] == shlex.join(["isrf", "audit", str(ws)])
    done(isrf("report", ws, obstacles=[with_charts]))
    marked = "of other data, reasons or graphs"
    assert marked not in (ws / "report.html").read_text("utf-8")
    done(isrf("graph", ws, "--set", "graphs.tau=0.1"))
    done(isrf("report", ws, obstacles=[with_charts]))
    assert marked in (ws / "report.html").read_text("utf-8")


def test_a_bench_of_variants_alone_takes_no_table_away(reported: Path, tmp_path: Path) -> None:
    ws = tmp_path / "ws"
    shutil.copytree(reported.parent, ws)
    kept = json.loads((ws / "evaluation" / "metrics.json").read_text("utf-8"))
    changed = [row | {"method": "isrf@graphs.tau=0.5"} for row in kept["results"] if row["method"] == "isrf"]
    alone = {"results": changed, "paired": [], "segments": [], "segment_gains": [], "cards": {}, "of": {}}
    (ws / "bench").mkdir()
    write_sealed(ws / "bench" / "metrics.json", kept | alone)
    done(isrf("report", ws, obstacles=[with_charts]))
    text = (ws / "report.html").read_text("utf-8")
    assert "isrf@graphs.tau=0.5" in text and "from another command than the other rows" in text
    assert "NDCG@10 by graphs.tau" in text and "seq-itemknn" in text and "No results yet" not in text
    assert "Nothing to compare the whole system with" not in text or not kept["segment_gains"]


def test_a_sweep_outlives_a_bench_of_other_methods(reported: Path, tmp_path: Path) -> None:
    ws = tmp_path / "ws"
    shutil.copytree(reported.parent, ws)
    kept = json.loads((ws / "evaluation" / "metrics.json").read_text("utf-8"))
    changed = [row | {"method": "isrf@graphs.tau=0.5"} for row in kept["results"] if row["method"] == "isrf"]
    alone = {
        "paired": [],
        "segments": [],
        "segment_gains": [],
        "cards": {},
        "of": {},
        "command": "isrf bench ws --swept",
    }
    (ws / "bench").mkdir()
    write_sealed(ws / "bench" / "sweep.json", kept | alone | {"results": changed})
    others = [row for row in kept["results"] if row["method"] in ("popularity", "isrf")]
    write_sealed(ws / "bench" / "metrics.json", kept | alone | {"results": others})
    done(isrf("report", ws, obstacles=[with_charts]))
    text = (ws / "report.html").read_text("utf-8")
    assert "NDCG@10 by graphs.tau" in text and "isrf bench ws --swept" in text
    assert "isrf@graphs.tau=0.5" not in text.split('id="time"')[0], "the headline is of the last bench"


def test_an_outdated_stage_costs_its_sections_and_not_the_report(reported: Path, tmp_path: Path) -> None:
    ws = tmp_path / "ws"
    shutil.copytree(reported.parent, ws)
    source = next(
        a for a in json.loads((ws / "dataset" / "stage.json").read_text("utf-8"))["command"].split() if "csv:" in a
    )
    done(isrf("data", "import", source, "--out", ws, "--set", "data.min_interactions=0", "--set", "data.seed=1"))
    done(isrf("report", ws, obstacles=[with_charts]))
    text = (ws / "report.html").read_text("utf-8")
    assert f"isrf reason {ws}" in text and f"isrf train {ws}" in text


def test_a_bench_that_ranked_with_another_model_is_left_out(reported: Path, tmp_path: Path) -> None:
    """It would show figures of a system that is not there any more; what was evaluated is shown instead."""
    ws = tmp_path / "ws"
    shutil.copytree(reported.parent, ws)
    kept = json.loads((ws / "evaluation" / "metrics.json").read_text("utf-8"))
    changed = [row | ({"NDCG@10": 0.9876} if row["method"] == "popularity" else {}) for row in kept["results"]]
    (ws / "bench").mkdir()

    def told(**other: Any) -> tuple[str, str]:
        write_sealed(ws / "bench" / "metrics.json", kept | {"results": changed} | other)
        said = done(isrf("report", ws, obstacles=[with_charts])).err
        return " ".join(said.split()), (ws / "report.html").read_text("utf-8")

    said, text = told()
    assert "left out" not in said and "0.9876" in text
    for other, why in (({"of": {"model/fusion.json": "0"}}, "another model"), ({"structure": 1}, "another version")):
        said, text = told(**other)
        assert why in said and said.count("left out") == 1 and "0.9876" not in text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["inspect", "WS"], "--find bridges"),
        (["inspect", "WS", "--find", "bridges", "--user", "u1"], "inspect shows one thing at a time"),
        (["inspect", "WS", "--user", "u1", "--format", "json"], "--format json goes with --find"),
        (["report", "WS", "--output", "no/such/folder/r.html"], "there is no folder"),
        (["report", "nowhere"], "not a workspace"),
    ],
)
def test_what_makes_no_sense_is_one_line(args: list[str], said: str, finished: Path) -> None:
    outcome = isrf(*[str(finished) if arg == "WS" else arg for arg in args])
    assert outcome.code == 2 and said in outcome.err and len(outcome.err.strip().splitlines()) == 1


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(reported: Path, width: int, scheme: Any) -> None:
    """No error, no request but the file itself, every chart drawn, nothing wider than the window."""
    browser = browser_on_this_machine()
    if browser is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'isrf[dev]'")
    complaints: list[str] = []
    requests: list[str] = []
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        shown = opened.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        shown.on("console", lambda message: complaints.append(message.text))
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("request", lambda request: requests.append(request.url))
        shown.goto(reported.as_uri())
        counts = shown.eval_on_selector_all("svg.chart", "all => all.map(s => s.querySelectorAll('path, line').length)")
        boxes = shown.eval_on_selector_all("svg.chart", "all => all.map(s => s.getBoundingClientRect().width)")
        overflow = shown.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        ink = shown.evaluate("getComputedStyle(document.body).color")
        paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        opened.close()
    assert complaints == [] and [u for u in requests if not u.startswith(("file:", "data:"))] == []
    assert len(counts) >= 11 and min(counts) > 0 and min(boxes) > 250 and max(boxes) <= width
    assert overflow <= 0
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
    assert (brightness[0] < brightness[1] - 400) if scheme == "light" else (brightness[0] > brightness[1] + 400)
