"""The ISRF methods pass the contract of every method, and what is special to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.methods.contract import GROUP, Fitted, contract_cases, everyone, someone, tiny_split
from tests.ranking.small import BRIEFLY, SETTINGS, World, build, fused, generator_alone, whole_world, writing

from isrf.core.errors import IsrfError
from isrf.data.queries import TASKS, Queries
from isrf.data.splits.split import Split
from isrf.data.training_data import TrainingData
from isrf.evaluation.metrics import full_ranks, ndcg
from isrf.graphs.evidence import EVIDENCE
from isrf.graphs.neighbours import without_neighbours
from isrf.model.inference import generator_scores
from isrf.ranking.fit_fusion import fit_fusions, stopping_users
from isrf.ranking.fit_fusion import generator_alone as alone_fusions
from isrf.ranking.rankers import GENERATOR_SIGNAL, FusedRanker, ScoringComponents


def graph_method(training: TrainingData) -> FusedRanker:
    return fused(build(training))


def briefly(training: TrainingData) -> World:
    """What a method must and must not read does not hang on how long it has learned."""
    return build(training, trained=True, settings=BRIEFLY)


def written(training: TrainingData, kind: str) -> World:
    return build(training, trained=True, settings=writing(kind))


METHODS: dict[str, Fitted] = {
    "isrf-graph": graph_method,  # type: ignore[dict-item]
    "isrf-generator": lambda training: generator_alone(briefly(training)),  # type: ignore[dict-item, return-value]
    "isrf": lambda training: fused(briefly(training)),  # type: ignore[dict-item, return-value]
    "digits alone": lambda training: generator_alone(written(training, "digits")),  # type: ignore[dict-item, return-value]
    "semantic": lambda training: fused(written(training, "semantic")),  # type: ignore[dict-item, return-value]
}


# The known answer asks that everything of a world stands above everything else. A model of the next item alone owes
# nothing to what never comes next; its own known answer is ``test_the_generator_knows_how_a_walk_goes_on``.
CASES = contract_cases(METHODS, impersonal={"isrf-generator", "digits alone"}, trained={*METHODS} - {"isrf-graph"})


@pytest.mark.parametrize(("check", "fitted"), CASES)
def test_contract(check: Callable[[Fitted], None], fitted: Fitted) -> None:
    check(fitted)


@pytest.fixture(scope="module")
def split() -> Split:
    return tiny_split()


@pytest.fixture(scope="module")
def world() -> World:
    return whole_world()


def test_names(world: World) -> None:
    graph = ScoringComponents(world.parts.people, world.parts.graphs)
    assert fused(world).name == "isrf" and generator_alone(world).name == "isrf-generator"
    assert fused(World(graph, world.items, world.users)).name == "isrf-graph"
    assert GENERATOR_SIGNAL not in graph.signals(someone(tiny_split(), "tea-1"))


def test_the_generator_knows_how_a_walk_goes_on(world: World, split: Split) -> None:
    """In order: the next place of the ring. As a set: something of the same world."""
    catalogue, right = split.training.catalogue, 0
    for mine in ("tea", "bread"):
        for start in range(GROUP):
            history = [f"{mine}-{(start + step) % GROUP}" for step in range(3)]
            for task in TASKS:
                scores = generator_alone(world).score(someone(split, *history, task=task))[0]
                scores[catalogue.rows_of(history)] = -np.inf
                best = catalogue.ids[int(scores.argmax())]
                right += best == f"{mine}-{(start + 3) % GROUP}" if task == "sequential" else best.startswith(mine)
    assert right >= 30  # of 32


def test_the_generator_gives_log_probabilities(world: World, split: Split) -> None:
    scores = generator_alone(world).score(everyone(split))
    np.testing.assert_allclose(np.exp(scores.astype(np.float64)).sum(1), 1, rtol=1e-4)


@pytest.mark.parametrize("kind", ["digits", "semantic"])
def test_a_writer_scores_what_it_found_above_all_else(kind: str, split: Split) -> None:
    """Log-probabilities of the unseen items that the beam search found; the others are equal and below all of these."""
    world = build(split.training, trained=True, settings=writing(kind, beams=5))
    for task in TASKS:
        queries = everyone(split, task)
        scores = generator_alone(world).score(queries)
        assert world.parts.signals(queries)[GENERATOR_SIGNAL].tobytes() == scores.tobytes()
        for row, history in zip(scores, queries.histories, strict=True):
            found = np.flatnonzero(row > row.min())
            assert len(found) == 5 and not set(found) & set(history.tolist())
            assert row[found].max() <= 0 and row[found].min() >= row.min() + 0.99


def test_a_person_who_has_had_everything_gets_finite_scores(split: Split) -> None:
    world = build(split.training, trained=True, settings=writing("digits"))
    scores = generator_alone(world).score(someone(split, *split.training.catalogue.ids))
    assert np.isfinite(scores).all() and len(np.unique(scores)) == 1


def test_the_generator_alone_ranks_where_nothing_is_fused(world: World, split: Split) -> None:
    """``ranking.fusion=generator``: the order of published methods, which fuse nothing."""
    alone = FusedRanker("alone", world.parts, alone_fusions(world.parts, split.histories("valid"), 8))
    for task in TASKS:
        one, other = (r.score(everyone(split, task)) for r in (alone, generator_alone(world)))
        assert np.array_equal(np.argsort(-one, 1, kind="stable"), np.argsort(-other, 1, kind="stable"))


def test_scores_of_the_generator_are_not_rounded_to_a_few_values(world: World, split: Split) -> None:
    """bfloat16 has 8 bits of mantissa: scores computed in it tie by the dozen, and ties count against us."""
    scores = generator_alone(world).score(everyone(split))
    assert min(len(np.unique(row)) for row in scores) > 0.9 * scores.shape[1]


def test_recommendations_change_when_the_group_graph_is_emptied(world: World, split: Split) -> None:
    """The coupling must be real, in the ranking and in the generator alone."""
    lonely = ScoringComponents(
        without_neighbours(world.parts.people), world.parts.graphs, world.parts.generator, world.parts.items
    )
    for make in (fused, generator_alone):
        with_group, alone = make(world), make(World(lonely, world.items, world.users))
        for task in TASKS:
            one, other = (r.score(everyone(split, task)) for r in (with_group, alone))
            if with_group.name == "isrf-generator":
                # on this log the history says all, so its lists stay as they are; what it thinks of items does not
                moved = np.abs(one - other).max(1)
                assert np.median(moved) > 0.01, f"{task}: log-probabilities moved by {np.median(moved):.3f}"
                continue
            changed = (np.argsort(-one, 1)[:, :5] != np.argsort(-other, 1)[:, :5]).any(1).mean()
            assert changed > 0.1, f"{with_group.name}, {task}: {changed:.0%} of the lists changed"


@pytest.mark.parametrize("group", ["aligned", "none"])
def test_recommendations_do_not_depend_on_a_group_that_is_not_consumed(group: str, split: Split) -> None:
    """``model.group``: neither the generator nor fusion reads it, though the graph is there and gives isrf-graph votes."""
    settings = BRIEFLY.model_copy(update={"model": SETTINGS.model.model_copy(update={"group": group})})
    world = build(split.training, trained=True, settings=settings)
    parts = world.parts
    lonely = ScoringComponents(without_neighbours(parts.people), parts.graphs, parts.generator, parts.items)
    for task in TASKS:
        queries = everyone(split, task)
        assert parts.people.links(queries).nnz > 0
        assert "group" in ScoringComponents(parts.people, parts.graphs).signals(queries)
        with_group, without = parts.signals(queries), lonely.signals(queries)
        assert set(with_group) == set(without) and "group" not in with_group
        assert all(np.array_equal(with_group[name], without[name]) for name in with_group)
        one, other = (generator_alone(World(p, world.items, world.users)).score(queries) for p in (parts, lonely))
        assert np.array_equal(one, other)


def test_items_without_text_have_no_signal_of_their_own_meaning(split: Split) -> None:
    """``semantics.item_text=none``: random vectors say nothing until the interaction graph has mixed them."""
    semantics = SETTINGS.semantics.model_copy(update={"item_text": "none"})
    world = build(split.training, settings=SETTINGS.model_copy(update={"semantics": semantics}))
    for task in TASKS:
        signals = world.parts.signals(everyone(split, task))
        assert set(signals) == {"transitions", "companions", "neighbourhood", "group", "popularity"}
    found = fused(world, {"neighbourhood": 1.0}).score(someone(split, "tea-1", "tea-2", "tea-3"))[0]
    catalogue = split.training.catalogue
    rows = {
        mine: found[[i for i, item in enumerate(catalogue.ids) if item.startswith(mine)]] for mine in ("tea", "bread")
    }
    assert rows["tea"].mean() > rows["bread"].mean()


def test_without_the_group_nobody_has_neighbours_not_even_a_newcomer_exactly_like_somebody(
    world: World, split: Split
) -> None:
    lonely, users = without_neighbours(world.parts.people), np.arange(split.training.n_users)
    known, training = Queries(users, split.training.histories), split.training
    twins = Queries(np.full(len(users), -1), training.histories)  # whose preference is word for word in the log
    assert world.parts.people.links(twins).nnz > 0
    for queries in (known, twins):
        assert lonely.links(queries).nnz == 0
        assert not lonely.profiles(queries).present.any()


def test_only_the_newest_items_within_the_width_are_read(world: World, split: Split) -> None:
    width = SETTINGS.model.history
    long = [f"tea-{i}" for i in range(8)]
    generator, items = world.parts.generator, world.parts.items
    assert generator is not None and items is not None
    profile = world.parts.people.groups.take(np.array([-1]))
    told = {name: np.zeros((1, split.training.n_items), dtype=np.float32) for name in EVIDENCE}
    one = generator_scores(generator, items, someone(split, *long), profile, told)
    other = generator_scores(generator, items, someone(split, *long[-width:]), profile, told)
    assert np.array_equal(one, other)


def test_validation_users_are_halved_without_overlap(split: Split) -> None:
    stopping, fitting = stopping_users(split, seed=0)
    assert sorted([*stopping, *fitting]) == split.users("valid").tolist()
    assert np.array_equal(stopping, stopping_users(split, seed=0)[0])
    assert not np.array_equal(stopping, stopping_users(split, seed=1)[0])


def test_a_log_without_anything_to_hold_out_is_one_clear_line(split: Split) -> None:
    none = np.full(split.training.n_users, -1)
    with pytest.raises(IsrfError, match=r"fewer than two users have a validation item.*3 interactions"):
        stopping_users(Split(split.training, none, none), seed=0)


def test_fitted_weights_are_no_worse_than_any_signal_alone_by_full_ranking(world: World, split: Split) -> None:
    users = split.users("valid")
    fusions = fit_fusions(world.parts, split, users, 7, "weigh")
    seen = split.histories("valid").take(users)
    for task in TASKS:
        queries = Queries(users, seen, task)
        signals = world.parts.signals(queries)
        alone = {n: ndcg(full_ranks(s, split.valid[users], seen), 10).mean() for n, s in signals.items()}
        together = ndcg(full_ranks(fusions[task].score(signals), split.valid[users], seen), 10).mean()
        assert together == pytest.approx(fusions[task].valid_ndcg10, abs=1e-6)
        assert together >= max(alone.values()) - 1e-6
        assert set(fusions[task].weights) == set(signals) and max(fusions[task].weights.values()) == 1


def test_fitting_does_not_read_test_items(world: World, split: Split) -> None:
    users, other = split.users("valid"), tiny_split(test_step=2)
    assert not np.array_equal(split.test, other.test)
    one, two = (fit_fusions(world.parts, s, users, 16, "weigh") for s in (split, other))
    assert one == two
