"""A byte that flips, an end that is cut, a file that is emptied or changed by hand: refused or told of, never a figure."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.commands import done, isrf, refused, with_charts

from isrf.core.errors import IsrfError
from isrf.data.storage import read_dataset_of
from isrf.evaluation import protocol
from isrf.pipeline.evaluate import evaluate_methods
from isrf.pipeline.evaluation_document import read_metrics
from isrf.pipeline.interest_cards import card_of
from isrf.pipeline.reasoning_supplier import report_reasoning
from isrf.pipeline.report import read_results, write_report
from isrf.recommender.recommender import open_recommender
from isrf.workspace import findings
from isrf.workspace.layout import STAGES, TRAINING_LOG_FILE
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

VARIANT = "isrf@ranking.fit_users=20"


@pytest.fixture(scope="module")
def looked_into(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace with a bench that has a variant, with bridges and an audit; tests put back what they change."""
    ws = tmp_path_factory.mktemp("looked") / "ws"
    shutil.copytree(finished, ws)
    done(isrf("bench", ws, "--methods", f"popularity,isrf-graph,{VARIANT}"))
    done(isrf("inspect", ws, "--find", "bridges"))
    done(isrf("audit", ws))
    return ws


def flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a byte flips": flipped,
    "the end is cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "something else": lambda content: b'{"format": 3}',
}


@contextmanager
def damaged(file: Path, content: bytes) -> Iterator[None]:
    """The file with other bytes; put back as a new file, whatever the block did with it."""
    whole = file.read_bytes()
    file.write_bytes(content)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        file.write_bytes(whole)


def recommended(workspace: Workspace) -> Any:
    return open_recommender(workspace, saved_settings(workspace)).recommend(["u1"], k=3, explain=True).to_dicts()


def described(workspace: Workspace) -> Any:
    dataset = read_dataset_of(workspace)
    return dataset.digest(), dataset.counts


def carded(workspace: Workspace) -> Any:
    return [card_of(workspace, saved_settings(workspace), method).as_dict() for method in ("isrf", "isrf-graph")]


def reasoned(workspace: Workspace) -> Any:
    report = report_reasoning(workspace, saved_settings(workspace))
    return repr(report)


def told(workspace: Workspace) -> Any:
    """What the report reads of files beside those that recommend."""
    sweep = read_metrics(workspace, workspace.root / "bench" / "sweep.json")
    model = workspace.stage("model")
    log = json.loads(model.file(TRAINING_LOG_FILE).read_text())
    return (
        read_results(workspace),
        sweep,
        log,
        findings.read_findings(workspace, findings.AUDIT_FILE),
        findings.read_findings(workspace, findings.GROUP_EFFECT_FILE),
    )


READERS: dict[str, Callable[[Workspace], Any]] = {
    "recommend": recommended,
    "data describe": described,
    "inspect --card": carded,
    "reason --report": reasoned,
    "report": told,
}


