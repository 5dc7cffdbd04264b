"""What the server of forked commands has loaded besides modules: the sentence encoder, which takes a second each time."""

from __future__ import annotations

from contextlib import suppress

from isrf.core.config import SemanticsSettings
from isrf.core.errors import IsrfError
from isrf.semantics.encode import Encoder

with suppress(IsrfError):  # not fetched and out of reach: the commands will say so
    assert Encoder(SemanticsSettings()).model
