"""Write docs/results.md and docs/results/: benches of the whole system, baselines, ablations and sweeps on each source.

    python bench/results.py --out RUNS --seeds 0,1,2 beauty=p5:DATA/amazon-beauty-2014 toys=p5:DATA/amazon-toys-2014

The first page has a verdict, five rows and a chart; the page of a source has everything else. RUNS holds one workspace a
source. Finished work is saved: a killed run resumes, a longer list of methods trains only what is new, and the pages can be
written again in seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from isrf.core.config import Settings, load_settings, save_settings
from isrf.data.queries import TASKS
from isrf.data.storage import read_split
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import ALL, evaluate
from isrf.evaluation.results_document import LEVEL
from isrf.evaluation.sampling import bias_lines
from isrf.evaluation.segments import segment_lines
from isrf.evaluation.significance import bootstrap_interval, paired_permutation
from isrf.evaluation.table import LEGEND, best_of, cells_of, group_of, markdown_table, tied
from isrf.graphs.neighbours import without_neighbours
from isrf.methods.registry import BASELINES, CARRIERS, TRAINED
from isrf.pipeline import run as pipeline
from isrf.pipeline.bench import WHOLE, bench, methods_named
from isrf.pipeline.machine_checks import memory
from isrf.pipeline.variants import CHANGE
from isrf.ranking.rankers import FusedRanker, ScoringComponents
from isrf.ranking.storage import load_components, load_fusions
from isrf.report.chart_process import missing
from isrf.report.charts import sweep_chart, time_chart
from isrf.workspace.layout import FUSION_FILE, STAGES
from isrf.workspace.workspace import Workspace

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results.md"
FOLDER = PAGE.parent / "results"
"""Of the pages of single sources."""

POPULARITY, GRAPH, NO_GROUP = "popularity", "isrf-graph", "isrf-nogroup"
SPOKEN = {"sequential": "next item", "direct": "any order"}
"""Task -> what it is called on the first page."""

TIMES, LIMITS = "Accuracy against training time", "Limits"
ALL_METHODS, SEGMENTS_HEADING, GROUP_HEADING = (
    "All methods, full ranking",
    "By segment",
    "The similar-user graph emptied",
)
ABLATIONS_HEADING, SWEEPS_HEADING, MADE, SAMPLED = "Ablations", "Sweeps", "Cost and weights", "Sampled ranking"
HEADINGS = (ALL_METHODS, SEGMENTS_HEADING, GROUP_HEADING, ABLATIONS_HEADING, SWEEPS_HEADING, MADE, SAMPLED)
"""Of the page of one source, in this order."""

SAID = {
    ABLATIONS_HEADING: "Ablations: the whole system with one thing changed, trained anew; one seed.",
    SWEEPS_HEADING: "Sweeps of single settings; one seed.",
}

NOT_SAID = (
    "- These are two small catalogues of about 12,000 items each, with reasons from attribute statistics and no language model.",
    "- Leave-one-out is not a split in time: training knows what other people bought later ([protocol](protocol.md)).",
    "- The best baseline is the one with the highest test figure of the next item, which favours it.",
    "- Ablations and sweeps are trained with one seed, so a small difference may be luck.",
    "- Ranking among 100 sampled candidates changes the order of the methods. It stands last on each page, marked as biased.",
    "- Published figures were not rerun here. Their files number items otherwise, which can leak the answer ([leaks](leaks.md)),",
    "  and protocols differ, so they cannot be compared line by line:",
)

PUBLISHED = """| *published, not rerun* | Beauty | Toys |
|---|--:|--:|
| TIGER | 0.0384 | 0.0432 |
| best of the eSASRec study (SASRec with sampled softmax) | 0.0531 | 0.0580 |
| ISRF, with the identifier leak | 0.0450 | 0.0512 |
"""


def group_ablation(workspace: Workspace) -> list[dict[str, Any]]:
    """The whole system against itself with the similar-user graph emptied; same generator, same weights."""
    settings = load_settings(base=workspace.root / "settings.yaml")
    split, parts = read_split(workspace), load_components(workspace, settings)
    fusions = load_fusions(workspace.stage("model").file(FUSION_FILE))
    alone = ScoringComponents(without_neighbours(parts.people), parts.graphs, parts.generator, parts.items)
    rows = []
    for task in TASKS:
        gains = []
        for name, chosen in (("isrf", parts), ("isrf, similar-user graph emptied", alone)):
            full, _ = evaluate(FusedRanker(name, chosen, fusions), split, "test", task, settings.evaluation)
            gains.append(ndcg(full.ranks, 10))
        difference, p = paired_permutation(
            gains[0], gains[1], settings.evaluation.permutation_samples, settings.evaluation.seed
        )
        low, high = bootstrap_interval(
            gains[0] - gains[1], settings.evaluation.bootstrap_samples, settings.evaluation.seed
        )
        rows.append(
            {
                "task": task,
                "with": float(gains[0].mean()),
                "without": float(gains[1].mean()),
                "difference": difference,
                "interval": [low, high],
                "p": p,
            }
        )
    return rows


METHODS = (
    "isrf,isrf-generator,isrf-nogroup,isrf-graph,popularity,itemknn,seq-itemknn,ease,id-plus-one,lightgcn,sasrec,"
    "profile-text,semantic-id,propagated-preference"
)
ABLATIONS = (
    "isrf,isrf-generator,isrf-nogroup,isrf-noalignment,isrf-unconsumed,isrf-swapped,isrf-nosemantics,"
    "isrf-nopropagation,isrf-noevidence,tiger,elmrec"
)
SWEEPS = ",".join(
    [
        "isrf",
        *(f"isrf@graphs.tau={tau}" for tau in (0.5, 0.6, 0.8, 0.9)),
        *(f"isrf@graphs.top_k={k}" for k in (10, 50)),
        *(f"isrf@graphs.layers={n}" for n in (0, 1, 4)),
        *(f"isrf@graphs.user_layers={n}" for n in (0, 2, 4)),
    ]
)


def sweep_points(name: str, document: dict[str, Any], settings: Settings) -> list[dict[str, Any]]:
    """Points of the sweeps of one source (``report.charts.sweep_chart``): one a swept setting, value and task.

    Args:
        name: of the source.
        document: a bench of "isrf" and of variants with one setting changed each, "isrf@room.name=value".
        settings: of "isrf", whose own value is a point of every sweep.
    """

    def usual(setting: str) -> Any:
        room, _, field = setting.partition(".")
        return getattr(getattr(settings, room), field)

    rows = [row for row in document["results"] if row["candidates"] == ALL and row["method"].split(CHANGE)[0] == WHOLE]
    changed = [(row, dict(change.split("=", 1) for change in row["method"].split(CHANGE)[1:])) for row in rows]
    swept = dict.fromkeys(setting for _, change in changed if len(change) == 1 for setting in change)
    points = []
    for setting in (setting for setting in swept if isinstance(usual(setting), int | float)):
        for row, change in changed:
            if change.keys() <= {setting}:
                value = float(change.get(setting, usual(setting)))
                low, high = row["ndcg10_ci95"]
                points.append(
                    {
                        "setting": setting,
                        "source": name,
                        "task": row["task"],
                        "value": value,
                        "ndcg10": row["NDCG@10"],
                        "low": low,
                        "high": high,
                        "default": value == usual(setting),
                    }
                )
    return points


def draw_sweeps(points: list[dict[str, Any]], images: Path) -> list[str]:
    """Draw one chart a setting into ``images``; lines of Markdown that show them on a page in a folder beside that."""
    if not points or cannot_draw():
        return []
    images.mkdir(exist_ok=True)
    lines = ["NDCG@10 on test items by the value of one setting, 95% intervals, all sources; one seed.", ""]
    for setting in dict.fromkeys(point["setting"] for point in points):
        path = images / f"sweep-{setting.replace('.', '-')}.svg"
        sweep_chart([point for point in points if point["setting"] == setting], path)
        lines += [f"![NDCG@10 by {setting}](../{images.name}/{path.name})", ""]
    return lines


def time_points(name: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Points of one source for the chart of accuracy against time (``report.charts.time_chart``): a method each."""
    return [
        {
            "source": name,
            "name": row["method"],
            "seconds": row["fit_seconds"],
            "value": row["NDCG@10"],
            "own": row["method"].split("-")[0] == WHOLE,
        }
        for row in full_ranking(document)["results"]
        if row["task"] == TASKS[0] and row["fit_seconds"] is not None
    ]


