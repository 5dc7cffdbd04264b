"""The audit where a date or the source splits: who counts, which target is judged, and ranks as the evaluation gives them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from isrf.core.config import DataSettings, EvaluationSettings, ReasoningSettings, Settings
from isrf.data.clean import clean
from isrf.data.dataset import Columns, Dataset
from isrf.data.histories import Histories
from isrf.data.readers.companion_files import TEXTS, TRAIN, Supplied
from isrf.data.readers.raw import BadRows
from isrf.data.readers.registry import open_source, read_dataset
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import NEW_ITEMS, NEW_USERS, Split
from isrf.evaluation.audit.counts import parts_by_date, popularity_ranks, popularity_ranks_of, split_findings
from isrf.evaluation.audit.findings import Finding
from isrf.evaluation.audit.item_names import Names
from isrf.evaluation.audit.llm_questions import question_finding
from isrf.evaluation.audit.overlap import supplied_findings
from isrf.evaluation.audit.time_ties import popularity_range, tie_findings, tied_targets
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import evaluate, fit, ranks_of
from isrf.methods.popularity import Popularity
from isrf.pipeline.audit import audit_source
from isrf.reasoning.answers.keys import Keys
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.prompts import prompt_of, user_question

DAY = 86_400
START, VALID_FROM, TEST_FROM = 1_000_000_000, 90, 120
"""Seconds, and days after it; where a date splits, the last tenth before it is validation, about these days."""

Row = tuple[str, str, int]
"""User, item, day."""

SPLITS = ("temporal", "given")


def chosen(how: str) -> DataSettings:
    at = str(START + TEST_FROM * DAY) if how == "temporal" else None
    return DataSettings(split=how, split_at=at, min_interactions=0)  # type: ignore[arg-type]


def written(folder: Path, rows: Sequence[Row]) -> Path:
    """The rows with what part each is in, which a split at a date does not read."""
    folder.mkdir(exist_ok=True)
    lines = [
        f"{u},{i},{START + day * DAY},{'train' if day < VALID_FROM else 'valid' if day < TEST_FROM else 'test'}"
        for u, i, day in rows
    ]
    (folder / "log.csv").write_text("\n".join(["user_id,item_id,timestamp,split", *lines]) + "\n")
    return folder / "log.csv"


def read(folder: Path, rows: Sequence[Row], how: str) -> tuple[Dataset, Split]:
    dataset = read_dataset(str(written(folder, rows)), None, chosen(how))
    return dataset, split_of(dataset)


# Ties of time


def tied_rows() -> list[Row]:
    """80 people, of whom 20 are new in test and 10 in validation, with 1 to 4 test items on one day; some items are new."""
    rng, rows = random.Random(1), list[Row]()
    items = [f"i{k:02}" for k in range(30)]
    for user in range(80):
        name, own = f"u{user:02}", rng.sample(items, 8)
        rows += [(name, own[0], 118)] if user >= 20 else []
        rows += [(name, own[n], rng.randrange(VALID_FROM)) for n in (1, 2, 3)] if user >= 30 else []
        new = [f"new{user}"] if user % 8 == 0 else []
        test = [(name, item, 130) for item in [*own[4 : 5 + user % 4], *new]]
        rng.shuffle(test)
        rows += [*test, (name, f"late{user % 5}", 140)]
    return rows


def every_order(folder: Path, how: str, tied: dict[str, list[str]]) -> Iterator[tuple[dict[str, str], Split]]:
    """The log written and split anew, so often that every tied item of every user was the first once."""
    rows = tied_rows()
    for turn in range(max(map(len, tied.values()))):
        first = {user: items[turn % len(items)] for user, items in tied.items()}
        turned = sorted(rows, key=lambda row: first.get(row[0]) != row[1])  # stable: the rest stay as they are
        yield first, read(folder, turned, how)[1]


@pytest.mark.parametrize("how", SPLITS)
def test_popularity_is_counted_as_it_is_evaluated(how: str, tmp_path: Path) -> None:
    _, split = read(tmp_path, tied_rows(), how)
    method, _ = fit(Popularity(), split)
    evaluated = evaluate(method, split, "test", "sequential", EvaluationSettings(sampled_negatives=4))[0].ranks
    assert np.array_equal(popularity_ranks(split), evaluated)


@pytest.mark.parametrize("how", SPLITS)
def test_ties_are_those_of_test_users(how: str, tmp_path: Path) -> None:
    """New users and targets that are new items have ties too, and are no test users."""
    dataset, split = read(tmp_path, tied_rows(), how)
    tied, users = tied_targets(dataset, split), split.users("test").tolist()
    on_the_day = dataset.interactions.filter(pl.col(Columns.TIME) == (START + 130 * DAY) * 1000)
    several = dict(on_the_day.group_by(Columns.USER).len().filter(pl.col("len") > 1).iter_rows())
    for part in ("test", NEW_USERS, NEW_ITEMS):
        assert any(split.user_ids[u] in several for u in split.users(part)), part
    assert sorted(tied) == [u for u in users if split.user_ids[u] in several]
    assert tie_findings(dataset, split)[0].value == len(tied) / len(users) < 1


@pytest.mark.parametrize("how", SPLITS)
def test_the_range_over_ties_is_what_evaluating_every_order_gives(how: str, tmp_path: Path) -> None:
    """Of every user every alternative, ranked by popularity as ``evaluate`` ranks it in a log that has it first."""
    dataset, split = read(tmp_path, tied_rows(), how)
    tied, ids = tied_targets(dataset, split), split.training.catalogue.ids
    ranks: dict[int, dict[str, int]] = {user: {} for user in tied}
    by_name = {split.user_ids[u]: [ids[i] for i in items] for u, items in tied.items()}
    for first, other in every_order(tmp_path, how, by_name):
        users = np.array([other.row_of[name] for name in first])
        assert [other.training.catalogue.ids[i] for i in other.test[users]] == list(first.values())
        method, _ = fit(Popularity(), other)
        for name, rank in zip(first, ranks_of(method, other, "test", "sequential", users, 64), strict=True):
            ranks[split.row_of[name]][first[name]] = int(rank)
    ordered = np.sort(split.training.popularity)
    for user, items in tied.items():
        counted = popularity_ranks_of(split, user, items, ordered).tolist()
        assert counted == [ranks[user][ids[item]] for item in items], split.user_ids[user]
    ends = [ndcg(popularity_ranks(split), 10) for _ in range(3)]
    for place, user in enumerate(split.users("test").tolist()):
        if user in tied:
            gains = ndcg(np.array(list(ranks[user].values())), 10)
            ends[0][place], ends[2][place] = gains.min(), gains.max()
    worst, published, best = (end.mean() for end in ends)
    assert worst < published < best and len(tied) > 20
    assert popularity_range(tied, split) == pytest.approx((worst, published, best), abs=1e-12)


# Repeats


def shopping(*days: tuple[int, int]) -> list[Row]:
    """30 people who buy two items, one in validation, and from the date on (item of their own, day) each."""
    rows: list[Row] = []
    for user in range(30):
        own = [f"item-{(user * 3 + k) % 40:02}" for k in range(6)]
        plan = ((0, user % 20), (1, 40 + user % 10), (2, 112), *days)
        rows += [(f"u{user}", own[item], day) for item, day in plan]
    return rows


def repeats(folder: Path, rows: Sequence[Row], how: str) -> Finding:
    _, findings = audit_source(str(written(folder, rows)), None, [], Settings(data=chosen(how)))
    (found,) = (f for f in findings if "had before" in f.name)
    return found


@pytest.mark.parametrize("how", SPLITS)
def test_a_repeat_behind_the_target_is_no_repeat_of_test(how: str, tmp_path: Path) -> None:
    found = repeats(tmp_path, shopping((3, 130), (0, 140)), how)
    assert (found.value, found.verdict) == (0.0, "clean")


@pytest.mark.parametrize("how", SPLITS)
def test_a_repeat_that_opens_test_is_one(how: str, tmp_path: Path) -> None:
    """Dropped with all repeats, so that nothing of the cleaned log is as old: where test begins is told by the date."""
    mixed = [*shopping((0, 130), (3, 140))[: 15 * 5], *shopping((3, 130), (4, 140))[15 * 5 :]]
    for rows, share in ((shopping((0, 130), (3, 140)), 1.0), (mixed, 0.5)):
        found = repeats(tmp_path, rows, how)
        assert (found.value, found.verdict) == (share, "note")
    assert found.name.startswith("first test interaction")


@pytest.mark.parametrize("how", SPLITS)
def test_whoever_comes_back_for_old_items_alone_counts(how: str, tmp_path: Path) -> None:
    """Cleaning leaves them no test item, and they are whom repeats are about."""
    rows = [*shopping((0, 130))[: 15 * 4], *shopping((3, 130), (4, 140))[15 * 5 :]]
    found = repeats(tmp_path, rows, how)
    assert (found.value, found.verdict) == (0.5, "note")


@pytest.mark.parametrize("at", [str(START + 50 * DAY), "0.5", "0.9"])
def test_the_log_as_read_is_split_where_cleaning_splits_it(at: str, tmp_path: Path) -> None:
    """A quantile too, which is one of a log without repeats."""
    rng = random.Random(3)
    rows = [(f"u{rng.randrange(20)}", f"i{rng.randrange(15)}", rng.randrange(100)) for _ in range(600)]
    settings = DataSettings(split="temporal", split_at=at, min_interactions=2)
    bad = BadRows("fail")
    raw = open_source(str(written(tmp_path, rows)), None, settings, bad)
    cleaned = clean(raw, settings, bad).interactions
    both = cleaned.join(parts_by_date(raw.log, at), on=[Columns.USER, Columns.ITEM, Columns.TIME], suffix="_as_read")
    test, as_read = (both[name] == "test" for name in (Columns.PART, f"{Columns.PART}_as_read"))
    assert both.height >= cleaned.height and test.any() and not test.all() and (test == as_read).all()


@pytest.mark.parametrize("how", SPLITS)
def test_an_item_of_validation_does_not_occur_in_test_alone(how: str, tmp_path: Path) -> None:
    """Epochs are not chosen by items that training lacks, but somebody had them before test."""
    rows = [*shopping((3, 130)), ("u0", "late", 113), ("u9", "late", 125)]
    told = {f.name: f for f in split_findings(read(tmp_path, rows, how)[1])}["test items that nobody has in training"]
    assert told.value > 0 and "0.00% are nobody's validation item either" in told.meaning


# Files beside the log


def latecomers(folder: Path, tested: int = 0) -> Split:
    """40 people of training, some of whom are tested, and 20 whom validation alone knows, who all are; titles of 4 words."""
    rng, rows = random.Random(2), list[Row]()
    names = [f"{c} {t} for home" for c, t in itertools.product(("red", "green", "blue"), ("lamp", "chair", "table"))]
    items = [f"sku-{n:03}" for n in range(len(names))]
    for user in range(40):
        own = rng.sample(items, 5)
        rows += [(f"u{user}", item, 20 * n + user // 3) for n, item in enumerate(own[:4])]
        rows += [(f"u{user}", own[4], 119)] if user < 4 else []  # epochs are chosen by people of training
        rows += [(f"u{user}", own[4], 130)] if user >= 40 - tested else []
    for user in range(20):
        one, other = rng.sample(items, 2)
        rows += [(f"v{user}", one, 118), (f"v{user}", other, 130)]
    (folder / "items.csv").write_text(
        "\n".join(["item_id,title", *(f"{i},{n}" for i, n in zip(items, names, strict=True))])
    )
    dataset = read_dataset(str(written(folder, rows)), folder / "items.csv", chosen("temporal"))
    return split_of(dataset)


def held(split: Split) -> list[tuple[str, str]]:
    """Test pairs in original ids, none of them of a person of training."""
    users = split.users("test")
    assert len(users) == 20 and (users >= split.training.n_users).all()
    return [(split.user_ids[u], split.training.catalogue.ids[split.test[u]]) for u in users]


def found(split: Split, kind: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Finding]:
    columns = {Columns.USER: [u for u, _ in pairs], "text" if kind == TEXTS else Columns.ITEM: [i for _, i in pairs]}
    supplied = Supplied("file", kind, pl.DataFrame(columns))  # type: ignore[arg-type]
    return {f.name: f for f in supplied_findings([supplied], split, Names.of(split.training.catalogue))}


def test_edges_of_people_whom_training_does_not_know(tmp_path: Path) -> None:
    split = latecomers(tmp_path)
    leak = found(split, TRAIN, held(split))["file: test pairs in it"]
    assert (leak.value, leak.verdict) == (1.0, "leak")
    validated = [
        (split.user_ids[u], split.training.catalogue.ids[i])
        for u in split.users("test").tolist()
        for i in split.histories("test")[u].tolist()
    ]
    assert found(split, TRAIN, validated)["file: test pairs in it"].verdict == "clean"


@pytest.mark.parametrize("by", ["id", "title"])
def test_texts_about_people_whom_training_does_not_know(by: str, tmp_path: Path) -> None:
    split = latecomers(tmp_path)
    catalogue = split.training.catalogue
    names = dict(zip(catalogue.ids, catalogue.ids if by == "id" else catalogue.titles, strict=True))
    texts = [(user, f"Bought: {names[item]}; ...") for user, item in held(split)]
    leak = found(split, TEXTS, texts)["file: test items named"]
    assert (leak.value, leak.verdict) == (1.0, "leak")
    harmless = [(user, "Bought something; ...") for user, _ in held(split)]
    assert found(split, TEXTS, harmless)["file: test items named"].verdict == "clean"


# Questions to a language model


def test_questions_are_looked_up_of_people_who_were_asked_about(tmp_path: Path) -> None:
    """Others have no row in training, and the question that a leak would ask of them may be somebody else's own."""
    split = latecomers(tmp_path, tested=10)
    users, training, settings = split.users("test"), split.training, ReasoningSettings()
    assert [int(n) for n in ((users < training.n_users).sum(), len(users))] == [10, 30]
    features, prompt = ["red"] * training.n_items, prompt_of("user", settings)
    maker = Keys(prompt, Endpoint("openai", None, "m", "m"), settings)

    def keys(histories: Histories) -> set[str]:
        """Of the first question about everybody with these histories."""
        found = set()
        for row, history in enumerate(histories):
            first = user_question(prompt, training.catalogue, row, history, features, settings.user_history).asks[0]
            found.add(maker.of(first.name, [{"role": "user", "content": first.text}]))
        return found

    right = keys(training.histories)
    leaking = keys(training.histories.appended(split.test[: training.n_users]))
    of_others = keys(Histories.of(split.test[users[users >= training.n_users]][:, None].tolist()))
    for store, value, verdict in ((right | of_others, 0.0, "clean"), (right | leaking, 1 / 3, "leak")):
        told = question_finding(split, features, store, [("openai", "m")], settings)
        assert (told.value, told.verdict) == (pytest.approx(value), verdict)
    told = question_finding(latecomers(tmp_path), features, right, [("openai", "m")], settings)
    assert (told.value, told.verdict) == (0.0, "unknown"), "nobody who is tested was asked about"


def test_a_question_made_with_all_of_validation_is_caught(tmp_path: Path) -> None:
    """What a person had before test is more than one item where a date splits."""
    rows = [*shopping((5, 130)), *((f"u{user}", f"item-{(user * 3 + 4) % 40:02}", 115) for user in range(30))]
    split = read(tmp_path, rows, "temporal")[1]
    users, training, settings = split.users("test"), split.training, ReasoningSettings()
    features, prompt = ["red"] * training.n_items, prompt_of("user", settings)
    maker = Keys(prompt, Endpoint("openai", None, "m", "m"), settings)
    for histories, verdict in (
        (training.histories, "clean"),
        (split.histories("test"), "leak"),
        (split.known(np.arange(len(split.user_ids))), "leak"),
    ):
        store = set()
        for row in users.tolist():
            first = user_question(
                prompt, training.catalogue, row, histories[row], features, settings.user_history
            ).asks[0]
            store.add(maker.of(first.name, [{"role": "user", "content": first.text}]))
        told = question_finding(split, features, store, [("openai", "m")], settings)
        assert (told.value, told.verdict) == (float(verdict == "leak"), verdict)
