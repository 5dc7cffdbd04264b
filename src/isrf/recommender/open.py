"""From the files of a workspace back to objects that recommend: the one place that knows both. Computes nothing new."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

from isrf.core.config import DataSettings, ModelSettings, Settings
from isrf.core.documents import read_json
from isrf.core.errors import CannotFit, IsrfError
from isrf.core.progress import note
from isrf.core.tables import read_table
from isrf.data.dataset import Columns, Dataset
from isrf.data.queries import Task
from isrf.data.readers.registry import read_dataset
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import Histories, Split, TrainingData
from isrf.data.splits.storage import (
    ABOUT,
    ITEMS,
    LATER,
    NEWCOMERS,
    TEST,
    TRAIN,
    USERS,
    VALID,
    load_split,
    load_training,
)
from isrf.graphs.build import FILE as GRAPHS
from isrf.graphs.build import load_graphs
from isrf.graphs.evidence import TrainingEvidence
from isrf.graphs.groups import GroupProfile
from isrf.graphs.neighbours import People
from isrf.graphs.prefix_index import FILE as CELLS
from isrf.graphs.prefix_index import Cells, Moments
from isrf.graphs.signals import InterestGraphs
from isrf.methods.preferences import Preferences
from isrf.model.atomic_generator import Generator
from isrf.model.explainer_storage import restore_explainer, save_explainer
from isrf.model.interests import item_features
from isrf.model.token_generator import Writer
from isrf.model.token_generator_storage import load_writer, save_writer
from isrf.model.trie import Trie
from isrf.ranking.fusion import Fusion
from isrf.ranking.rankers import FusedRanker, Parts, SearchedWriter
from isrf.reasoning.attributes.statistics import AttributeStatistics
from isrf.semantics.encode import Encoder
from isrf.semantics.features import FILE as SEMANTICS
from isrf.semantics.features import load_semantics
from isrf.training.batches import cuts_of
from isrf.training.inputs import Inputs
from isrf.training.loop import new_generator
from isrf.workspace.stage import Stage
from isrf.workspace.workspace import Workspace

SOURCE_ORDER, VECTORS = "source_order.parquet", "vectors.sqlite"
INTERACTIONS = "interactions.parquet"
"""The whole log in original ids with its times, held-out items included: no stage that fits anything reads it."""
REASONED_ITEMS, REASONED_USERS = "items.parquet", "users.parquet"
FUSION, GENERATOR, ABOUT_GENERATOR, LOG = "fusion.json", "generator.safetensors", "generator.json", "training_log.json"


def read_training(workspace: Workspace) -> TrainingData:
    """Users, catalogue and training histories, their bytes checked; held-out files are not opened."""
    stage = workspace.stage("dataset")
    for name in (USERS, ITEMS, TRAIN):
        stage.file(name)
    return load_training(stage.folder)


def read_split(workspace: Workspace) -> Split:
    """The whole split, its bytes checked."""
    stage = workspace.stage("dataset")
    for name in (USERS, ITEMS, TRAIN, *held_out(stage)):
        stage.file(name)
    return load_split(stage.folder)


def held_out(dataset: Stage) -> list[str]:
    """Names of the files that hold what is held out."""
    return [VALID, TEST, *(name for name in (NEWCOMERS, LATER) if dataset.has(name))]


def can_hold_out(workspace: Workspace) -> bool:
    """Whether at least two users have a validation item."""
    return len(read_split(workspace).users("valid")) >= 2


def read_dataset_of(workspace: Workspace) -> Dataset:
    """The cleaned dataset of a workspace in original ids, as it was imported: for describing and auditing."""
    stage = workspace.stage("dataset")
    about = read_json(stage.file(ABOUT))
    interactions, catalogue = read_table(stage.file(INTERACTIONS)), read_table(stage.file(ITEMS))
    order = read_table(stage.file(SOURCE_ORDER))[Columns.ITEM].to_list() if stage.has(SOURCE_ORDER) else None
    return Dataset(about["name"], interactions, catalogue, about["counts"], order, protocol=about.get("protocol"))


def open_dataset(src: str, items: Path | None, settings: DataSettings) -> Dataset:
    """The cleaned dataset of a source, or of the workspace that ``src`` names."""
    if (Path(src) / "dataset").is_dir():
        workspace = Workspace.existing(Path(src))
        with workspace.unchanged():
            return read_dataset_of(workspace)
    return read_dataset(src, items, settings)


def open_split(src: str, items: Path | None, settings: DataSettings) -> tuple[Dataset, Split]:
    """The cleaned dataset and its split: of a workspace the split that its numbers come from."""
    dataset = open_dataset(src, items, settings)
    if (Path(src) / "dataset").is_dir():
        return dataset, read_split(Workspace.existing(Path(src)))
    return dataset, split_of(dataset, settings.seed)


def read_reasoned(workspace: Workspace) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The reasoned tables of items and users, in row order."""
    stage = workspace.stage("reasoning")
    return read_table(stage.file(REASONED_ITEMS)), read_table(stage.file(REASONED_USERS))