def draw_times(points: list[dict[str, Any]], images: Path) -> list[str]:
    """Draw accuracy against time into ``images``; lines of Markdown that show it on the page beside that folder."""
    if not points or cannot_draw():
        return []
    images.mkdir(exist_ok=True)
    path = images / "accuracy-time.svg"
    time_chart(points, path)
    about = "NDCG@10 of the next item by the seconds of every stage behind a method, its own training among them."
    return [f"## {TIMES}", "", about, "", f"![NDCG@10 by seconds of training]({images.name}/{path.name})", ""]


def cannot_draw() -> bool:
    """Whether charts cannot be drawn here, which is told."""
    if why := missing():
        print(f"no charts: {why}")
    return bool(why)


def full_ranking(document: dict[str, Any]) -> dict[str, Any]:
    """A bench without its rows of sampled ranking."""
    return document | {"results": [row for row in document["results"] if row["candidates"] == ALL]}


def sampled_ranking(document: dict[str, Any]) -> dict[str, Any]:
    """A bench with its rows of sampled ranking alone, and nothing about others."""
    rows = [row for row in document["results"] if row["candidates"] != ALL]
    return {"results": rows, "paired": []}


def rows_of(document: dict[str, Any], task: str) -> dict[str, dict[str, Any]]:
    """Method -> its row of a task, full ranking."""
    return {row["method"]: row for row in full_ranking(document)["results"] if row["task"] == task}


