"""The words an LLM is asked with: Jinja templates in ``prompts/``, or a user's own in their place.

Every template and the worked examples have a digest; what was asked with changed words is asked again, and nothing
else. Knows nothing about catalogues: ``prompts`` fills these.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from isrf.core.documents import Unreadable, parse_json, read_text
from isrf.core.errors import IsrfError

OPEN, CLOSE = "<data>", "</data>"
"""Catalogue text stands between these, and ``text.clean`` leaves no angle bracket in it that could close them."""
EXAMPLES = "examples.json"
MOST_BYTES = 1 << 20
"""Of a template or of worked examples."""
PARTS = ("title", "data", "likes", "dislikes", "feature")
"""What a worked example has."""
_ERRORS = (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What a template raises that was written wrongly: {{ 1 + "a" }}, {{ 1 / 0 }}, {% include %}, a macro without an end."""


@dataclass(frozen=True)
class Templates:
    """What prompts are made from.

    Attributes:
        sources: text of each template by file name.
        examples: worked examples by kind: ``asks`` (the words of each question, ``{{ title }}`` in them) and
            ``dialogues``; without them a small model repeats the question.
        folder: the user's own folder, None = the package's.
    """

    sources: dict[str, str]
    examples: dict[str, Any]
    folder: Path | None

    def render(self, name: str, **values: Any) -> str:
        """Fill one template. Raises IsrfError that names file and line where it is no template or asks for too much."""
        try:
            # plain text, not HTML: catalogue text is cleaned before it gets here, and is never itself a template
            return self._compiled[name].render(values).strip()
        except _ERRORS as error:
            raise IsrfError(self._told(name, error)) from None

    @cached_property
    def _compiled(self) -> dict[str, jinja2.Template]:
        environment = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        made = {}
        for name, source in self.sources.items():
            try:
                made[name] = environment.from_string(source)
            except _ERRORS as error:
                raise IsrfError(self._told(name, error)) from None
        return made

    def digest(self, kind: str, *names: str) -> str:
        """12 hex digits of the worked examples of a kind and of these templates' text."""
        content = [json.dumps(self.examples[kind], sort_keys=True), *(self.sources[name] for name in names)]
        return hashlib.sha256("\0".join(content).encode()).hexdigest()[:12]

    def check_delimited(self, name: str, one: dict[str, Any], other: dict[str, Any]) -> None:
        """IsrfError where text outside of <data> and </data> depends on the catalogue.

        Args:
            one, other: two fillings that differ in nothing but the catalogue's text, which is equally long in both.
        """
        if _outside(self.render(name, **one)) != _outside(self.render(name, **other)):
            raise IsrfError(
                f"{self._place(name)}: text of the catalogue stands outside of {OPEN} and {CLOSE}; it is not to be "
                "trusted, put it between them"
            )

    def _place(self, name: str) -> str:
        return str(self.folder / name) if self.folder is not None else f"the package's {name}"

    def _told(self, name: str, error: Exception) -> str:
        line, trace = getattr(error, "lineno", None), error.__traceback__
        while line is None and trace is not None:  # where it went wrong while it was filled
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == "<template>" else None
            trace = trace.tb_next
        where = self._place(name) + (f", line {line}" if line else "")
        return f"{where}: {' '.join(str(error).split())}; fix the template or remove it from the folder"


def load_templates(folder: Path | None) -> Templates:
    """The package's templates, those of ``folder`` in place of the ones of the same name.

    Raises:
        IsrfError: the folder cannot be read, holds a file of another name, or unreadable examples.
    """
    packaged = resources.files("isrf.reasoning") / "prompts"
    texts = {entry.name: entry.read_text("utf-8") for entry in packaged.iterdir() if entry.is_file()}
    asks = {kind: set(part["asks"]) for kind, part in json.loads(texts[EXAMPLES]).items()}
    for path in _files_of(folder) if folder is not None else []:
        if path.name not in texts:
            raise IsrfError(f"{path}: no prompt has that name; there are {', '.join(sorted(texts))}")
        texts[path.name] = read_text(path, MOST_BYTES, "fix it or remove it")
    try:
        examples = parse_json(texts.pop(EXAMPLES))
    except Unreadable as error:
        raise IsrfError(f"{folder}/{EXAMPLES}: is not JSON ({error}); fix it or remove it") from None
    fault = _fault_of(examples, asks)
    if fault is not None:
        raise IsrfError(f"{folder}/{EXAMPLES}: {fault}, as the package's file has; fix it or remove it")
    return Templates(texts, examples, folder)


def _fault_of(examples: Any, asks: dict[str, set[str]]) -> str | None:
    """What a file of worked examples lacks."""
    for kind, names in asks.items():
        part = examples.get(kind) if isinstance(examples, dict) else None
        if not isinstance(part, dict):
            return f"needs an object {kind!r}"
        said, dialogues = part.get("asks"), part.get("dialogues")
        if not isinstance(said, dict) or not all(isinstance(said.get(name), str) for name in names):
            return f"needs the texts {', '.join(sorted(names))} in {kind}.asks"
        if not isinstance(dialogues, list):
            return f"needs a list {kind}.dialogues"
        for n, dialogue in enumerate(dialogues):
            if not isinstance(dialogue, dict) or not all(isinstance(dialogue.get(name), str) for name in PARTS):
                return f"needs the texts {', '.join(PARTS)} in {kind}.dialogues[{n}]"
    return None


def _outside(rendered: str) -> list[str]:
    """What stands outside of the delimiters; what follows one that is never closed counts as outside."""
    first, *parts = rendered.split(OPEN)
    return [first, *(part.split(CLOSE, 1)[-1] for part in parts)]


def _files_of(folder: Path) -> list[Path]:
    """The folder's own files; IsrfError where one is a link to elsewhere, whose text would be sent to the endpoint."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        home = folder.resolve()
        for path in files:
            if not path.resolve().is_relative_to(home):
                raise IsrfError(
                    f"{path}: a link out of the folder, and prompts are sent away; put the template itself there"
                )
    except OSError as error:
        raise IsrfError(f"{folder}: {error.strerror}; set reasoning.prompts to a folder of templates") from None
    return files
