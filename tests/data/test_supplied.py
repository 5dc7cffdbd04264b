"""Files beside a log: every form that the audit reads, and what it says of those it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.data.data_writers import write_p5
from tests.reviews import write_reviews

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.readers.companion_files import (
    NEGATIVES,
    TEST,
    TEXTS,
    TRAIN,
    VALID,
    Supplied,
    beside_p5,
    in_ids_of,
    read_supplied,
)

SETTINGS = DataSettings()


def read(file: Path, text: str) -> list[Supplied]:
    file.write_text(text, encoding="utf-8")
    return read_supplied(file, SETTINGS)


def test_an_edge_list(tmp_path: Path) -> None:
    (edges,) = read(tmp_path / "edges.csv", "user_id,weight,item_id\na,1,x\nb,2,y\n")
    assert (edges.label, edges.kind, edges.frame.rows()) == ("edges.csv", TRAIN, [("a", "x"), ("b", "y")])


def test_a_split_in_csv_and_parquet(tmp_path: Path) -> None:
    text = "user,item,split\na,x,Train\na,y,val\na,z,test\nb,x,Train\n"
    parts = read(tmp_path / "split.tsv", text.replace(",", "\t"))
    pl.read_csv(text.encode()).write_parquet(tmp_path / "split.parquet")
    for found in (parts, read_supplied(tmp_path / "split.parquet", SETTINGS)):
        assert [(p.kind, p.frame.rows()) for p in found] == [
            (TRAIN, [("a", "x"), ("b", "x")]),
            (VALID, [("a", "y")]),
            (TEST, [("a", "z")]),
        ]
    assert [p.label for p in parts] == ["split.tsv train", "split.tsv val", "split.tsv test"]


def test_prompts_as_texts_as_messages_and_as_items(tmp_path: Path) -> None:
    lines = [
        {"user_id": "a", "prompt": "bought a lamp"},
        {"user_id": 7, "messages": [{"role": "user", "content": "bought a chair"}], "score": 0.5},
        {"user_id": "b", "history": ["x", 3]},
    ]
    items, texts = read(tmp_path / "p.jsonl", "\n".join(json.dumps(line) for line in lines))
    assert (items.kind, items.frame.rows()) == (TRAIN, [("b", "x"), ("b", "3")])
    assert texts.kind == TEXTS
    assert set(texts.frame.rows()) >= {("a", "bought a lamp"), ("7", "bought a chair")}


def test_what_lies_in_a_p5_folder(tmp_path: Path) -> None:
    """Reviews by their own parts and negatives, in original ids; nothing where there is neither."""
    folder = Path(write_reviews(tmp_path / "p5").removeprefix("p5:"))
    (folder / "negative.txt").write_text("1 1 2\n2 3\n")
    train, valid, test, negatives = beside_p5(folder, SETTINGS)
    assert [p.label for p in (train, valid, test)] == [f"explanation.json {p}" for p in ("train", "val", "test")]
    assert valid.frame.height == 20 and train.frame.height > test.frame.height > 0
    assert (negatives.kind, negatives.frame.rows()) == (NEGATIVES, [("u0", "tea-0"), ("u0", "tea-1"), ("u1", "tea-2")])
    edges = Supplied("edges.csv", TRAIN, pl.DataFrame({"user_id": ["1", "u1"], "item_id": ["2", "tea-0"]}))
    assert in_ids_of(edges, folder).frame.rows() == [("u0", "tea-1"), ("u1", "tea-0")]
    (tmp_path / "bare").mkdir()
    write_p5(tmp_path / "bare", [("a", "x", 1), ("a", "y", 2)], [("x", "", ""), ("y", "", "")])
    assert beside_p5(tmp_path / "bare", SETTINGS) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("edges.csv", "user_id,item_id\na,\n", "row 2, column item_id: empty item id"),
        ("edges.csv", "who,item_id\na,x\n", "no user column found"),
        (
            "split.csv",
            "user_id,item_id,split\na,x,later\n",
            "column split: 'later' is not a part.*train, valid or test",
        ),
        ("p.jsonl", '{"user": "a", "prompt": "x"}\n{"prompt": "y"}\n', "row 2: no user"),
        ("p.jsonl", '{"user": "a"', "row 1: not readable as a JSON record"),
        ("p.jsonl", '["a"]', "row 1: not readable.*is not a record"),
        ("p.jsonl", "\n", "holds no items and no texts"),
        ("notes.md", "hello", "--against takes"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=words):
        read(tmp_path / name, text)


def test_a_missing_file_and_negatives_of_somebody_unknown(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match="no such file; check --against"):
        read_supplied(tmp_path / "edges.csv", SETTINGS)
    folder = Path(write_reviews(tmp_path / "p5").removeprefix("p5:"))
    for line, words in (("999 1", "user '999' is not in id2user"), ("1 9999", "item '9999' is not in id2item")):
        with pytest.raises(IsrfError, match=f"row 1: {words}"):
            read(folder / "negative.txt", line)
