"""One command at a time, from its settings to its table; what kills leave; bookkeeping that is damaged."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tests.commands import Running, done, isrf, refused, run_small, settings, signal_at, stage_info

from isrf.core.config import Settings, load_settings, save_settings
from isrf.core.errors import IsrfError
from isrf.core.locks import LOCK, alone, held
from isrf.core.sealed_documents import SEAL, write_sealed
from isrf.pipeline.evaluation_document import read_evaluation
from isrf.ranking.storage import has_model
from isrf.recommender.open import open_workspace
from isrf.workspace import findings
from isrf.workspace.layout import STAGES
from isrf.workspace.partial_folder import CLAIM, PARTIAL, RETRY, SPENT
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.stage import Stage
from isrf.workspace.workspace import Workspace

TAKEN = "another isrf command"


def paused(running: Running) -> None:
    """Wait until a command has stopped itself."""
    assert running.process.pid is not None
    for _ in range(3000):
        if Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        assert running.process.is_alive(), running.end().err
        time.sleep(0.01)
    raise AssertionError("it did not stop")


@pytest.mark.parametrize(
    "place",
    [
        "isrf.pipeline.run:import_data",
        "isrf.pipeline.run:embed",
        "isrf.pipeline.run:evaluate_methods",
        "isrf.cli.printing.results:print_results",
    ],
)
def test_a_run_that_is_paused_between_two_stages_holds_the_workspace(place: str, source: str, tmp_path: Path) -> None:
    """From before its settings are kept until its table is printed; what it ends with is its own."""
    ws = tmp_path / "ws"
    arguments = ["run", "--data", source, "--out", ws, "--no-train", *settings()]
    running = Running(arguments, {}, [signal_at(place, signal.SIGSTOP)])
    paused(running)
    others = [
        ("run", "--data", source, "--out", ws, "--no-train", *settings("graphs.tau=0.5")),
        *((("graph", ws), ("evaluate", ws)) if "evaluate" in place else ()),
    ]
    for other in others:
        refused(isrf(*other), TAKEN)
    running.signal(signal.SIGCONT)
    outcome = done(running.end())
    assert "NDCG@10" in outcome.out
    assert load_settings(base=ws / "settings.yaml").graphs.tau == 0.8 == stage_info(ws, "graphs")["settings"]["tau"]
    done(isrf("evaluate", ws))


def test_within_a_command_that_holds_it_everything_may_write_one_at_a_time(tmp_path: Path) -> None:
    with held(tmp_path) as outermost, held(tmp_path) as inner:
        assert outermost and not inner
        for _ in range(2):
            with alone(tmp_path), pytest.raises(IsrfError, match=TAKEN), alone(tmp_path):
                pass
        found: list[BaseException] = []

        def other(way: object) -> None:
            try:
                with way(tmp_path):  # type: ignore[operator]
                    pass
            except IsrfError as error:
                found.append(error)

        for way in (held, alone):  # another thread is as another command
            thread = threading.Thread(target=other, args=(way,))
            thread.start()
            thread.join()
        assert len(found) == 2 and all(TAKEN in str(error) for error in found)
    with alone(tmp_path):
        pass


def test_a_lock_that_is_none(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("somebody's")
    lock = tmp_path / LOCK
    for make, what in ((lock.mkdir, "folder"), (lambda: lock.symlink_to(precious), "link")):
        make()
        for way in (held, alone):
            with pytest.raises(IsrfError, match=rf"\.lock: is a {what}.*delete the {what}"), way(tmp_path):
                pass
        lock.rmdir() if what == "folder" else lock.unlink()
    assert precious.read_text() == "somebody's"


def test_whoever_reads_notices_that_another_command_finished_a_stage(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither graphs of one state and a model of another, nor a line about a damaged file."""
    here = Workspace(workspace)
    for name in ("graphs", "model", "dataset"):

        def changing(*args: object, name: str = name) -> object:
            info = stage_info(workspace, name)
            write_sealed(workspace / name / "stage.json", info)
            raise KeyError("whatever that leads to") if name == "dataset" else None
            return None

        monkeypatch.setattr("isrf.recommender.open.read_reasoned", changing)
        with pytest.raises(IsrfError, match="changed it while it was read; run again"):
            open_workspace(here, saved_settings(here))


