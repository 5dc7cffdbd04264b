"""Tables without names of columns, with comments, or with a word to a spreadsheet above them: no row is lost silently."""

from __future__ import annotations

import gzip
import shlex
from pathlib import Path

import pyarrow as pa
import pytest

from isrf.core.config import load_settings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.readers.companion_files import read_supplied
from isrf.data.readers.first_line import counts_columns, looks_like_data
from isrf.data.readers.registry import read_dataset

LOG = [["u1", "B001", "5.0", "1500000000"], ["u1", "B002", "3.0", "1500000100"], ["u2", "B001", "1.0", "1500000200"]]
ITEMS = [["B001", "Lavender soap", "Meadow"], ["B002", "Rose shampoo", "Meadow"], ["B003", "Tea", "Hill"]]
AS_POSITIONS = ["data.header=none", "data.user_column=1", "data.item_column=2", "data.time_column=4"]


def text(rows: list[list[str]], separator: str = ",") -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


def read(path: Path, items: Path | None = None, *sets: str) -> Dataset:
    settings = load_settings(overrides=["data.min_interactions=0", *(quoted(value) for value in sets)])
    return read_dataset(str(path), items, settings.data)


def quoted(override: str) -> str:
    """A value that YAML may take for a number, as text."""
    name, _, value = override.partition("=")
    return f"{name}={value!r}" if value.isdigit() else override


def remedies(message: str) -> list[str]:
    """The first proposal of a message, up to its semicolon."""
    words = shlex.split(message.split("probably: ")[1].split("; or")[0])
    return [word for word in words if word != "--set"]


def write(folder: Path, name: str, content: str) -> Path:
    file = folder / name
    raw = content.encode()
    if name.endswith(".gz"):
        raw = gzip.compress(raw)
    elif name.endswith(".zst"):
        raw = pa.compress(raw, codec="zstd", asbytes=True)
    file.write_bytes(raw)
    return file


@pytest.mark.parametrize(
    ("name", "separator"),
    [
        ("log.csv", ","),
        ("log.csv", ";"),
        ("log.tsv", "\t"),
        ("log.txt", "|"),
        ("log.csv.gz", ","),
        ("log.csv.zst", ","),
    ],
)
def test_a_log_without_a_header_is_refused_and_the_remedy_reads_every_row(
    name: str, separator: str, tmp_path: Path
) -> None:
    file = write(tmp_path, name, text(LOG, separator))
    with pytest.raises(
        IsrfError, match=r"row 1 \(u1,B001,5.0,1500000000\) looks like data, so the file has no header"
    ) as caught:
        read(file)
    assert remedies(str(caught.value)) == AS_POSITIONS
    assert "--set data.header=first" in str(caught.value)
    dataset = read(file, None, *remedies(str(caught.value)))
    assert dataset.interactions.height == 3 and dataset.counts["rows read"] == 3
    assert dataset.interactions[Columns.TIME][0] == 1_500_000_000_000
    same = read(
        file, None, "data.header=none", "data.user_column=column_1", "data.item_column=column_2", "data.time_column=4"
    )
    assert same.interactions.equals(dataset.interactions)


@pytest.mark.parametrize(
    "rows",
    [
        [["7", "12"], ["7", "13"], ["8", "12"]],
        [["1", "1", "5"], ["1", "2", "5"], ["2", "1", "3"]],
        [["ann", "x1"], ["bob", "x2"], ["ann", "x1"]],
        [["ann", "tea", "2017-07-14"], ["bob", "jam", "2017-07-15"]],
        [["ann", "tea", "14/07/2017"], ["bob", "jam", "15/07/2017"]],
        [["ann", "tea", "20170714"], ["bob", "jam", "20170715"]],
        [["ann", "tea"], ["bob", "jam"], ["ann", "rye"]],
        [["ann", "B-17-x"], ["bob", "C-18-y"]],
        [["u1", "i1", "1500000000"]],
    ],
)
def test_first_rows_of_many_kinds_are_known_as_data(rows: list[list[str]], tmp_path: Path) -> None:
    file = write(tmp_path, "log.csv", text(rows))
    with pytest.raises(IsrfError, match="has no header"):
        read(file)
    with pytest.raises(IsrfError, match="has no header"):
        read(file, None, f"data.user_column={rows[0][0]}", "data.item_column=another")
    if len(rows) > 1 and rows[0][0] != rows[0][1]:
        told = read(file, None, f"data.user_column={rows[0][0]}", f"data.item_column={rows[0][1]}").warnings
        assert any("was taken for the names of columns" in line and "data.header=none" in line for line in told)
    assert read(file, None, "data.header=none", "data.user_column=1", "data.item_column=2").counts["rows read"] == len(
        rows
    )