def as_made(workspace: Workspace, settings: Settings) -> Settings:
    """The settings, with those of finished stages as they were made: somebody new is treated as the log was."""
    made = {room: workspace.stage(room).require()["settings"] for room in ("reasoning", "semantics", "graphs")}
    return settings.model_copy(update={room: type(getattr(settings, room))(**made[room]) for room in made})


def has_model(workspace: Workspace) -> bool:
    """Whether there is a generator that was trained on the graphs as they are; one of other graphs is told of."""
    model = workspace.stage("model")
    if model.info() is None:
        return False
    if model.outdated() is None:
        return True
    note(
        f"the trained generator is left out: it was made from other graphs; train it anew with `{model.command('model')}`"
    )
    return False


FITTED = {"ranking": ("fit_users",), "model": ("beams", "fit_users", "fusion")}
"""Stage that has weights -> settings of the room "ranking" that these were fitted with."""


def as_fitted(workspace: Workspace, settings: Settings, stage: str) -> Settings:
    """The settings, with those that a stage's weights were fitted with in place of later ones, which a line tells.

    Weights of a beam search say how much what other beams found is worth; with others they belong to no ranking.
    """
    made = workspace.stage(stage).require()["settings"]
    names = [name for name in FITTED[stage] if name in made["ranking"]]
    if stage == "model" and made["model"]["identifiers"] == "atomic":  # is not searched
        names.remove("beams")
    now = settings.ranking
    changed = {name: made["ranking"][name] for name in names if made["ranking"][name] != getattr(now, name)}
    if changed:
        before = ", ".join(f"ranking.{name}={value}" for name, value in changed.items())
        after = ", ".join(f"{name}={getattr(now, name)}" for name in changed)
        note(
            f"WARNING: the weights of {'isrf' if stage == 'model' else 'isrf-graph'} were fitted with {before} and are used so, "
            f"while the workspace keeps {after}; fit them anew with `{workspace.stage(stage).command(stage)}`"
        )
    return settings.model_copy(update={"ranking": now.model_copy(update=changed)})


def graph_parts(workspace: Workspace, settings: Settings, cached: bool = False) -> Parts:
    """The two interest graphs without a generator; ``cached`` keeps newly encoded preferences in the workspace."""
    settings = as_made(workspace, settings)
    training = read_training(workspace)
    semantics = load_semantics(workspace.stage("semantics").file(SEMANTICS))
    graphs = load_graphs(workspace.stage("graphs").file(GRAPHS))
    vectors = workspace.stage("semantics").folder / VECTORS if cached else None
    stage = workspace.stage("graphs")
    cells = Cells.load(stage.file(CELLS)) if stage.has(CELLS) else None  # older workspaces have none
    moments = Moments.of(training.histories, semantics.items, settings.graphs, cells)
    people = People(training, semantics, graphs.users, graphs.groups, moments, settings, vectors)
    scorer = InterestGraphs.build(training, semantics.items, graphs.item_nodes, settings.graphs)
    return Parts(people, scorer)


def carrier_preferences(workspace: Workspace, settings: Settings) -> Preferences:
    """What the carriers are made from: features of items and users in one space, and how to get them for anybody else.

    Raises:
        CannotFit: items have no text here (``semantics.item_text=none``), so that no preference could be matched to one.
    """
    settings = as_made(workspace, settings)
    semantics = load_semantics(workspace.stage("semantics").file(SEMANTICS))
    reduction = semantics.reduction
    if reduction is None:
        raise CannotFit("carriers match preferences to item texts, and semantics.item_text=none encodes no text")
    training = read_training(workspace)

    @cache
    def tools() -> tuple[AttributeStatistics, Encoder]:
        return AttributeStatistics.fit(training, settings.reasoning), Encoder(settings.semantics)

    def reduced(vectors: np.ndarray) -> np.ndarray:
        found = reduction(vectors)
        found[~np.any(vectors != 0, axis=1)] = 0  # who has no preference is not "the average item"
        return found

    def of_histories(histories: Histories) -> np.ndarray:
        statistics, encoder = tools()
        return reduced(encoder(statistics.users(histories).features, "encode preferences"))

    return Preferences(semantics.items, reduced(semantics.users), of_histories)


def generator_inputs(parts: Parts) -> np.ndarray:
    """(I, 2k) float32: what the generator's adapter reads of each item."""
    return item_features(parts.graphs.semantics, parts.graphs.propagated)


