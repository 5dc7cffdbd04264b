"""Write docs/results.md: benches of the whole system, baselines, ablations and sweeps on each source, in one page.

    python bench/results.py --out RUNS --seeds 0,1,2 beauty=p5:DATA/amazon-beauty-2014 toys=p5:DATA/amazon-toys-2014

RUNS keeps one workspace a source. What is finished is kept: a killed run goes on, a longer list of methods trains only
what is new, and the page can be written again in seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from isrf.core.config import Settings, load_settings, save_settings
from isrf.data.queries import TASKS
from isrf.data.storage import read_split
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import ALL, evaluate
from isrf.evaluation.significance import bootstrap_interval, paired_permutation
from isrf.evaluation.table import markdown_table
from isrf.graphs.neighbours import without_neighbours
from isrf.pipeline import run as pipeline
from isrf.pipeline.bench import WHOLE, bench, methods_named
from isrf.pipeline.evaluation_document import whole_table
from isrf.pipeline.machine_checks import memory
from isrf.pipeline.variants import CHANGE
from isrf.ranking.rankers import FusedRanker, ScoringComponents
from isrf.ranking.storage import load_components, load_fusions
from isrf.report.chart_process import missing
from isrf.report.charts import sweep_chart
from isrf.workspace.layout import FUSION_FILE, STAGES
from isrf.workspace.workspace import Workspace

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results.md"

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
        difference, p = paired_permutation(*gains, settings.evaluation.permutation_samples, settings.evaluation.seed)
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
SWEPT = "Sweeps of single settings; one seed."


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


def draw_sweeps(points: list[dict[str, Any]], folder: Path) -> list[str]:
    """Draw one chart a setting into ``folder``; lines of Markdown that show them on the page beside that folder."""
    if not points:
        return []
    if why := missing():
        print(f"no charts of sweeps: {why}")
        return []
    folder.mkdir(exist_ok=True)
    lines = ["## Sweeps", "", "NDCG@10 on test items by the value of one setting, 95% intervals; one seed.", ""]
    for setting in dict.fromkeys(point["setting"] for point in points):
        path = folder / f"sweep-{setting.replace('.', '-')}.svg"
        sweep_chart([point for point in points if point["setting"] == setting], path)
        lines += [f"![NDCG@10 by {setting}]({folder.name}/{path.name})", ""]
    return lines


def full_ranking(document: dict[str, Any]) -> dict[str, Any]:
    """A bench without its rows of sampled ranking."""
    return document | {"results": [row for row in document["results"] if row["candidates"] == ALL]}


def section(name: str, workspace: Workspace, arguments: argparse.Namespace) -> tuple[str, list[dict[str, Any]]]:
    """One source as Markdown, and its points for charts of the sweeps."""
    document = bench(workspace, methods_named(arguments.methods), [int(seed) for seed in arguments.seeds.split(",")])
    parts = {
        "Ablations: the whole system with one thing changed, trained anew; one seed.": arguments.ablations,
        SWEPT: arguments.sweeps,
    }
    more = {
        told: full_ranking(bench(workspace, methods_named(names), ()))
        for told, names in parts.items()
        if names != "none"
    }
    about = document["dataset"]
    lines = [
        f"## {name}",
        "",
        f"{about['users']:,} users, {about['items']:,} items, {about['interactions']:,} interactions "
        f"(digest `{about['digest'][:12]}`).",
        "",
        whole_table(document),
        *(part for told, table in more.items() for part in (told, "", markdown_table(table))),
        "Group interest, consumed by generator and ranking; the graph emptied at ranking time, nothing refitted:",
        "",
        "| task | with group | graph emptied | difference, 95% interval | p |",
        "|---|--:|--:|--:|--:|",
    ]
    kept = workspace.root / "group_ablation.json"
    digest = workspace.stage("model").digests(FUSION_FILE)
    if not kept.exists() or json.loads(kept.read_text())["of"] != digest:
        kept.write_text(json.dumps({"of": digest, "rows": group_ablation(workspace)}, indent=2))
    for row in json.loads(kept.read_text())["rows"]:
        low, high = row["interval"]
        lines.append(
            f"| {row['task']} | {row['with']:.4f} | {row['without']:.4f} | "
            f"{row['difference']:+.4f} ({low:+.4f} to {high:+.4f}) | {row['p']:.4f} |"
        )
    lines += ["", "| stage | seconds | peak memory of the run so far, MB |", "|---|--:|--:|"]
    for stage in (stage for stage in STAGES if stage != "evaluation"):
        info = workspace.stage(stage).require()
        lines.append(f"| {stage} | {info['seconds']:.0f} | {info['peak_memory_mb']} |")
    weights = workspace.stage("model").require()["notes"]["weights"]
    lines += ["", "Fusion weights, fitted on validation (signals scaled to unit spread, largest weight 1):", ""]
    for task, by_signal in weights.items():
        told = ", ".join(f"{signal} {weight:.3f}" for signal, weight in by_signal.items() if weight > 0)
        lines.append(f"- {task}: {told}")
    similar = workspace.stage("graphs").require()["notes"]["similar_users"]
    lines += [
        "",
        f"Similar-user graph: {similar['edges']:,} edges, {similar['share_without_neighbour']:.1%} of users without a "
        f"neighbour.",
        "",
    ]
    kept_by = load_settings(base=workspace.root / "settings.yaml")
    return "\n".join(lines), sweep_points(name, more[SWEPT], kept_by) if SWEPT in more else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the workspaces")
    parser.add_argument("--seeds", default="0,1,2", help="of the first table of each source")
    parser.add_argument("--methods", default=METHODS, help="of the first table")
    parser.add_argument("--ablations", default=ABLATIONS, help="of the second, or none")
    parser.add_argument("--sweeps", default=SWEEPS, help="of the third, or none")
    parser.add_argument("sources", nargs="+", metavar="NAME=SRC", help="name for the page and a source of `isrf run`")
    arguments = parser.parse_args()
    sections: list[str] = []
    points: list[dict[str, Any]] = []
    for pair in arguments.sources:
        name, _, source = pair.partition("=")
        workspace = Workspace.create(arguments.out / name)
        settings = load_settings(base=workspace.root / "settings.yaml")
        save_settings(settings, workspace.root / "settings.yaml")
        pipeline.import_data(workspace, source, None, settings)
        for stage in (pipeline.reason, pipeline.embed, pipeline.graph, pipeline.weigh, pipeline.train):
            stage(workspace, settings)
        told, swept = section(name, workspace, arguments)
        sections.append(told)
        points += swept
    names = " ".join(f"{pair.partition('=')[0]}=SRC" for pair in arguments.sources)
    options = ("seeds", "methods", "ablations", "sweeps")
    changed = [name for name in options if getattr(arguments, name) != parser.get_default(name)]
    chosen = "".join(f"--{name} {getattr(arguments, name)} " for name in changed)
    versions = Workspace(arguments.out / arguments.sources[0].partition("=")[0]).stage("model").require()["versions"]
    told = ", ".join(f"{package} {found}" for package, found in versions.items())
    head = [
        "# Results",
        "",
        f"Written by `python bench/results.py --out RUNS {chosen}{names}`; rules: leave-one-out,",
        "full-catalogue ranking, ties count against us, everything chosen on validation, one run and one split a table.",
        "",
        f"Machine: {os.cpu_count()} cores, {memory()}, {platform.machine()}, no accelerator. Versions: {told}.",
        "",
        PUBLISHED,
    ]
    PAGE.write_text("\n".join([*head, *sections, *draw_sweeps(points, PAGE.parent / "images")]), encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