def test_columns_that_cannot_be_known_as_data_are_doubted(tmp_path: Path) -> None:
    file = write(tmp_path, "log.csv", "ann,tea\nbob,jam\n")
    with pytest.raises(
        IsrfError, match=r"its columns are ann, tea; if these are data, --set data\.header=none says so; name"
    ):
        read(file)


def test_names_are_names_whatever_stands_below(tmp_path: Path) -> None:
    for content, sets in (
        ("user,item,2019,2020\na,x,3,4\nb,y,5,6\n", ()),
        ("wer,was\na,x\nwer,was\nb,y\n", ("data.user_column=wer", "data.item_column=was")),
        ("who,what7\na,x\nb,y\n", ("data.user_column=who", "data.item_column=what7")),
        ("7,8,9\n1,2,3\n4,5,6\n", ("data.header=first", "data.user_column=7", "data.item_column=8")),
    ):
        assert read(write(tmp_path, "log.csv", content), None, *sets).n_users >= 2


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["c1", "d1", "t1"], [[f"c{n % 5}", f"d{n % 7}", f"t{n}"] for n in range(20)]),
        (["AAA", "aaaa-b"], [["BBC", f"x{'abcdefghij'[n % 10]}yz-c"] for n in range(20)]),
        (["U7", "kind"], [[f"U{n % 10}", "soap" + "x" * n] for n in range(20)]),
    ],
)
def test_a_first_line_that_settings_name_is_read_with_a_warning(
    names: list[str], rows: list[list[str]], tmp_path: Path
) -> None:
    file = write(tmp_path, "log.csv", text([names, *rows]))
    dataset = read(file, None, f"data.user_column={names[0]}", f"data.item_column={names[1]}")
    assert dataset.counts["rows read"] == 20
    (line,) = [w for w in dataset.warnings if "was taken for the names of columns" in w]
    assert "line 1" in line and "its row is lost: --set data.header=none" in line


def test_names_that_count_columns_are_names_where_settings_say_so(tmp_path: Path) -> None:
    """As libraries write a table without names; a warning says which row is lost if it is data."""
    for header, user, item in (("0,1,2", 0, 1), (",0,1,2", 0, 1), ("1,2,3", 1, 2)):
        extra = "9," if header.startswith(",") else ""
        file = write(tmp_path, "log.csv", header + "\n" + "".join(f"{extra}{u},{i},{t}\n" for u, i, _, t in LOG))
        with pytest.raises(IsrfError, match=r"has no header.*data\.header=first"):
            read(file)
        dataset = read(file, None, f"data.user_column={user}", f"data.item_column={item}")
        assert dataset.counts["rows read"] == 3
        assert any("was taken for the names of columns" in w and "data.header=none" in w for w in dataset.warnings)
    assert counts_columns(["1", "2"]) and not counts_columns(["1", "3"])