def files_of(workspace: Path) -> list[Path]:
    """Everything that is kept, stores and variants aside."""
    places = [*(workspace / stage for stage in STAGES), workspace / "bench", workspace / "inspection"]
    found = [p for place in places for p in place.rglob("*") if p.is_file() and ".sqlite" not in p.name]
    return sorted(p for p in [*found, workspace / "settings.yaml"] if p.name != ".lock")


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in turn", "every damage"])
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_shows_anything_of_a_damaged_file(
    reader: str, every: bool, looked_into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For every file: the same as before, because it is not read, or a line that names it.

    Files and readers take the kinds of damage in turn; every kind for every file of every reader is in the slow tier.
    """
    here, read = Workspace(looked_into), READERS[reader]
    whole = read(here)
    noticed = set()
    for at, file in enumerate(files_of(looked_into), list(READERS).index(reader)):
        for name in DAMAGES if every else [list(DAMAGES)[at % len(DAMAGES)]]:
            damage = DAMAGES[name]
            capsys.readouterr()
            with damaged(file, damage(file.read_bytes())):
                try:
                    found = read(here)
                except IsrfError as error:
                    assert file.name in str(error) and "\n" not in str(error), (file, name, error)
                    noticed.add(file)
                    continue
            said = " ".join(capsys.readouterr().err.split())
            if str(file) in said:
                noticed.add(file)
            else:
                assert found == whole, (file, name)
    assert read(here) == whole
    wanted = {
        "recommend": "model/generator.safetensors",
        "data describe": "dataset/interactions.parquet",
        "inspect --card": "model/fusion.json",
        "reason --report": "reasoning/users.parquet",
        "report": "evaluation/metrics.json",
    }
    assert looked_into / wanted[reader] in noticed


@pytest.mark.parametrize(
    "name",
    [
        *("evaluation/metrics.json", "bench/metrics.json", "bench/sweep.json", "model/training_log.json"),
        *("inspection/bridges.json", "inspection/audit.json", "graphs/stage.json", "reasoning/stage.json"),
    ],
)
def test_a_figure_changed_by_hand_is_in_no_report(name: str, looked_into: Path, tmp_path: Path) -> None:
    """Still JSON, still of the right form: only what was written is shown."""
    file, here = looked_into / name, Workspace(looked_into)

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed(one) for key, one in value.items()}
        return (
            [changed(one) for one in value]
            if isinstance(value, list)
            else 0.9876
            if isinstance(value, float)
            else value
        )

    document = json.loads(file.read_text())
    assert changed(document) != document
    with damaged(file, json.dumps(changed(document)).encode()), pytest.raises(IsrfError, match=file.name):
        write_report(here, saved_settings(here), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_the_command_says_it_in_one_line(looked_into: Path, tmp_path: Path) -> None:
    for name, remedy in (("bench/metrics.json", "isrf bench"), ("inspection/audit.json", "isrf audit")):
        for damage in (DAMAGES["a byte flips"], DAMAGES["empty"]):
            file = looked_into / name
            with damaged(file, damage(file.read_bytes())):
                outcome = isrf("report", looked_into, "--output", tmp_path / "r.html", obstacles=[with_charts])
                if outcome.code == 0:
                    assert "left out" in outcome.err and name in outcome.err
                else:
                    refused(outcome, name, remedy)


def test_ranks_that_are_damaged_are_made_anew_and_told_of(
    looked_into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would be the figures of a bench, or of an evaluation that goes on after a kill."""
    file = next((looked_into / "bench" / "ranks").glob("popularity-*.npz"))
    whole = [(r.method, r.task, r.candidates, r.users.tolist(), r.ranks.tolist()) for r in protocol.load_results(file)]
    content = file.read_bytes()
    for at in range(0, len(content), max(1, len(content) // 60)):
        with damaged(file, content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]):
            try:
                found = protocol.load_results(file)
            except IsrfError as error:
                assert str(file) in str(error) and "\n" not in str(error)
            else:  # of the archive's own bookkeeping, not of what is in it
                assert [(r.method, r.task, r.candidates, r.users.tolist(), r.ranks.tolist()) for r in found] == whole
    with damaged(file, flipped(content)):
        done(isrf("bench", looked_into, "--methods", "popularity"))
        assert [r.ranks.tolist() for r in protocol.load_results(file)] == [row[-1] for row in whole]


def test_an_evaluation_that_goes_on_does_not_take_damaged_ranks(
    looked_into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ws = Path(shutil.copytree(looked_into, tmp_path / "ws", symlinks=True))
    here = Workspace(ws)
    before = json.loads((ws / "evaluation" / "metrics.json").read_text())["results"]
    (ws / "evaluation" / "stage.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("isrf.pipeline.evaluate.write_markdown", lambda document, path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate_methods(here, saved_settings(here))
    ranks = ws / "evaluation" / ".partial" / "ranks-popularity.npz"
    ranks.write_bytes(flipped(ranks.read_bytes()))
    evaluate_methods(here, saved_settings(here))
    assert "ranks-popularity.npz: no ranks that can be trusted" in " ".join(capsys.readouterr().err.split())
    after = json.loads((ws / "evaluation" / "metrics.json").read_text())["results"]
    timed = ("fit_seconds", "rank_seconds")
    assert [{k: v for k, v in row.items() if k not in timed} for row in after] == [
        {k: v for k, v in row.items() if k not in timed} for row in before
    ]