def best_of_kind(document: dict[str, Any], kind: Collection[str]) -> str | None:
    """The method of a kind with the highest NDCG@10 of the next item, None where the bench has none."""
    rows = {method: row["NDCG@10"] for method, row in rows_of(document, TASKS[0]).items() if method in kind}
    return max(rows, key=lambda method: rows[method]) if rows else None


def five(document: dict[str, Any]) -> dict[str, str]:
    """Method -> what it is, of the rows of the front page; methods that the bench lacks are not there."""
    chosen = {
        POPULARITY: "what is bought most",
        best_of_kind(document, {*BASELINES, *TRAINED} - {POPULARITY}): "the best baseline",
        best_of_kind(document, CARRIERS): "the best [carrier](carriers.md): the same sentences without our graphs",
        GRAPH: "the two interest graphs, nothing trained",
        WHOLE: "the whole system",
    }
    rows = rows_of(document, TASKS[0])
    return {method: about for method, about in chosen.items() if method in rows}


def front_table(document: dict[str, Any]) -> list[str]:
    """The five rows of one source, each figure as in the table of its page."""
    heads = [f"{SPOKEN[task]}, NDCG@10 (95% interval) | HR@10" for task in TASKS]
    lines = [
        f"| method | what it is | {' | '.join(heads)} | training, s |",
        "|---|---|" + "--:|" * (2 * len(heads) + 1),
    ]
    full, marked = full_ranking(document), tied(document)
    for method, about in five(document).items():
        cells = []
        for task in TASKS:
            row = rows_of(document, task)[method]
            _, _, _, _, _, _, hits, score, interval, seconds, *_ = cells_of(row, False, marked)
            if row["NDCG@10"] == best_of(full)[group_of(row)]:
                score = f"**{score}**"
            cells += [f"{score} ({interval})", hits]
        lines.append(f"| `{method}` | {about} | {' | '.join(cells)} | {seconds} |")
    return lines


def verdict(document: dict[str, Any]) -> str:
    """One sentence: how far the whole system is from the best baseline and from the graphs alone, and how sure that is."""
    tests = {(row["task"], *row["methods"]): row for row in document["paired"]}
    beside = {method: about for method, about in five(document).items() if method not in {POPULARITY, WHOLE, *CARRIERS}}
    told = []
    for task in TASKS:
        against = []
        for method, about in beside.items():
            if test := tests.get((task, WHOLE, method)):
                gap, p = test["ndcg10_difference"], test["p_holm"]
                sure = f"p = {p:.4f}" if p < LEVEL else f"not significant, p = {p:.4f}"
                which = "which needs no training" if method == GRAPH else about
                where = "ahead of" if gap >= 0 else "behind"
                against.append(f"{where} `{method}`, {which}, by {abs(gap):.4f} NDCG@10 ({sure})")
        if against:
            told.append(f"{SPOKEN[task]}: `{WHOLE}` is {' and '.join(against)}")
    sentence = "; ".join(told)
    return f"**{sentence[0].upper()}{sentence[1:]}.**" if told else ""


