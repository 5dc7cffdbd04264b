"""The coupling is real: what the group knows reaches a person's recommendations, by the generator and by the ranking.

One trained generator and one set of weights are asked twice, with the similar-user graph and with it emptied.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.commands import SMALL, done, isrf, run_small, small_log

from isrf.core.config import Settings, load_settings
from isrf.data.queries import TASKS, Queries, Task
from isrf.data.storage import read_training
from isrf.graphs.neighbours import without_neighbours
from isrf.model.inference import generator_scores
from isrf.pipeline import run as pipeline
from isrf.ranking.rankers import FusedRanker, GeneratorRanker, ScoringComponents
from isrf.ranking.recommend import top_items
from isrf.recommender.open import OpenWorkspace, open_workspace
from isrf.recommender.recommender import open_recommender
from isrf.workspace.workspace import Workspace

LOG = small_log()
CLUBS, MEMBERS, FAVOURITES = ("tea", "bread", "garden", "music"), 15, 6
LEARNING = (
    "graphs.layers=0",
    "graphs.lenders=0",
    "model.d_model=32",
    "model.dropout=0.1",
    "training.epochs=10",
    "training.patience=10",
    "training.learning_rate=0.01",
)
"""Enough for the generator to learn from the log below, not enough to know all of it by heart and need nobody: with 20
epochs it does. No propagation that would bring the group in by another door, and no borrowing among items of like texts."""


def write_clubs(folder: Path) -> str:
    """People whose own items say which club they are of, and nothing else: only the club knows what they take next.

    Each has three things of the club that nobody else has, then four of the six favourites of the club, whose texts
    are all alike. The last two are held out, so nobody is seen to take a second favourite after a first but two.
    """
    rng, rows, items = random.Random(4), [], []
    for number, club in enumerate(CLUBS):
        favourites = [f"article-{number * FAVOURITES + n}" for n in range(FAVOURITES)]
        items += [f"{item},article,," for item in favourites]
        for member in range(MEMBERS):
            own = [f"{club}-{member}-{n}" for n in range(3)]
            items += [f"{item},{club} thing,{club} house,{club}" for item in own]
            taken = [*own, *rng.sample(favourites, 4)]
            rows += [f"{club}-lover-{member},{item},{1_400_000_000 + t}" for t, item in enumerate(taken)]
    folder.mkdir()
    (folder / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    (folder / "items.csv").write_text("\n".join(["item_id,title,brand,categories", *items]) + "\n")
    return f"csv:{folder}"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(overrides=SMALL)


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> OpenWorkspace:
    """The clubs, trained."""
    folder = tmp_path_factory.mktemp("clubs")
    done(run_small(write_clubs(folder / "clubs"), folder / "ws", chosen=LEARNING))
    return open_workspace(Workspace(folder / "ws"), load_settings(overrides=[*SMALL, *LEARNING]))


def everybody(recommender: OpenWorkspace, task: Task) -> Queries:
    split = recommender.split
    return Queries(np.arange(split.training.n_users), split.histories("test").appended(split.test), task)


def alone(parts: ScoringComponents) -> ScoringComponents:
    """The same graphs of individual interests, the same generator, nobody similar to anybody."""
    return ScoringComponents(without_neighbours(parts.people), parts.graphs, parts.generator, parts.items)


def lists(ranker: FusedRanker | GeneratorRanker, queries: Queries) -> list[list[int]]:
    return [rows.tolist() for rows in top_items(ranker.score(queries), queries.histories, 10)]


@pytest.mark.parametrize("task", TASKS)
def test_the_generator_reads_the_group(task: Task, recommender: OpenWorkspace) -> None:
    """The generator alone: its lists of most people change when it is told that they have no group."""
    parts, queries = recommender.ranker.parts, everybody(recommender, task)
    told, untold = lists(GeneratorRanker(parts), queries), lists(GeneratorRanker(alone(parts)), queries)
    assert sum(a != b for a, b in zip(told, untold, strict=True)) > len(queries) / 2


def test_the_generator_reads_whose_group_it_is(recommender: OpenWorkspace) -> None:
    """Not only that there is one: with the group of another club, that club's favourites come nearer."""
    parts, queries = recommender.ranker.parts, everybody(recommender, "sequential")
    assert parts.generator is not None and parts.items is not None
    training = recommender.split.training
    clubs = [CLUBS.index(user.split("-")[0]) for user in training.user_ids]
    guest = np.array([clubs.index((club + 1) % len(CLUBS)) for club in clubs])
    profiles = parts.people.groups.take(queries.users)
    told = parts.graphs.evidence(queries, parts.votes)  # what the graphs say of the person stays
    own = generator_scores(parts.generator, parts.items, queries, profiles, told)
    other = generator_scores(parts.generator, parts.items, queries, profiles.take(guest), told)
    for club in range(len(CLUBS)):
        rows = training.catalogue.rows_of([f"article-{club * FAVOURITES + n}" for n in range(FAVOURITES)])
        theirs = [person for person, host in enumerate(guest) if clubs[int(host)] == club]
        left = [person for person, mine in enumerate(clubs) if mine == club]
        gained = (other - own)[theirs][:, rows].mean()
        lost = (other - own)[left][:, rows].mean()
        assert gained > lost, CLUBS[club]