def test_a_build_that_was_finished_is_cleared_away_and_one_that_was_not_is_kept(workspace: Path, source: str) -> None:
    """Killed after the record was written; and stopped under other settings, to be gone on with."""
    for stage in STAGES:
        left = workspace / stage / PARTIAL
        left.mkdir()
        (left / CLAIM).write_text(stage_info(workspace, stage)["key"])
        (left / "half").write_text("x")
    (workspace / "model" / PARTIAL / CLAIM).write_text("0" * 64)
    (workspace / "graphs" / PARTIAL / CLAIM).unlink()
    (workspace / "ranking" / PARTIAL / "half").unlink()
    (workspace / "ranking" / PARTIAL / CLAIM).write_text("1" * 64)
    temporary = workspace / "graphs" / ".stage.json.0123456789abcdef.tmp"
    mine = workspace / "graphs" / "stage.json.tmp"
    for path in (temporary, mine):
        path.write_text("x")
    assert "nothing changed" in done(run_small(source, workspace)).err
    assert [path.parent.name for path in workspace.rglob(PARTIAL)] == ["model"]
    assert not temporary.exists() and mine.exists()


def test_a_kill_after_the_record_leaves_nothing_that_stays(untrained: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    (ws / "graphs" / "stage.json").unlink()
    outcome = isrf("graph", ws, obstacles=[signal_at("isrf.workspace.stage:write_atomic", signal.SIGKILL, after=True)])
    assert outcome.code == -signal.SIGKILL and (ws / "graphs" / PARTIAL).exists()
    done(isrf("graph", ws))
    assert not list(ws.rglob(PARTIAL))


@pytest.mark.parametrize("stage", STAGES)
def test_a_record_that_is_gone_is_told_of(stage: str, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files without what proves them count as not made, and whoever goes on without them says so."""
    (workspace / stage / "stage.json").unlink()
    here = Workspace(workspace)
    assert here.stage(stage).info() is None
    told = " ".join(capsys.readouterr().err.split())
    assert f"{workspace / stage}: has files and no stage.json" in told and here.stage(stage).command(stage) in told
    with pytest.raises(IsrfError, match=rf"stage '{stage}' has files and no stage\.json that proves them"):
        here.stage(stage).require()


def test_recommend_says_that_the_model_is_left_out(workspace: Path) -> None:
    (workspace / "model" / "stage.json").unlink()
    outcome = done(isrf("recommend", workspace, "--user", "u1", "--format", "json"))
    assert json.loads(outcome.out)[0]["method"] == "isrf-graph"
    assert "no stage.json" in outcome.err and f"isrf train {workspace}" in outcome.err


def test_nothing_is_told_of_a_stage_that_was_never_made(untrained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = Workspace(untrained)
    assert not has_model(here) and here.stage("model").info() is None and read_evaluation(here) is not None
    assert "stage.json" not in capsys.readouterr().err


def test_a_workspace_of_an_older_isrf_is_read_and_given_digests(workspace: Path, source: str) -> None:
    """Its records had no digest of themselves; settings no first line. Documents beside stages are made anew."""
    for stage in STAGES:
        info = stage_info(workspace, stage)
        del info[SEAL]
        (workspace / stage / "stage.json").write_text(json.dumps(info, indent=2, ensure_ascii=False))
    kept_before = (workspace / "settings.yaml").read_text().partition("\n")[2]
    (workspace / "settings.yaml").write_text(kept_before)
    rows = done(isrf("recommend", workspace, "--user", "u1", "--format", "json"))
    assert json.loads(rows.out)[0]["method"] == "isrf" and "isrf wrote it" not in rows.err
    outcome = done(run_small(source, workspace))
    assert "7 records of stages by an older isrf" in outcome.err and outcome.err.count("nothing changed, kept") == 7
    assert all(SEAL in stage_info(workspace, stage) for stage in STAGES)


def test_settings_that_are_not_as_they_were_written_are_told_of(workspace: Path) -> None:
    file = workspace / "settings.yaml"
    file.write_text(file.read_text().replace("tau: 0.8", "tau: 0.9"))
    outcome = done(isrf("recommend", workspace, "--user", "u1"))
    assert f"{file}: is not as isrf wrote it" in " ".join(outcome.err.split())
    file.write_bytes(b"\xff" + file.read_bytes())
    refused(isrf("recommend", workspace, "--user", "u1"), str(file), "delete it")


def built(stage: Stage, settings: dict[str, object]) -> bool:
    """Build a stage; whether a file of an earlier attempt was there."""
    with stage.building({}, dict(settings), {}) as folder:
        found = (folder / "half").exists()
        (folder / "half").write_text("x")
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ("format", "stage", "key", "inputs", "settings", "versions", "seconds", "files", "notes", SEAL)


@given(st.sampled_from(FIELDS), JSON | st.just("gone"), st.booleans())
@example("format", 10**400, True)
@example("files", {"half": {"bytes": 1}}, True)
@example("files", {"half": None}, False)
@example("files", {"../../etc/passwd": {"bytes": True, "sha256": None}}, True)
@examples(max_examples=70, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damaged_record_is_one_line_with_a_remedy_that_works(
    tmp_path: Path, field: str, value: object, resealed: bool
) -> None:
    shutil.rmtree(tmp_path / "graphs", ignore_errors=True)
    stage = Stage(tmp_path, "graphs")
    built(stage, {})
    record = stage.folder / "stage.json"
    info = json.loads(record.read_text())
    whole = dict(info)
    if value == "gone":
        info.pop(field)
    else:
        info[field] = value
    if resealed:  # as somebody would who wants to be believed: what is read must be there all the same
        write_sealed(record, info)
    else:
        record.write_text(json.dumps(info))
    try:
        found = Stage(tmp_path, "graphs").info()
    except IsrfError as error:
        assert str(record) in str(error) and "\n" not in str(error)
        assert "delete it, and make the stage anew" in str(error) or "new folder" in str(error)
        record.unlink()
        assert built(stage, {}) is False and stage.require()
    else:
        assert found is not None and (resealed or field == SEAL or found == whole or value == whole[field])
        for name in found["files"]:
            with pytest.raises(IsrfError) if name != "half" or found["files"] != whole["files"] else _nothing():
                stage.left(name)


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@given(
    st.dictionaries(
        st.sampled_from((CLAIM, RETRY, SPENT)),
        st.binary(max_size=70) | st.sampled_from([b"nan", b"inf", b"-1", b"1e999", b"5", b"\xff\xfe", b""]),
        max_size=3,
    ),
    st.sampled_from(["", "file", "link", "dangling", "folder inside"]),
)
@examples(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damaged_bookkeeping_of_a_build_is_no_obstacle(
    tmp_path: Path, contents: dict[str, bytes], instead: str
) -> None:
    shutil.rmtree(tmp_path / "graphs", ignore_errors=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "precious").write_text("somebody's")
    stage = Stage(tmp_path, "graphs")
    stage.prepare()
    if instead == "file":
        stage.partial.write_text("x")
    elif instead in ("link", "dangling"):
        stage.partial.symlink_to(elsewhere if instead == "link" else tmp_path / "nowhere")
    else:
        stage.partial.mkdir()
        for name, content in contents.items():
            (stage.partial / name).mkdir() if instead else (stage.partial / name).write_bytes(content)
    assert built(stage, {}) is False
    info = stage.require()
    assert 0 <= info["seconds"] < 1e6 and set(info["files"]) == {"half"}
    assert not stage.partial.exists() and not stage.partial.is_symlink()
    assert (elsewhere / "precious").read_text() == "somebody's" and len(list(elsewhere.iterdir())) == 1


def test_links_in_a_build_that_goes_on_are_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("somebody's")
    stage = Stage(tmp_path, "graphs")
    with pytest.raises(KeyboardInterrupt), stage.building({}, {}, {}) as folder:
        (folder / "kept").write_text("x")
        (folder / "half").symlink_to(precious)
        raise KeyboardInterrupt
    with stage.building({}, {}, {}) as folder:
        assert (folder / "kept").exists()
        (folder / "half").write_text("mine")
    assert precious.read_text() == "somebody's" and stage.file("half").read_text() == "mine"


def test_a_stage_whose_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "graphs").write_text("x")
    with pytest.raises(IsrfError, match=r"graphs: is not a folder.*move it away"):
        Stage(tmp_path, "graphs").prepare()


def test_settings_of_any_bytes_are_read_or_refused_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    save_settings(Settings(), file)
    whole = file.read_bytes()
    for at in range(0, len(whole), 97):
        file.write_bytes(whole[:at] + b"\x00" + whole[at + 1 :])
        with pytest.raises(IsrfError, match="delete it"):
            load_settings(base=file)


def test_documents_say_what_makes_them_anew(workspace: Path) -> None:
    here = Workspace(workspace)
    findings.save_findings(here, findings.AUDIT_FILE, {findings.SOURCE_DIGESTS: {}, "findings": []})
    file = workspace / "inspection" / "audit.json"
    assert (
        findings.read_findings(here, findings.AUDIT_FILE) is not None
        and findings.read_findings(here, findings.GROUP_EFFECT_FILE) is None
    )
    for content in (b"", b"{", b"[]", b"\xff", file.read_bytes().replace(b"[]", b'["x"]')):
        file.write_bytes(content)
        with pytest.raises(IsrfError, match=r"audit\.json: damaged.*isrf audit"):
            findings.read_findings(here, findings.AUDIT_FILE)
    file.write_text(json.dumps({"of": {}, "findings": []}))
    assert findings.read_findings(here, findings.AUDIT_FILE) is None, (
        "an older isrf wrote it: nobody knows whether it is whole"
    )