@pytest.mark.parametrize("name", ["items.csv", "items.tsv", "items.csv.gz"])
def test_a_catalogue_without_a_header(name: str, tmp_path: Path) -> None:
    log = write(tmp_path, "log.csv", text([["user", "item", "x", "time"], *LOG]))
    items = write(tmp_path, name, text(ITEMS, "\t" if "tsv" in name else ","))
    with pytest.raises(
        IsrfError, match=r"items.*row 1 \(B001,Lavender soap,Meadow\) looks like data, so the file has no header"
    ) as caught:
        read(log, items)
    assert remedies(str(caught.value)) == ["data.catalogue_header=none", "data.title_column=2"]
    dataset = read(log, items, *remedies(str(caught.value)), "data.brand_column=3")
    assert dataset.catalogue.rows() == [(i, t, b) for i, t, b in ITEMS]
    assert any("its first column was taken for the item ids" in line for line in dataset.warnings)
    moved = write(tmp_path, name, text([[t, i, b] for i, t, b in ITEMS], "\t" if "tsv" in name else ","))
    given = ("data.catalogue_header=none", "data.catalogue_item_column=2", "data.title_column=1")
    assert read(log, moved, *given).catalogue[Columns.TITLE].to_list() == [t for _, t, _ in ITEMS]
    bare = write(tmp_path, "bare.csv", text(LOG))
    assert read(bare, items, *AS_POSITIONS, *given).n_items == 3, "positions of the log are not those of the catalogue"


def test_the_item_column_of_a_catalogue_alone(tmp_path: Path) -> None:
    log = write(tmp_path, "log.csv", "user,item\na,x\n")
    items = write(tmp_path, "items.csv", "item,code,title\n1,x,X\n")
    assert read(log, items, "data.catalogue_item_column=code").catalogue.rows()[0][:2] == ("x", "X")
    with pytest.raises(IsrfError, match=r"items\.csv: no column 'kode' \(data.catalogue_item_column\)"):
        read(log, items, "data.catalogue_item_column=kode")


@pytest.mark.parametrize(
    "above",
    ["sep=;\n", '"sep=;"\n', "SEP=;\r\n", "# made by a shop\n", "# one\n#two, with; signs\nsep=;\n", "% a, b\n"],
)
@pytest.mark.parametrize("ends", ["", '"'])
def test_lines_above_the_names(above: str, ends: str, tmp_path: Path) -> None:
    """By the fast reader, and by the one that goes row by row (a line break in quotes)."""
    body = "user;item;note\n" + 'a;x;"two\nlines"\nb;y;z\n' if ends else "user;item;note\na;x;y\nb;y;z\n"
    dataset = read(write(tmp_path, "log.csv", above + body))
    assert dataset.counts["rows read"] == 2 and set(dataset.interactions[Columns.ITEM]) == {"x", "y"}
    assert any("comment at its beginning were passed over" in line for line in dataset.warnings) == (
        "sep" not in above.lower()
    )
    with pytest.raises(IsrfError, match=f"row {above.count(chr(10)) + 2}, column item: empty item id"):
        read(write(tmp_path, "log.csv", above + "user;item;note\na;;y\n"))
    bare = write(tmp_path, "log.csv", above + "a;x;y\nb;y;z\n")
    dataset = read(bare, None, "data.header=none", "data.user_column=1", "data.item_column=2")
    assert dataset.counts["rows read"] == 2


def test_a_name_that_begins_like_a_comment(tmp_path: Path) -> None:
    assert read(write(tmp_path, "log.csv", "#user,item\na,x\nb,y\n")).counts["rows read"] == 2
    assert read(write(tmp_path, "log.csv", "#;user;item\n1;a;x\n2;b;y\n")).counts["rows read"] == 2


def test_files_of_a_given_split_and_of_the_audit(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        write(tmp_path, f"{part}.csv", text(LOG))
    with pytest.raises(IsrfError, match="has no header"):
        read(tmp_path, None, "data.split=given")
    edges = write(tmp_path, "edges.csv", text(LOG))
    settings = load_settings(overrides=[quoted(s) for s in AS_POSITIONS]).data
    (part,) = read_supplied(edges, settings)
    assert part.frame.rows() == [(u, i) for u, i, _, _ in LOG]


def test_rows_that_are_all_alike_say_nothing() -> None:
    assert not looks_like_data(["a1", "b1"], [["a1", "b1"], ["a1", "b1"]])