def found(ranker: FusedRanker, recommender: OpenWorkspace, task: Task) -> float:
    """Share of people whose test item is among their first five."""
    split = recommender.split
    queries = Queries(np.arange(split.training.n_users), split.histories("test"), task)
    tops = top_items(ranker.score(queries), queries.histories, 5)
    return float(np.mean([target in top for target, top in zip(split.test, tops, strict=True)]))


@pytest.mark.parametrize(("task", "least"), [("sequential", 1 / 4), ("direct", 1 / 2)])
def test_emptying_the_similar_user_graph_changes_recommendations(
    task: Task, least: float, recommender: OpenWorkspace
) -> None:
    """The system as served, the same weights of generator and fusion: many lists change, and none for the better.

    Fewer where order counts: what went before says much of what the group says.
    """
    ranker, queries = recommender.ranker, everybody(recommender, task)
    assert ranker.parts.generator is not None
    before = [tensor.clone() for tensor in ranker.parts.generator.state_dict().values()]
    emptied = FusedRanker(ranker.name, alone(ranker.parts), ranker.fusions)
    with_group, without = lists(ranker, queries), lists(emptied, queries)
    assert sum(a != b for a, b in zip(with_group, without, strict=True)) > len(queries) * least
    moved = np.abs(ranker.score(queries) - emptied.score(queries)).max(axis=1) > 1e-3
    assert moved.mean() > 1 / 2, "most people are told of a group, whether or not it changes their list"
    assert found(emptied, recommender, task) <= found(ranker, recommender, task)
    assert with_group == lists(ranker, queries), "asking without the group changed the ranker"
    after = ranker.parts.generator.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_without_the_group_fewer_favourites_are_found(recommender: OpenWorkspace) -> None:
    """In direct recommendation, where the few who took the same two favourites are all else that tells."""
    ranker = recommender.ranker
    emptied = FusedRanker(ranker.name, alone(ranker.parts), ranker.fusions)
    assert found(ranker, recommender, "direct") > 0.8
    assert found(emptied, recommender, "direct") < found(ranker, recommender, "direct") - 0.05


def test_without_a_group_nobody_has_one(recommender: OpenWorkspace) -> None:
    """Users of the log and strangers alike."""
    people = without_neighbours(recommender.ranker.parts.people)
    stranger = Queries(np.array([-1]), recommender.split.training.histories.take(np.array([0])))
    for queries in (everybody(recommender, "sequential"), stranger):
        assert recommender.ranker.parts.people.links(queries).nnz > 0
        assert people.links(queries).nnz == 0
        assert not people.profiles(queries).present.any()


def test_the_weights_of_the_clubs_hold_the_group(recommender: OpenWorkspace) -> None:
    """The tests above could not fail on a log whose fitted weights leave out the group and the generator."""
    for task in TASKS:
        weights = recommender.ranker.fusions[task].weights
        assert weights["group"] > 0 or weights["generator"] > 0, task


def test_library_and_command_line_answer_alike(finished: Path, settings: Settings) -> None:
    """The pipeline is plain calls: no command line needed."""
    recommender = open_recommender(Workspace(finished), settings)
    items = recommender.recommend(["u1"], k=5)["item_id"].to_list()
    assert len(items) == 5 and not set(items) & set(LOG["u1"])
    assert [item.item_id for item in recommender.profile("u1", k=5).recommendations] == items
    told = json.loads(done(isrf("recommend", finished, "--user", "u1", "--top", 5, "--format", "json")).out)
    assert [row["item_id"] for row in told] == items


def test_stages_from_a_notebook(source: str, settings: Settings, tmp_path: Path) -> None:
    """Each stage is one call on a workspace."""
    workspace = Workspace.create(tmp_path / "ws")
    pipeline.import_data(workspace, source, None, settings)
    pipeline.reason(workspace, settings)
    assert workspace.stage("reasoning").info() and not workspace.stage("semantics").info()
    training = read_training(workspace)
    assert {training.user_ids[u]: [training.catalogue.ids[i] for i in h] for u, h in enumerate(training.histories)} == {
        user: log[:-2] for user, log in LOG.items()
    }