def training_inputs(parts: Parts, settings: ModelSettings) -> Inputs:
    """What a generator of these settings is trained on; groups are found from the past alone, seconds to minutes."""
    training = parts.people.training
    if settings.group == "none":
        links, past = None, GroupProfile.empty(training.n_users, parts.people.semantics.users.shape[1])
    else:
        past, links = parts.people.past_groups(cuts_of(training.histories))
    evidence = None
    if settings.graph_evidence and settings.identifiers == "atomic":
        moments = None if links is None or settings.group != "consumed" else parts.people.moments
        evidence = TrainingEvidence(training, parts.graphs.items, links, moments)
    return Inputs(training, generator_inputs(parts), past, evidence)


def with_generator(parts: Parts, generator: Generator | Writer) -> Parts:
    """The same parts with a generator in eval mode; its item table, and a writer's trie, are made once."""
    with torch.no_grad():
        items = generator.eval().items()
    if isinstance(generator, Writer):
        trie = Trie.build(generator.identifiers).to(items.device)
        searched = SearchedWriter(generator, trie, parts.people.settings.ranking.beams)
        return Parts(parts.people, parts.graphs, searched, items)
    return Parts(parts.people, parts.graphs, generator, items)


def save_generator(generator: Generator | Writer, folder: Path) -> None:
    """Write weights and sizes; of a writer its identifiers too, and of an explainer its pieces."""
    weights = {k: v.detach().cpu().contiguous().clone() for k, v in generator.state_dict().items()}
    save_file(weights, folder / GENERATOR)
    (folder / ABOUT_GENERATOR).write_text(json.dumps(generator.settings.model_dump(), indent=2))
    if isinstance(generator, Writer):
        save_writer(generator, folder)
    if generator.explainer is not None:
        save_explainer(generator.explainer, folder)


def whole_parts(workspace: Workspace, settings: Settings) -> Parts:
    """The interest graphs and the trained generator, which is searched as when its weights were fitted."""
    stage = workspace.stage("model")
    parts = graph_parts(workspace, as_fitted(workspace, settings, "model"))
    sizes = ModelSettings(**read_json(stage.file(ABOUT_GENERATOR)))
    features, dimensions = generator_inputs(parts), parts.people.semantics.users.shape[1]
    generator: Generator | Writer
    if sizes.identifiers == "atomic":
        generator = new_generator(sizes, features, dimensions)
    else:
        generator = load_writer(stage, sizes, features, dimensions)
    restore_explainer(stage, generator)
    generator.load_state_dict(load_file(stage.file(GENERATOR)))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return with_generator(parts, generator.to(device))


def save_fusions(fusions: dict[Task, Fusion], folder: Path) -> None:
    """Write the weights of both tasks."""
    (folder / FUSION).write_text(json.dumps({task: asdict(fusion) for task, fusion in fusions.items()}, indent=2))


def load_fusions(path: Path) -> dict[Task, Fusion]:
    """Read the weights of both tasks."""
    return {task: Fusion(**fields) for task, fields in read_json(path).items()}


@dataclass(frozen=True)
class Recommender:
    """A workspace opened for recommending.

    Attributes:
        ranker: ``isrf``, or ``isrf-graph`` where no generator was trained.
        items: reasoned items in row order.
        users: reasoned users in row order.
        split: for what each user of the log has had; recommendations use everything known.
    """

    ranker: FusedRanker
    items: pl.DataFrame
    users: pl.DataFrame
    split: Split


def open_recommender(workspace: Workspace, settings: Settings, method: str | None = None) -> Recommender:
    """Open a workspace with the best method it has, or the named one.

    Raises:
        IsrfError: the stage that the method needs is missing or damaged, there is no such method, or another command
            finished a stage meanwhile.
    """
    with workspace.unchanged():
        workspace.stage("graphs").require()
        name = method or ("isrf" if has_model(workspace) else "isrf-graph")
        if name not in ("isrf", "isrf-graph"):
            raise IsrfError(f"--method {name}: recommends with 'isrf' or 'isrf-graph'")
        if name == "isrf":
            fusions = load_fusions(workspace.stage("model").file(FUSION))
            ranker = FusedRanker(name, whole_parts(workspace, settings), fusions)
        else:
            fusions = load_fusions(workspace.stage("ranking").file(FUSION))
            ranker = FusedRanker(name, graph_parts(workspace, as_fitted(workspace, settings, "ranking")), fusions)
        items, users = read_reasoned(workspace)
        split = read_split(workspace)
    _ = ranker.parts.people.moments.index  # on all threads, and not within the first question
    return Recommender(ranker, items, users, split)