def limits(documents: Mapping[str, dict[str, Any]]) -> list[str]:
    """What the figures do not say; those about the group layer are read from the benches."""
    lines = [f"## {LIMITS}", ""]
    gains = []
    for name, document in documents.items():
        for row in document["paired"]:
            if list(row["methods"]) == [WHOLE, NO_GROUP]:
                low, high = row["ci95"]
                figures = f"{row['ndcg10_difference']:+.4f} ({low:+.4f} to {high:+.4f}, p = {row['p_holm']:.4f})"
                gains.append(f"{name}, {SPOKEN[row['task']]}, {figures}")
    if gains:
        lines.append(
            f"- What the group layer is worth is not proven. `{WHOLE}` minus `{NO_GROUP}`: {'; '.join(gains)}."
        )
    return [*lines, *NOT_SAID, "", PUBLISHED]


def details(name: str, about: str, parts: Mapping[str, Sequence[str]]) -> str:
    """The page of one source: a section for each part that has something, sampled ranking last."""
    lines = [f"# Results: {name}", "", f"[All sources and the verdict](../{PAGE.name}). {about}", ""]
    for heading in HEADINGS:
        if told := "\n".join(parts.get(heading, ())).strip("\n"):
            lines += [f"## {heading}", "", told, ""]
    return "\n".join(lines)


def front(
    head: Sequence[str], documents: Mapping[str, dict[str, Any]], about: Mapping[str, str], times: Sequence[str]
) -> str:
    """The page that is read first: for each source a verdict and five rows, then accuracy against time, then limits."""
    lines = ["# Results", "", *head, ""]
    for name, document in documents.items():
        link = f"[Everything about it]({FOLDER.name}/{name}.md)"
        lines += [f"## {name}", "", verdict(document), "", f"{about[name]} {link}.", "", *front_table(document), ""]
    if any(tied(document) for document in documents.values()):
        lines += [f"{LEGEND}.", ""]
    return "\n".join([*lines, *times, *limits(documents)])


def about_of(document: dict[str, Any]) -> str:
    """The size of a source."""
    about = document["dataset"]
    counts = f"{about['users']:,} users, {about['items']:,} items, {about['interactions']:,} interactions"
    return f"{counts} (digest `{about['digest'][:12]}`)."


