"""What the generator is trained on. Knows nothing about how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isrf.data.training_data import TrainingData
from isrf.graphs.evidence import TrainingEvidence
from isrf.graphs.groups import GroupProfile
from isrf.training.explanation_loss import Explanations


@dataclass(frozen=True)
class TrainingInputs:
    """What the generator is trained on.

    Attributes:
        training: training histories.
        item_features: (I, k) float32 (``model.interests.item_features``).
        groups: (U,) group profiles found from each user's past alone (``batches.cuts_of``): a group that had been
            found with the targets in sight would teach the generator to trust it more than it deserves.
        evidence: what the item graphs say of each candidate; None where the generator reads none.
        explanations: sentences of training interactions; None leaves that task out.
    """

    training: TrainingData
    item_features: np.ndarray
    groups: GroupProfile
    evidence: TrainingEvidence | None = None
    explanations: Explanations | None = None
