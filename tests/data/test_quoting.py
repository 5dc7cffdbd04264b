"""Cells of any length and quotation marks of every kind: read as they are meant, or told of by their line."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.readers.delimited import read_delimited, sample_rows
from isrf.data.readers.quoting import Quoting, records
from isrf.data.readers.raw import BadRows, spreadsheet_cell
from isrf.data.readers.registry import read_dataset

KEEP_ALL = DataSettings(min_interactions=0)
SKIP = DataSettings(min_interactions=0, on_bad_row="skip")
NAMES = ["item", "title", "note"]


def table_of(tmp_path: Path, content: str | bytes, policy: str = "fail", name: str = "items.csv") -> pl.DataFrame:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    bad = BadRows(policy)  # type: ignore[arg-type]
    return read_delimited(file, NAMES, ",", NAMES, bad)[0].frame


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("text", ["x" * 140_000, "x\n" * 70_000, 'say ""hi"" ' * 20_000, "y" * 6_000_000])
def test_cells_of_any_length(tmp_path: Path, text: str, ends: str) -> None:
    content = f'item,title,note{ends}a,"{text}",n{ends}b,short,"{text}"{ends}'
    for name in ("items.csv", "items.csv.gz"):
        packed = gzip.compress(content.encode(), 1) if name.endswith("gz") else content.encode()
        frame = table_of(tmp_path, packed, name=name)
        meant = text.replace('""', '"')
        assert frame["title"].to_list() == [meant, "short"] and frame["note"].to_list() == ["n", meant]
    assert len(sample_rows(tmp_path / "items.csv", len(NAMES), ",", 1_000_000)) == 2


def test_a_long_text_is_read_through_the_import(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n" + "".join(f"u{n},a\nu{n},b\n" for n in range(3)))
    (tmp_path / "items.csv").write_text('item,title\na,"' + "x " * 70_000 + '"\nb,"two\nlines"\n')
    dataset = read_dataset(str(tmp_path / "log.csv"), tmp_path / "items.csv", KEEP_ALL)
    assert dataset.catalogue["title"].str.len_chars().max() > 130_000  # type: ignore[operator]


@pytest.mark.parametrize("long", ["", "x" * 200_000, "x\n" * 100_000])
def test_an_open_quotation_mark_is_told_by_its_line(tmp_path: Path, long: str) -> None:
    content = f'item,title,note\na,b,"{long}\nmore"\nc,"open,x\n' + f"d,{long.strip()[:150_000]},f\n"
    line = 4 + long.count("\n")
    for policy in ("fail", "skip"):
        with pytest.raises(IsrfError, match=rf"row {line}: a quotation mark opens and is never closed; close"):
            table_of(tmp_path, content, policy)


def test_an_open_quotation_mark_that_another_closes_is_told_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=r"row 2: .*it spans 2 lines: is a quotation mark left open on it\?"):
        table_of(tmp_path, 'item,title,note\na,"open,x\nb,c,"closed"\n')


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        (r'"12\" name"', '12" name'),
        ('12\\" name', '12" name'),
        (r'"ends in \""', 'ends in "'),
        (r'"\"all\" of it, with a comma"', '"all" of it, with a comma'),
        ('"two \\"\nlines\\""', 'two "\nlines"'),
        (r'"C:\new and \"that\""', 'C:\\new and "that"'),
        (r'"a backslash \\ and \"q\""', 'a backslash \\ and "q"'),
    ],
)
def test_quotes_escaped_by_backslashes(tmp_path: Path, cell: str, meant: str) -> None:
    frame = table_of(tmp_path, f"item,title,note\na,{cell},n\nb,plain,n\n")
    assert frame["title"].to_list() == [meant, "plain"]


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        (r'"C:\dir\"', "C:\\dir\\"),
        (r'"json {""a"": ""x \"" y""}"', r'json {"a": "x \" y"}'),
        ('5" pipe', '5" pipe'),
        ('"doubled "" here"', 'doubled " here'),
        ('"blanks behind"  ', "blanks behind  "),
        ('"6\n"" lines"', '6\n" lines'),
        ('a "b" c', 'a "b" c'),
    ],
)
def test_quotes_of_the_usual_kind(tmp_path: Path, cell: str, meant: str) -> None:
    frame = table_of(tmp_path, f'item,title,note\na,{cell},n\nb,"two\nlines",n\n')
    assert frame["title"].to_list() == [meant, "two\nlines"]


def test_a_quote_that_is_neither_is_no_title(tmp_path: Path) -> None:
    content = 'item,title,note\na,"12" name",n\nb,c,n\n'
    with pytest.raises(IsrfError, match="row 2: a quotation mark inside quotes is neither doubled nor escaped"):
        table_of(tmp_path, content)
    assert table_of(tmp_path, content, "skip")["item"].to_list() == ["b"]


def test_a_lone_quote_beside_a_text_of_two_lines_is_no_open_one(tmp_path: Path) -> None:
    frame = table_of(tmp_path, 'item,title,note\na,12" x,"two\nlines"\nb,c,n\n')
    assert frame.rows() == [("a", '12" x', "two\nlines", 2), ("b", "c", "n", 4)]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20) | st.sampled_from(
    ["", '"', '""', ",", "\\", '\\"', "a\nb", "a\r\nb", "=1", "x" * 200]
)


def written(rows: list[list[str]], **how: object) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", **how)  # type: ignore[arg-type]
    writer.writerow(NAMES)
    writer.writerows(rows)
    return out.getvalue()


ROWS = st.lists(st.tuples(st.just("i"), CELLS, CELLS).map(list), min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_doubled_quotes_come_back(tmp_path: Path, rows: list[list[str]], quoting: int) -> None:
    found = list(records(io.StringIO(written(rows, quoting=quoting), newline=""), ",", Quoting.doubled))[1:]
    assert [record.fields for record in found] == rows
    assert all(record.fault is None and record.closed for record in found)
    assert sum(record.lines for record in found) == found[-1].number + found[-1].lines - 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_escaped_quotes_come_back(tmp_path: Path, rows: list[list[str]], quoting: int) -> None:
    text = written(rows, quoting=quoting, doublequote=False, escapechar="\\")
    found = list(records(io.StringIO(text, newline=""), ",", Quoting.escaped))[1:]
    assert [record.fields for record in found] == rows


def rejected(tmp_path: Path, log: str, items: str | None = None) -> list[dict[str, str]]:
    (tmp_path / "log.csv").write_bytes(log.encode())
    if items is not None:
        (tmp_path / "items.csv").write_bytes(items.encode())
    read_dataset(str(tmp_path / "log.csv"), tmp_path / "items.csv" if items else None, SKIP, tmp_path / "rejected.csv")
    with (tmp_path / "rejected.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rejected_rows_of_several_lines_are_kept_whole(tmp_path: Path) -> None:
    log = 'user,item,note\na,b,"one\r\ntwo\n\nthree"\n,c,"four\nfive"\na,d,x,"six\nseven"\n,e,single\na,"f\ng",x\n'
    assert {(row["row"], row["content"]) for row in rejected(tmp_path, log)} == {
        ("6", ',c,"four\nfive"'),
        ("8", 'a,d,x,"six\nseven"'),
        ("10", ",e,single"),
        ("11", 'a,"f\ng",x'),
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "＝", "＠"])
def test_cells_of_rejected_rows_are_no_formulas(tmp_path: Path, start: str) -> None:
    rows = rejected(tmp_path, f"user,item,{start}column\n{start}cmd|calc!A0,,1\na,b,1\n")
    assert rows[0]["content"] == f"'{start}cmd|calc!A0,,1"
    for value in rows[0].values():
        assert not value.startswith(start)
    assert spreadsheet_cell("plain") == "plain"
