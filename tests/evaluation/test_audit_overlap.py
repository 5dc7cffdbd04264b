"""Files beside a log held against its held-out items, and names of items in texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.readers.companion_files import NEGATIVES, TEST, TEXTS, TRAIN, Supplied, read_supplied
from isrf.data.readers.registry import read_dataset
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import NEW_ITEMS, NEW_USERS, Split
from isrf.data.training_data import Catalogue
from isrf.evaluation.audit.counts import split_findings
from isrf.evaluation.audit.findings import Finding
from isrf.evaluation.audit.item_names import Names, another, catalogue_findings, text_findings
from isrf.evaluation.audit.overlap import supplied_findings

COLOURS = ("red", "green", "blue", "white", "black")
THINGS = ("lamp", "chair", "table", "shelf", "carpet", "mirror", "basket", "candle")


def shop(texts: dict[str, str] | None = None) -> Split:
    """50 people with 5 of 40 items each, at random; ids "sku-000" and titles "red lamp for home"."""
    rng = np.random.default_rng(4)
    names = [f"{c} {t} for home" for c in COLOURS for t in THINGS]
    ids = [f"sku-{n:03}" for n in range(len(names))]
    rows = [(f"u{u}", ids[i]) for u in range(50) for i in rng.choice(len(ids), size=5, replace=False)]
    table = {Columns.USER: [u for u, _ in rows], Columns.ITEM: [i for _, i in rows], Columns.ORDER: range(len(rows))}
    log = pl.DataFrame(table).with_columns(pl.lit(None, dtype=pl.Int64).alias(Columns.TIME))
    told = [(texts or {}).get(i, "") for i in ids]
    return leave_one_out(
        Dataset("shop", log, pl.DataFrame({Columns.ITEM: ids, Columns.TITLE: names, Columns.DESCRIPTION: told}))
    )


def dated(split: Split) -> Split:
    """A split at a date in the same shop: two people come with test, and two others go on to an item that nobody had."""
    ids = split.training.catalogue.ids
    rows = [(u, i, "train") for u, i in trained(split) if i != ids[0]]
    rows += [(u, i, "valid") for u, i in held(split, "valid") if i != ids[0]]
    rows += [("u0", ids[0], "test"), ("u1", ids[0], "test"), ("u2", ids[1], "test")]
    rows += [("stranger", ids[1], "test"), ("visitor", ids[2], "test")]
    log = pl.DataFrame(rows, schema=[Columns.USER, Columns.ITEM, Columns.PART], orient="row").with_row_index(
        Columns.ORDER
    )
    log = log.with_columns(pl.lit(None, dtype=pl.Int64).alias(Columns.TIME))
    return split_of(Dataset("dated shop", log, split.training.catalogue.table, protocol="at a date"))


def held(split: Split, part: str) -> list[tuple[str, str]]:
    """Held-out pairs in original ids."""
    users = split.users(part)
    items = split.targets(part)[users]
    return [(split.user_ids[u], split.training.catalogue.ids[i]) for u, i in zip(users, items, strict=True)]


def trained(split: Split) -> list[tuple[str, str]]:
    histories = split.training.histories
    pairs = zip(histories.rows().tolist(), histories.items.tolist(), strict=True)
    return [(split.training.user_ids[u], split.training.catalogue.ids[i]) for u, i in pairs]


def frame(pairs: list[tuple[str, str]], second: str = Columns.ITEM) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={Columns.USER: pl.String, second: pl.String}, orient="row")


def found(split: Split, *files: Supplied) -> dict[str, Finding]:
    return {f.name: f for f in supplied_findings(files, split, Names.of(split.training.catalogue))}


def test_edges_that_hold_test_items_leak_and_those_of_training_do_not() -> None:
    split = shop()
    clean = found(split, Supplied("edges.csv", TRAIN, frame(trained(split))))
    assert {f.verdict for f in clean.values()} == {"clean"}
    leaking = found(split, Supplied("edges.csv", TRAIN, frame(trained(split) + held(split, "test")[:5])))
    assert leaking["edges.csv: test pairs in it"].verdict == "leak"
    assert leaking["edges.csv: test pairs in it"].value == pytest.approx(0.1)
    assert leaking["edges.csv: validation pairs in it"].verdict == "clean"


@pytest.mark.parametrize(("part", "users"), [(NEW_ITEMS, 2), (NEW_USERS, 2)])
def test_pairs_that_are_reported_apart_are_looked_for_as_well(part: str, users: int) -> None:
    split = dated(shop())
    pairs = held(split, part)
    assert len(pairs) == users
    told = found(split, Supplied("edges.csv", TRAIN, frame([*trained(split), pairs[0]])))
    assert told[f"edges.csv: {part}: pairs in it"].verdict == "leak"
    assert told[f"edges.csv: {part}: pairs in it"].value == pytest.approx(0.5)
    assert [f.verdict for f in told.values()].count("clean") == len(told) - 1
    said = found(split, Supplied("p.jsonl", TEXTS, frame([(pairs[0][0], f"next would be {pairs[0][1]}")], "text")))
    assert said[f"p.jsonl: {part}: items named"].verdict == "leak"


def test_what_is_reported_apart_is_counted_where_items_of_test_are_counted() -> None:
    name = "test items that nobody has in training"
    told = {f.name: f for f in split_findings(dated(shop()))}[name]
    assert "2 users whose target is a new item and 2 new users are no part of this share" in told.meaning
    assert "reported apart" not in {f.name: f for f in split_findings(shop())}[name].meaning


def test_a_split_without_new_people_and_items_says_nothing_of_them() -> None:
    assert not [name for name in found(shop(), Supplied("e.csv", TRAIN, frame(trained(shop())))) if "new" in name]


def test_parts_of_a_split_are_held_against_each_other_and_against_ours() -> None:
    split = shop()
    training = trained(split)
    files = [
        Supplied("split.csv", TRAIN, frame([*training[10:], held(split, "test")[0]]), "train"),
        Supplied("split.csv", TEST, frame(held(split, "test")[1:] + training[:10] + training[20:22]), "test"),
    ]
    told = found(split, *files)
    assert told["split.csv train: test pairs in it"].value == pytest.approx(1 / 50)
    other = told["split.csv test: pairs that this split trains on"]
    assert (other.value, other.verdict) == (pytest.approx(12 / 61), "note")
    twice = told["split.csv: pairs in two of its parts"]
    assert (twice.value, twice.verdict) == (2.0, "leak")


def test_negatives_that_hold_the_answer() -> None:
    split = shop()
    told = found(split, Supplied("negative.txt", NEGATIVES, frame(held(split, "test")[:10] + trained(split)[:10])))
    finding = told["negative.txt: test items among their own negatives"]
    assert (finding.value, finding.verdict) == (pytest.approx(0.2), "note")
    assert "50.00% of them bought in training" in finding.meaning


@pytest.mark.parametrize("by", ["id", "title"])
def test_prompts_that_name_the_test_item(by: str) -> None:
    """The published prompts: the last items of whole sequences. Those of training sequences are no alarm."""
    split = shop()
    catalogue = split.training.catalogue

    def prompts(pairs: list[tuple[str, str]]) -> Supplied:
        titles = {i: i if by == "id" else t.upper() for i, t in zip(catalogue.ids, catalogue.titles, strict=True)}
        return Supplied("prompts.jsonl", TEXTS, frame([(u, f"Bought: {titles[i]}; ...") for u, i in pairs], "text"))

    clean = found(split, prompts(trained(split)))
    assert {f.verdict for f in clean.values()} == {"clean"}
    leaking = found(split, prompts(trained(split) + held(split, "test")))["prompts.jsonl: test items named"]
    assert (leaking.value, leaking.verdict) == (1.0, "leak")
    assert f"by {by} 50" in leaking.meaning


def test_one_id_is_enough() -> None:
    split = shop()
    user, item = held(split, "test")[7]
    told = found(split, Supplied("p.jsonl", TEXTS, frame([(user, f"next would be {item}")], "text")))
    assert told["p.jsonl: test items named"].verdict == "leak"


def test_ids_that_are_ordinary_words_are_proof_no_more_than_titles() -> None:
    """Everybody's text has the words "lamp" and "chair", which are ids here: no alarm. Each with their own: a leak."""
    rng = np.random.default_rng(4)
    words = [chr(97 + n % 26) * 3 + chr(97 + n // 26) * 3 for n in range(40)]
    rows = [(f"u{u}", words[i]) for u in range(50) for i in rng.choice(40, size=5, replace=False)]
    table = {Columns.USER: [u for u, _ in rows], Columns.ITEM: [i for _, i in rows], Columns.ORDER: range(len(rows))}
    log = pl.DataFrame(table).with_columns(pl.lit(None, dtype=pl.Int64).alias(Columns.TIME))
    split = leave_one_out(Dataset("shop", log, pl.DataFrame({Columns.ITEM: words, Columns.TITLE: [""] * 40})))
    everything = [(u, " ".join(words)) for u in split.training.user_ids]
    assert (
        found(split, Supplied("p.jsonl", TEXTS, frame(everything, "text")))["p.jsonl: test items named"].verdict
        == "clean"
    )
    own = found(split, Supplied("p.jsonl", TEXTS, frame(held(split, "test"), "text")))["p.jsonl: test items named"]
    assert (own.value, own.verdict) == (1.0, "leak")


def test_texts_that_name_items_at_random_are_no_alarm() -> None:
    """Everybody's text names half of the catalogue: own test items no more often than those of others."""
    split = shop()
    titles = split.training.catalogue.titles
    rng = np.random.default_rng(1)
    rows = [(u, "; ".join(rng.choice(titles, 20, replace=False))) for u in split.training.user_ids]
    told = found(split, Supplied("p.jsonl", TEXTS, frame(rows, "text")))
    assert told["p.jsonl: test items named"].verdict == "clean" and told["p.jsonl: test items named"].value > 0.2


def test_a_file_of_other_people_is_refused() -> None:
    split = shop()
    with pytest.raises(IsrfError, match=r"edges\.csv: no user_id of it is in the log.*'nobody'"):
        found(split, Supplied("edges.csv", TRAIN, frame([("nobody", "sku-001")])))
    with pytest.raises(IsrfError, match=r"edges\.csv: no item_id of it is in the log.*'nothing'"):
        found(split, Supplied("edges.csv", TRAIN, frame([("u1", "nothing")])))


def test_catalogue_texts_that_name_other_items() -> None:
    """By id and by title, word for word; the item's own names, and titles of two words, do not count."""
    table = pl.DataFrame(
        {
            Columns.ITEM: ["sku-000", "sku-001", "sku-002", "12", "sku-003"],
            Columns.TITLE: ["Red lamp (tall)", "blue lamp small", "hand cream", "pack of 12", "bundle"],
            Columns.DESCRIPTION: [
                "sku-000 is this; hand cream",
                "goes with SKU-000",
                "12 pieces",
                "red lamp tallest",
                "red, lamp: tall + blue lamp small",
            ],
        }
    )
    names = Names.of(Catalogue(table))
    texts = Catalogue(table).texts
    assert [sorted(names.found(t)[0]) for t in texts] == [[0], [0], [], [], []]
    assert [sorted(names.found(t)[1]) for t in texts] == [[0], [1], [], [3], [0, 1]]


def test_a_catalogue_of_bundles_tells_what_is_bought_later() -> None:
    plain = {f.name: f for f in catalogue_findings(shop(), Names.of(shop().training.catalogue))}
    assert {f.verdict for f in plain.values()} == {"clean"}
    split = shop()
    texts: dict[str, str] = {}
    for (user, item), history in zip(
        held(split, "test"), split.training.histories.take(split.users("test")), strict=True
    ):
        own = split.training.catalogue.ids[int(history[0])]
        texts[own] = f"{texts.get(own, 'frequently bought with')} {item}"
        assert user in split.training.row_of
    bundles = shop(texts)
    told = {f.name: f for f in catalogue_findings(bundles, Names.of(bundles.training.catalogue))}
    assert told["test items named by the text of a history item, or naming one"].verdict == "note"
    assert told["test items named by the text of a history item, or naming one"].value == 1.0
    assert told["items whose text names another item"].value == pytest.approx(len(texts) / 40)


def test_other_peoples_items_are_not_ones_own() -> None:
    split = shop()
    others = another(split, "test")
    known = split.histories("test").appended(split.test)
    assert all(
        item not in known[user] for user, item in zip(split.users("test").tolist(), others.tolist(), strict=True)
    )


def test_ids_that_the_catalogue_put_into_reasons_are_no_leak_of_the_workspace() -> None:
    """A column of ids bought together is in the texts of training items, and so in what statistics write of them."""
    plain = shop()
    user, item = held(plain, "test")[0]
    (own, *_) = (i for u, i in trained(plain) if u == user)
    split = shop({own: f"often with {item}"})
    names, row = Names.of(split.training.catalogue), split.row_of[user]
    said = {row: [f"Buys red lamps, {item} and more."]}
    verdicts = {
        about: text_findings("reasons", said, split, names, about)[0].verdict for about in ("workspace", "supplied")
    }
    assert verdicts == {"workspace": "clean", "supplied": "leak"}
    assert text_findings("reasons", said, plain, Names.of(plain.training.catalogue), "workspace")[0].verdict == "leak"


def test_a_log_with_numbers_as_floats_is_recognised_as_itself(tmp_path: Path) -> None:
    """Its ids are read as whole numbers, and those of a file beside it are compared in either spelling."""
    log = tmp_path / "log.csv"
    rows = [f"{100 + u}.0,{(u * 7 + 3 * n) % 31}.0,{1_500_000_000 + n}" for u in range(20) for n in range(5)]
    log.write_text("\n".join(["user,item,time", *rows]))
    settings = DataSettings(min_interactions=0)
    split = leave_one_out(read_dataset(str(log), None, settings))
    (supplied,) = read_supplied(log, settings)
    assert found(split, supplied)["log.csv: test pairs in it"].value == 1.0
