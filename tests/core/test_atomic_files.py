"""Files that are replaced: whole or not at all, through nobody's link, over nobody's file, on the disk before they count."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.commands import full_disk

from isrf.cli.printing.recommendations import print_recommendations
from isrf.core.atomic_files import (
    discard,
    is_stream,
    leftovers,
    output_file,
    recover_folder,
    replacing_binary,
    replacing_folder,
    replacing_text,
    write_atomic,
)
from isrf.core.config import Settings, save_settings
from isrf.core.errors import IsrfError
from isrf.core.sealed_documents import write_sealed
from isrf.data.readers.raw import BadRows
from isrf.evaluation.protocol import Result, save_results
from isrf.pipeline import variants
from isrf.reasoning.answers.exchange import export_answers
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.rows import Origin
from isrf.reasoning.answers.store import open_store
from isrf.training.checkpoints import Progress, save_checkpoint
from isrf.workspace.stage import Stage


def by_output(path: Path) -> None:
    with output_file(path) as file:
        file.write(b"new" * 10_000)


def by_stream(path: Path) -> None:
    with replacing_binary(path) as file:
        file.write(b"new" * 10_000)


def by_text(path: Path) -> None:
    with replacing_text(path) as file:
        file.write("new" * 10_000)


def recommendations(format: str) -> Callable[[Path], None]:
    row = {"user_id": "u", "rank": 1, "item_id": "i", "title": "t", "score": 1.0, "shares": {}, "feature": "f"}
    rows = [row | {"reasons": ["because"], "method": "isrf"}] * 2000

    def write(path: Path) -> None:
        print_recommendations(rows, format, path)

    return write


def rejected(path: Path) -> None:
    bad = BadRows("skip")
    for row in range(2000):
        bad.reject(Path("log.csv"), row, "item_id", "empty", "x,,y")
    bad.write(path)


def ranks(path: Path) -> None:
    rows = np.arange(5000)
    save_results([Result("popularity", "sequential", "test", "all", rows, rows, 1.0, 1.0)], path)


def exported(path: Path) -> None:
    store = path.parent / "store" / "answers.sqlite"
    if not store.exists():
        origin = Origin("openai", "m", "item", "likes", "v", 1.0)
        answer = [Completion(os.urandom(100).hex(), "", False, 1, 1, 0) for _ in range(3000)]
        with open_store(store) as answers:
            answers.add((f"{n:064d}", given, origin) for n, given in enumerate(answer))
    export_answers(store, path)


def kept_settings(path: Path) -> None:
    save_settings(Settings(), path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "output": by_output,
    "stream": by_stream,
    "text": by_text,
    "write_atomic": lambda path: write_atomic(path, "new" * 10_000),
    "document": lambda path: write_sealed(path, {"rows": list(range(9000))}),  # type: ignore[dict-item, return-value]
    "settings": kept_settings,
    "--output json": recommendations("json"),
    "--output table": recommendations("table"),
    "--output parquet": recommendations("parquet"),
    "rejected rows": rejected,
    "ranks": ranks,
    "export": exported,
}
every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@every_writer
def test_what_has_a_name_like_a_temporary_one_survives(write: Callable[[Path], None], tmp_path: Path) -> None:
    others = [f"out{suffix}" for suffix in (".tmp", ".partial", f".{os.getpid()}.tmp", "~")]
    others += [".out", ".out.tmp", ".out.partial"]
    for name in others:
        (tmp_path / name).write_text("somebody's")
    write(tmp_path / "out")
    assert all((tmp_path / name).read_text() == "somebody's" for name in others)
    assert {p.name for p in tmp_path.iterdir()} - {"store"} == {"out", *others}


@every_writer
def test_no_link_is_followed(write: Callable[[Path], None], tmp_path: Path) -> None:
    """Neither one of the file's name nor of any name that could be foreseen."""
    precious = tmp_path / "precious"
    precious.write_text("somebody's")
    (tmp_path / "out").symlink_to(precious)
    for name in ("out.tmp", ".out.tmp", ".out.partial", "out.partial"):
        (tmp_path / name).symlink_to(precious)
    write(tmp_path / "out")
    assert precious.read_text() == "somebody's" and not (tmp_path / "out").is_symlink()


