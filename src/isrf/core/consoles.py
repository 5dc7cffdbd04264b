"""The only consoles there are: they show ids, titles and whatever else comes from other people as text, and as nothing more.

Nothing is coloured by what it looks like or taken for an emoji, and control characters are seen as escapes
(``core.terminal_text``), wherever the text stands: in a line, a cell, a title, beside a progress bar.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from isrf.core.terminal_text import HIDDEN, visible_lines


class PlainConsole(Console):
    """See the module."""

    def __init__(self, **about: Any) -> None:
        super().__init__(highlight=False, emoji=False, **about)

    def render_str(self, text: str, **how: Any) -> Text:
        """Before the layout, so that an escape has the room it needs."""
        return super().render_str(visible_lines(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Behind it, whatever way a text came; what Rich itself tells the terminal stays."""
        for segment in super().render(renderable, options):
            if segment.control is None and HIDDEN.search(segment.text):
                segment = Segment(visible_lines(segment.text), segment.style)
            yield segment
