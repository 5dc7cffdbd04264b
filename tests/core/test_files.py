"""Files by their very names: what looks like a pattern or an address, what is no regular file, what no name can be."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from isrf.core.errors import IsrfError
from isrf.core.files import opened, require_text_name, shown
from isrf.core.system_errors import line_of
from isrf.core.tables import open_arrays, read_table, save_arrays, table_schema, write_table

ODD_NAMES = [
    "log[1]",
    "log[!1]",
    "a*b",
    "a?b",
    "{a,b}",
    "**",
    "~",
    "$HOME",
    "%20",
    "s3:x",
    "file:x",
    "x::y",
    "hf:x",
    " ends in a blank ",
    "two\nlines",
    "a#b",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_tables_and_arrays_of_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside the files that the name would stand for as a pattern, and as a relative path."""
    monkeypatch.chdir(tmp_path)
    for other in ("log1", "axb", "a", "b", "x"):
        write_table(pl.DataFrame({"other": [other]}), Path(other))
        save_arrays(Path(f"{other}.npz"), other=np.arange(3))
    file, arrays = Path(name), Path(f"{name}.npz")
    write_table(pl.DataFrame({"a": [1, 2]}), file)
    save_arrays(arrays, a=np.arange(5))
    assert file.is_file() and list(table_schema(file)) == ["a"]
    assert read_table(file)["a"].to_list() == [1, 2]
    assert read_table(file, ["a"], rows=1).height == 1
    with open_arrays(arrays) as found:
        assert found["a"].tolist() == [0, 1, 2, 3, 4]
    file.unlink()
    with pytest.raises(IsrfError, match="no such file"):
        read_table(file)


def test_what_is_no_regular_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "round").symlink_to("round")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path, said in (
            (tmp_path / "pipe", "is a pipe where a file is needed"),
            (tmp_path / "socket", "is a socket where a file is needed"),
            (tmp_path / "folder", "is a folder where a file is needed"),
            (Path("/dev/zero"), "is a device where a file is needed"),
            (tmp_path / "none", "no such file; check the path"),
            (tmp_path / "none" / "none", "no such file"),
            (tmp_path / "round", "cannot be read"),
            (tmp_path / ("a" * 300), "the name is too long"),
            (tmp_path / "a\0b", "no file can have this name"),
        ):
            with pytest.raises(IsrfError) as caught:
                opened(path)
            assert said in str(caught.value) and "\n" not in str(caught.value)


def test_names_are_shown_readably() -> None:
    assert shown(os.fsdecode(b"log\xff.csv")) == "log\\xff.csv"
    assert shown("two\nlines\x1b[2J") == "two\\nlines\\x1b[2J"
    assert len(shown("b/" + "a" * 5000)) < 100
    require_text_name(Path("ünï"), "--out")
    with pytest.raises(IsrfError, match=r"--out ws\\xff: the name is not UTF-8 text"):
        require_text_name(Path(os.fsdecode(b"ws\xff")), "--out")


def test_what_the_system_refuses_about_names_is_one_line(tmp_path: Path) -> None:
    for name in ("a" * 300, "a" * 300 + "/b"):
        with pytest.raises(OSError) as caught:
            (tmp_path / name).mkdir()
        assert "the name is too long" in str(line_of(caught.value))
    assert line_of(ValueError("of ours")) is None


def test_arrays_that_are_none_or_claim_too_much(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    for content in (b"", b"PK", b"\x93NUMPY"):
        file.write_bytes(content)
        with pytest.raises(IsrfError, match="not readable"), open_arrays(file):
            pass
