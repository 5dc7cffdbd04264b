"""``rules.yaml`` of a workspace: what all of its lists obey, written by people. Knows no item and no column.

Values are read as they stand, without the types of YAML: an id 007 stays "007" and a brand No stays "No". What they mean is
settled by the column that they are held against.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from isrf.core.config import shown
from isrf.core.documents import MOST_YAML_BYTES, Unreadable, compose_yaml, read_text
from isrf.core.errors import IsrfError
from isrf.core.files import is_there

Where = dict[str, Any]


class RulesFile(BaseModel):
    """Rules of a workspace; arguments of a call add to them.

    Attributes:
        items_to_recommend: ids of the only items to recommend.
        exclude: ids of items that are never recommended.
        where: conditions on columns, or a list of such.
        filter_viewed: whether what a person has had is left out; None = as the call says.
        availability: whether the columns available_from, available_to and in_stock count.
        max_per: column -> most items of one value in a list.
        boost: column -> {value: spreads}, or a list of {where, by}.
        diversity: 0 to 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    items_to_recommend: list[str] | None = None
    exclude: list[str] = []
    where: Where | list[Where] = {}
    filter_viewed: bool | None = None
    availability: bool = True
    max_per: dict[str, str] = {}
    boost: dict[str, Any] | list[Any] = []
    diversity: str | None = None


EXAMPLES = {
    "items_to_recommend": "[ID, ID]",
    "exclude": "[ID, ID]",
    "where": '{brand: [X, Y], price: {"<=": 20}}',
    "filter_viewed": "false",
    "availability": "false",
    "max_per": "{brand: 2}",
    "boost": "{brand: {X: 0.5}}",
    "diversity": "0.3",
}
"""Key -> a value that it may have."""


def read_rules(path: Path) -> RulesFile:
    """The rules of a workspace; none where there is no such file.

    Raises:
        IsrfError: it cannot be read as YAML, or a key or value is none; one line that names file and key.
    """
    if not is_there(path):
        return RulesFile()
    content = text_values(path)
    if not isinstance(content, dict):
        raise IsrfError(f"{path}: must hold keys and values, like 'exclude: [ID, ID]'; keys are {keys()}")
    try:
        return RulesFile.model_validate({key: value for key, value in content.items() if value != ""})
    except ValidationError as error:
        fault = error.errors()[0]
        key = str(fault["loc"][0])
        if fault["type"] == "extra_forbidden":
            raise IsrfError(f"{path}: no key {key!r}; keys are {keys()}") from None
        raise IsrfError(
            f"{path}: {key}: {shown(fault['input'])} is not valid; write it like {key}: {EXAMPLES[key]}"
        ) from None


def keys() -> str:
    """What a file of rules may hold."""
    return ", ".join(RulesFile.model_fields)


def text_values(path: Path) -> Any:
    """The document with every value as the text that stands there. Raises IsrfError."""
    try:
        node = compose_yaml(read_text(path, MOST_YAML_BYTES))
        if node is None:
            return {}
        loader = yaml.BaseLoader("")
        try:
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except Unreadable as error:
        place = str(path) if error.line is None else f"{path}, line {error.line}"
        raise IsrfError(f"{place}: not readable as YAML ({error.problem})") from None
    except (yaml.YAMLError, TypeError) as error:  # a mapping as a key
        raise IsrfError(f"{path}: not readable as YAML ({' '.join(str(error).split())[:200]})") from None
