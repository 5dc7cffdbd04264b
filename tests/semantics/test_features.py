"""From reasoned sentences to semantic features of items and users."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from isrf.core import assets
from isrf.core.config import SemanticsSettings
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue, TrainingData
from isrf.semantics.encode import Encoder
from isrf.semantics.features import Semantics, embed, item_texts, load_semantics, save_semantics
from isrf.workspace.layout import SEMANTICS_FILE

TITLES = ["Lavender soap", "Rose soap", "", "Wooden train"]
FEATURES = ["Scented bar for calm baths.", "", "", "For children who build."]


def training() -> TrainingData:
    table = pl.DataFrame({Columns.ITEM: list("abcd"), Columns.TITLE: TITLES, Columns.BRAND: ["Acme", "", "", ""]})
    return TrainingData(["ann", "bob"], Catalogue(table), Histories.of([[0, 1], [3]]))


@pytest.fixture(scope="module")
def semantics() -> Semantics:
    assets.fetch("minilm")
    items = pl.DataFrame({Columns.ITEM: list("abcd"), "feature": FEATURES})
    users = pl.DataFrame({Columns.USER: ["ann", "bob"], "feature": ["Scented soaps.", ""]})
    return embed(training(), items, users, SemanticsSettings(dimensions=3))


def test_what_is_encoded_for_an_item() -> None:
    reasoned = pl.DataFrame({"feature": FEATURES})
    both, attributes, feature = (
        item_texts(training(), reasoned, SemanticsSettings(item_text=kind))
        for kind in ("both", "attributes", "feature")
    )
    assert both == [
        "Lavender soap. brand: Acme. Scented bar for calm baths.",
        "Rose soap",
        "",
        "Wooden train. For children who build.",
    ]
    assert attributes == ["Lavender soap. brand: Acme", "Rose soap", "", "Wooden train"]
    assert feature == FEATURES


def test_an_item_without_text_stays_zero_after_the_reduction(semantics: Semantics) -> None:
    assert semantics.items.shape == (4, 3) and semantics.items.dtype == np.float32
    assert np.linalg.norm(semantics.items, axis=1) == pytest.approx([1, 1, 0, 1], abs=1e-5)


def test_users_keep_the_encoders_space(semantics: Semantics) -> None:
    assert semantics.users.shape == (2, 384)
    assert np.linalg.norm(semantics.users, axis=1) == pytest.approx([1, 0], abs=1e-5)


def test_items_alike_are_near(semantics: Semantics) -> None:
    assert semantics.items[0] @ semantics.items[1] > semantics.items[0] @ semantics.items[3]


def test_a_newcomers_preference_lands_beside_the_same_preference_in_the_log(semantics: Semantics) -> None:
    same, other = Encoder(SemanticsSettings())(["Scented soaps.", "Wooden trains."])
    assert same @ semantics.users[0] > 0.99 > other @ semantics.users[0]


def test_items_without_text_start_as_random_vectors_and_users_keep_theirs(semantics: Semantics, tmp_path: Path) -> None:
    """Drawn by the seed alone, as wide as the encoder's vectors at most; in so many dimensions nearly at right angles."""
    items = pl.DataFrame({Columns.ITEM: list("abcd"), "feature": FEATURES})
    users = pl.DataFrame({Columns.USER: ["ann", "bob"], "feature": ["Scented soaps.", ""]})
    settings = SemanticsSettings(item_text="none", dimensions=400)
    one, other = (embed(training(), items, users, settings) for _ in range(2))
    assert one.items.shape == (4, 384) and one.items.dtype == np.float32
    assert one.items.tobytes() == other.items.tobytes()
    anew = embed(training(), items, users, settings, seed=1)
    assert abs((anew.items * one.items).sum(1)).max() < 0.3 and anew.users.tobytes() == one.users.tobytes()
    assert embed(training(), items, users, SemanticsSettings(item_text="none", dimensions=7)).items.shape == (4, 7)
    assert np.allclose(one.items @ one.items.T, np.eye(4), atol=0.25)
    np.testing.assert_allclose(one.users, semantics.users, atol=1e-6)
    assert one.reduction is None
    save_semantics(one, tmp_path)
    loaded = load_semantics(tmp_path / SEMANTICS_FILE)
    assert loaded.items.tobytes() == one.items.tobytes() and loaded.reduction is None


def test_semantics_are_the_same_after_saving(semantics: Semantics, tmp_path: Path) -> None:
    save_semantics(semantics, tmp_path)
    loaded = load_semantics(tmp_path / SEMANTICS_FILE)
    assert loaded.items.tobytes() == semantics.items.tobytes()
    assert loaded.users.tobytes() == semantics.users.tobytes()
    assert loaded.reduction is not None and semantics.reduction is not None
    assert loaded.reduction.variance_kept == semantics.reduction.variance_kept
    probe = np.ones((1, 384), np.float32)
    assert np.array_equal(loaded.reduction(probe), semantics.reduction(probe))