@every_writer
def test_a_full_disk_leaves_what_was_there_and_nothing_else(write: Callable[[Path], None], tmp_path: Path) -> None:
    out = tmp_path / "out"
    if write is exported:
        write(tmp_path / "export")
    out.write_text("before")
    before = {p.name for p in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    full_disk(100_000 if write is exported else 400)()  # a store has to be opened
    try:
        with pytest.raises((OSError, IsrfError, pl.exceptions.ComputeError)):
            write(out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert out.read_text() == "before"
    assert {p.name for p in tmp_path.iterdir()} == before


def test_two_writers_of_one_file_do_not_share_anything(tmp_path: Path) -> None:
    """Whoever ends last wins, whole."""
    out, inside = tmp_path / "out", threading.Barrier(2)

    def write(letter: bytes) -> None:
        with replacing_binary(out) as file:
            file.write(letter * 1000)
            inside.wait(10)
            file.write(letter * 1000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert out.read_bytes() in (b"a" * 2000, b"b" * 2000) and [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "write", [by_stream, by_text, *(WRITERS[name] for name in ("write_atomic", "document", "settings", "ranks"))]
)
def test_a_pipe_that_nobody_named_is_replaced_and_waited_for_by_nobody(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    """Writing into it would wait for a reader for ever, and hand it what it should not have."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    write(pipe)
    assert stat.S_ISREG(pipe.lstat().st_mode) and pipe.stat().st_size


def test_a_device_or_pipe_that_the_user_named_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        with output_file(path) as file:
            file.write(b"new" * 1000)  # what any pipe holds, as nobody reads meanwhile

    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe)
    assert os.read(reader, 100_000) == b"new" * 1000 and stat.S_ISFIFO(pipe.lstat().st_mode)
    os.close(reader)
    link.symlink_to(os.devnull)
    write(link)
    assert link.is_symlink()
    nowhere = Path(os.devnull)
    before = nowhere.stat()
    recommendations("json")(nowhere)
    assert nowhere.stat().st_ino == before.st_ino
    for path in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        assert is_stream(Path(path))
    for path in (tmp_path / "new", tmp_path, Path("/dev/shm/new"), Path("/development/x")):
        assert not is_stream(path)


def test_a_folder_is_swapped_whole(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    for n in range(3):
        with replacing_folder(folder) as new:
            assert not list(new.iterdir())
            (new / "state").write_text(str(n))
        assert (folder / "state").read_text() == str(n) and [p.name for p in tmp_path.iterdir()] == ["checkpoint"]
    with pytest.raises(ZeroDivisionError), replacing_folder(folder) as new:
        (new / "state").write_text("half")
        raise ZeroDivisionError
    assert (folder / "state").read_text() == "2" and [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_a_folder_that_is_a_link_is_not_gone_into(tmp_path: Path) -> None:
    """Of a foreign workspace: neither the folder itself, nor the one that steps aside."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("somebody's")
    for name in ("checkpoint", "checkpoint.old", "checkpoint.tmp"):
        (tmp_path / name).symlink_to(precious)
    with replacing_folder(tmp_path / "checkpoint") as new:
        (new / "state").write_text("1")
    assert (precious / "file").read_text() == "somebody's" and len(list(precious.iterdir())) == 1
    assert not (tmp_path / "checkpoint").is_symlink()
    discard(tmp_path / "checkpoint.tmp")
    assert (precious / "file").exists()
    shutil.rmtree(tmp_path / "checkpoint")
    (tmp_path / "checkpoint.old").symlink_to(precious)
    recover_folder(tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


def test_what_a_kill_leaves_is_known_and_nothing_else_is(tmp_path: Path) -> None:
    for name in ("out.tmp", ".out.tmp", ".out.0123.tmp", "out.0123456789abcdef.tmp", ".out.0123456789abcdeg.tmp"):
        (tmp_path / name).touch()
    left = tmp_path / ".out.0123456789abcdef.tmp"
    left.touch()
    assert leftovers(tmp_path) == [left] and leftovers(tmp_path / "nowhere") == []
    with replacing_binary(tmp_path / "n\n"):
        assert len(leftovers(tmp_path)) == 2


class Disk:
    """What is brought to the disk and renamed, in order: ("sync", name) and ("rename", name)."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, str]] = []
        fsync, rename, replace, unlink = os.fsync, os.rename, os.replace, os.unlink

        def synced(descriptor: int) -> None:
            self.steps.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
            fsync(descriptor)

        def renamed(to: Callable[..., None]) -> Callable[..., None]:
            def named(source: str | Path, target: str | Path) -> None:
                self.steps.append(("rename", Path(target).name))
                to(source, target)

            return named

        def unlinked(path: str | Path, **more: object) -> None:
            self.steps.append(("unlink", Path(path).name))
            unlink(path, **more)  # type: ignore[arg-type]

        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "rename", renamed(rename))
        patch.setattr(os, "replace", renamed(replace))
        patch.setattr(os, "unlink", unlinked)

    def at(self, what: str, name: str) -> int:
        """Where a step comes for the last time."""
        return max(n for n, step in enumerate(self.steps) if step == (what, name))


def test_a_file_is_on_the_disk_before_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for write in (by_output, by_stream, by_text):
        with monkeypatch.context() as patch:
            disk = Disk(patch)
            write(tmp_path / "out")
        assert [what for what, _ in disk.steps] == ["sync", "rename", "sync"]
        assert disk.steps[1:] == [("rename", "out"), ("sync", tmp_path.name)]


def test_a_stage_is_on_the_disk_before_its_record_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, "graphs")
    for _ in range(2):
        with monkeypatch.context() as patch:
            disk = Disk(patch)
            with stage.building({}, {}, {}) as folder:
                (folder / "graphs.npz").write_bytes(b"1")
                (folder / "moments.npz").write_bytes(b"2")
        for name in ("graphs.npz", "moments.npz"):
            assert disk.at("sync", name) < disk.at("rename", name) < disk.at("rename", "stage.json")
            # the folder in between: names are on the disk before the record that claims them
            between = disk.steps[disk.at("rename", name) : disk.at("rename", "stage.json")]
            assert ("sync", "graphs") in between
        assert disk.steps[disk.at("rename", "stage.json") + 1] == ("sync", "graphs")
    gone = disk.at("unlink", "stage.json")
    assert disk.steps[gone + 1] == ("sync", "graphs"), "the old record is gone from the disk before its files are"
    assert gone < disk.at("unlink", "graphs.npz")


def test_a_checkpoint_is_on_the_disk_before_the_one_before_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(2):
        with monkeypatch.context() as patch:
            disk = Disk(patch)
            save_checkpoint(tmp_path / "checkpoint", model, model.state_dict(), optimizer, Progress(1))
    first = disk.steps.index(("rename", "checkpoint.old"))
    for name in ("tensors.safetensors", "state.json"):
        assert ("sync", name) in disk.steps[:first]
    assert disk.steps[disk.at("rename", "checkpoint") + 1] == ("sync", tmp_path.name)


def test_a_lent_stage_is_on_the_disk_before_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lender, borrower = (Stage(tmp_path / name, "dataset") for name in ("one", "other"))
    with lender.building({}, {}, {}) as folder:
        (folder / "a").write_text("a")
    borrower.prepare()
    precious = tmp_path / "precious"
    precious.write_text("somebody's")
    (borrower.folder / "stage.json.tmp").symlink_to(precious)
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        variants.lend(lender, borrower)
    assert ("sync", "dataset") in disk.steps[: disk.at("rename", "stage.json")]
    assert precious.read_text() == "somebody's" and borrower.file("a").read_text() == "a"


def test_parquet_and_arrays_that_fail_half_way_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    monkeypatch.setattr(np, "savez", full)
    for write in (recommendations("parquet"), ranks):
        with pytest.raises(OSError, match="No space"):
            write(tmp_path / "out")
    assert not list(tmp_path.iterdir())