def emptied(workspace: Workspace) -> list[str]:
    """The group ablation of a workspace as Markdown; it is kept for as long as the model is the same."""
    kept = workspace.root / "group_ablation.json"
    digest = workspace.stage("model").digests(FUSION_FILE)
    if not kept.exists() or json.loads(kept.read_text())["of"] != digest:
        kept.write_text(json.dumps({"of": digest, "rows": group_ablation(workspace)}, indent=2))
    lines = [
        "Group interest, consumed by generator and ranking; the graph emptied at ranking time, nothing refitted:",
        "",
        "| task | with group | graph emptied | difference, 95% interval | p |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in json.loads(kept.read_text())["rows"]:
        low, high = row["interval"]
        lines.append(
            f"| {row['task']} | {row['with']:.4f} | {row['without']:.4f} | "
            f"{row['difference']:+.4f} ({low:+.4f} to {high:+.4f}) | {row['p']:.4f} |"
        )
    return lines


def made(workspace: Workspace) -> list[str]:
    """Seconds and memory of the stages, fusion weights and the size of the graph, as Markdown."""
    lines = ["| stage | seconds | peak memory of the run so far, MB |", "|---|--:|--:|"]
    for stage in (stage for stage in STAGES if stage != "evaluation"):
        info = workspace.stage(stage).require()
        lines.append(f"| {stage} | {info['seconds']:.0f} | {info['peak_memory_mb']} |")
    lines += ["", "Fusion weights, fitted on validation (signals scaled to unit spread, largest weight 1):", ""]
    for task, by_signal in workspace.stage("model").require()["notes"]["weights"].items():
        told = ", ".join(f"{signal} {weight:.3f}" for signal, weight in by_signal.items() if weight > 0)
        lines.append(f"- {task}: {told}")
    similar = workspace.stage("graphs").require()["notes"]["similar_users"]
    alone = f"{similar['share_without_neighbour']:.1%} of users without a neighbour"
    return [*lines, "", f"Similar-user graph: {similar['edges']:,} edges, {alone}."]


def parts_of(
    workspace: Workspace, document: dict[str, Any], more: Mapping[str, dict[str, Any]], charts: Sequence[str]
) -> dict[str, list[str]]:
    """Heading -> Markdown of the page of one source."""
    sampled = sampled_ranking(document)
    bias = [line for told in bias_lines(document) for line in ("", told)]
    tables = {heading: [SAID[heading], "", markdown_table(table)] for heading, table in more.items()}
    if SWEEPS_HEADING in tables:
        tables[SWEEPS_HEADING] += charts
    return tables | {
        ALL_METHODS: [markdown_table(full_ranking(document))],
        SEGMENTS_HEADING: segment_lines(document),
        GROUP_HEADING: emptied(workspace),
        MADE: made(workspace),
        SAMPLED: [markdown_table(sampled).rstrip("\n"), *bias] if sampled["results"] else [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the workspaces")
    parser.add_argument("--seeds", default="0,1,2", help="of the first table of each source")
    parser.add_argument("--methods", default=METHODS, help="of the first table")
    parser.add_argument("--ablations", default=ABLATIONS, help="of the second, or none")
    parser.add_argument("--sweeps", default=SWEEPS, help="of the third, or none")
    parser.add_argument("sources", nargs="+", metavar="NAME=SRC", help="name for the page and a source of `isrf run`")
    arguments = parser.parse_args()
    documents: dict[str, dict[str, Any]] = {}
    more: dict[str, dict[str, dict[str, Any]]] = {}
    points: list[dict[str, Any]] = []
    for pair in arguments.sources:
        name, _, source = pair.partition("=")
        workspace = Workspace.create(arguments.out / name)
        settings = load_settings(base=workspace.root / "settings.yaml")
        save_settings(settings, workspace.root / "settings.yaml")
        pipeline.import_data(workspace, source, None, settings)
        for stage in (pipeline.reason, pipeline.embed, pipeline.graph, pipeline.fit_ranking, pipeline.train):
            stage(workspace, settings)
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        documents[name] = bench(workspace, methods_named(arguments.methods), seeds)
        asked = {ABLATIONS_HEADING: arguments.ablations, SWEEPS_HEADING: arguments.sweeps}
        more[name] = {
            heading: full_ranking(bench(workspace, methods_named(names), ()))
            for heading, names in asked.items()
            if names != "none"
        }
        if SWEEPS_HEADING in more[name]:
            points += sweep_points(name, more[name][SWEEPS_HEADING], settings)
    names = " ".join(f"{pair.partition('=')[0]}=SRC" for pair in arguments.sources)
    options = ("seeds", "methods", "ablations", "sweeps")
    changed = [name for name in options if getattr(arguments, name) != parser.get_default(name)]
    chosen = "".join(f"--{name} {getattr(arguments, name)} " for name in changed)
    versions = Workspace(arguments.out / arguments.sources[0].partition("=")[0]).stage("model").require()["versions"]
    told = ", ".join(f"{package} {found}" for package, found in versions.items())
    head = [
        f"Written by `python bench/results.py --out RUNS {chosen}{names}`; rules: leave-one-out,",
        "full-catalogue ranking, ties count against us, everything chosen on validation, one run and one split a table",
        "([protocol](protocol.md)).",
        "",
        f"Machine: {os.cpu_count()} cores, {memory()}, {platform.machine()}, no accelerator. Versions: {told}.",
    ]
    images = PAGE.parent / "images"
    charts = draw_sweeps(points, images)
    about = {name: about_of(document) for name, document in documents.items()}
    FOLDER.mkdir(exist_ok=True)
    for name, document in documents.items():
        parts = parts_of(Workspace(arguments.out / name), document, more[name], charts)
        (FOLDER / f"{name}.md").write_text(details(name, about[name], parts), encoding="utf-8")
    times = [point for name, document in documents.items() for point in time_points(name, document)]
    PAGE.write_text(front(head, documents, about, draw_times(times, images)), encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
