"""Sections to one HTML file that needs nothing but itself: no network, no script. Everything but charts is escaped.

Control characters, and those that turn the direction of writing, are seen as escapes, in charts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from isrf.core.terminal_text import visible_lines
from isrf.report.section import Section

TEMPLATE, STYLE = "page.html.j2", "page.css"

Fact = tuple[str, str, str]
"""A figure for the head of the page: its name, its value, and a note."""


def page(title: str, about: str, facts: Sequence[Fact], sections: Sequence[Section]) -> str:
    """The whole page.

    Args:
        title: its heading.
        about: a sentence below it.
        facts: shown large.
        sections: from top to bottom.
    """
    here = resources.files("isrf.report")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=shown
    )
    template = environment.from_string((here / TEMPLATE).read_text("utf-8"))
    style = (here / STYLE).read_text("utf-8").strip()
    return template.render(title=title, about=about, facts=facts, sections=sections, style=style) + "\n"


def shown(value: Any) -> Any:
    """What the page shows of a value: text without control characters, markup remaining markup."""
    if isinstance(value, Markup):
        return Markup(visible_lines(str(value)))
    return visible_lines(value) if isinstance(value, str) else value
