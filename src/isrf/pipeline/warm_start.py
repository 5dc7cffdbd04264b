"""Weights of a trained generator that another training begins from, on a log that has grown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from safetensors.torch import load_file

from isrf.core.config import ModelSettings
from isrf.model.atomic_generator import AtomicGenerator, new_atomic_generator
from isrf.ranking.adapter_inputs import AdapterInputs, load_adapter_inputs, with_rows
from isrf.ranking.rankers import ScoringComponents
from isrf.workspace.layout import ADAPTER_INPUTS_FILE, GENERATOR_FILE
from isrf.workspace.workspace import Workspace


@dataclass(frozen=True)
class WarmStart:
    """Where a training begins.

    Attributes:
        inputs: what the adapter reads of all items, by the reduction that it was trained by.
        weights: of the generator, with a row for each item that it was trained on.
        digests: {name: digest} of both.
    """

    inputs: AdapterInputs
    weights: dict[str, torch.Tensor]
    digests: dict[str, str]

    @classmethod
    def of(cls, workspace: Workspace) -> WarmStart:
        """From a workspace whose generator an update has kept."""
        model = workspace.stage("model")
        files = model.digests(GENERATOR_FILE, ADAPTER_INPUTS_FILE)
        return cls(
            load_adapter_inputs(model.file(ADAPTER_INPUTS_FILE)),
            load_file(model.file(GENERATOR_FILE)),
            {f"start/{name}": digest for name, digest in files.items()},
        )

    def generator(self, parts: ScoringComponents, settings: ModelSettings) -> AtomicGenerator:
        """The generator to train: a new item is what the adapter makes of it, and as popular as those it is like."""
        features = self.inputs.features
        weights = with_rows(self.weights, len(features))
        untrained = self.inputs.untrained(parts)
        if untrained is not None:
            lent = untrained.new @ weights["bias"].float().numpy()
            weights["bias"] = torch.where(
                torch.from_numpy(untrained.new_items), torch.from_numpy(lent), weights["bias"]
            )
        made = new_atomic_generator(settings, features, parts.people.semantics.users.shape[1])
        made.load_state_dict(weights)
        return made
