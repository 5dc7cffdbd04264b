"""The baselines by name: to add one, write one file beside this and put it in a dict."""

from __future__ import annotations

from collections.abc import Callable

from isrf.methods.ease import EASE
from isrf.methods.id_plus_one import IdPlusOne
from isrf.methods.interface import Method
from isrf.methods.itemknn import ItemKNN
from isrf.methods.lightgcn import LightGCN
from isrf.methods.popularity import Popularity
from isrf.methods.profile_text import ProfileText
from isrf.methods.propagated_preference import PropagatedPreference
from isrf.methods.sasrec import SASRec
from isrf.methods.semantic_id import SemanticId
from isrf.methods.semantic_knn import SemanticKNN
from isrf.methods.seq_itemknn import SeqItemKNN

BASELINES: dict[str, Callable[[], Method]] = {
    Popularity.name: Popularity,
    ItemKNN.name: ItemKNN,
    SeqItemKNN.name: SeqItemKNN,
    EASE.name: EASE,
    IdPlusOne.name: IdPlusOne,
}
"""Name in tables -> a new method with its default settings."""

TRAINED: dict[str, Callable[[], Method]] = {
    LightGCN.name: LightGCN,
    SASRec.name: SASRec,
}
"""Baselines that take minutes to train, for a table that asks for them; name -> a new method, default settings."""

CARRIERS: dict[str, type[ProfileText] | type[SemanticKNN] | type[SemanticId] | type[PropagatedPreference]] = {
    ProfileText.name: ProfileText,
    SemanticKNN.name: SemanticKNN,
    SemanticId.name: SemanticId,
    PropagatedPreference.name: PropagatedPreference,
}
"""Other carriers of the same semantics than the two graphs; name -> a new method from reasoned features, default settings."""
