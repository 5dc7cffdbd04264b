"""Where settings come from: presets, a YAML file, environment and flags fill the tree that ``settings`` documents.

Precedence, weakest first: field defaults, preset, ``--config`` file, environment (``ISRF_GRAPHS__TAU=0.6``),
``--set graphs.tau=0.6``. Unknown keys and values out of range are errors at load.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from isrf.core.atomic_files import write_atomic
from isrf.core.sealed import sealed_text, tell_if_changed
from isrf.errors import IsrfError
from isrf.settings import (
    DataSettings,
    EvaluationSettings,
    GraphSettings,
    ModelSettings,
    RankingSettings,
    ReasoningSettings,
    Room,
    SemanticsSettings,
    Settings,
    TrainingSettings,
)

__all__ = [
    "DataSettings",
    "EvaluationSettings",
    "GraphSettings",
    "ModelSettings",
    "RankingSettings",
    "ReasoningSettings",
    "Room",
    "SemanticsSettings",
    "Settings",
    "TrainingSettings",
    "load_settings",
    "preset_names",
    "save_settings",
]

ENV_PREFIX = "ISRF_"
PRIVATE = {
    "reasoning.key_variable": "is the name of an environment variable in capitals, like DEEPSEEK_API_KEY, and the key "
    "itself is that variable's value",
    "reasoning.base_url": "is an address, like http://localhost:11434/v1",
    "reasoning.extra_body": "holds names with values, like {reasoning_effort: low}",
}
"""Settings that a key may have got into by mistake, so that a wrong value is not repeated; and what belongs there."""


def preset_names() -> list[str]:
    """Presets that the package ships."""
    folder = resources.files("isrf") / "presets"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


def load_settings(
    preset: str | None = None, config: Path | None = None, overrides: Sequence[str] = (), base: Path | None = None
) -> Settings:
    """Merge all sources of settings, weakest first: defaults, preset, ``base``, ``config``, environment, overrides.

    Args:
        preset: name of a preset; None = "fast" unless ``base`` is there.
        config: YAML file with rooms as keys.
        overrides: "room.name=value" each, value in YAML.
        base: YAML file that a workspace keeps of its last settings; skipped where it does not exist or where a preset
            is named.

    Raises:
        IsrfError: unknown preset, room or name, unreadable YAML, or a value out of range.
    """
    tree: dict[str, Any] = {}
    if base is not None and base.exists() and preset is None:
        tree = kept_tree(base)
    else:
        name = preset or "fast"
        if name not in preset_names():
            raise IsrfError(f"--preset {name}: unknown; there are {', '.join(preset_names())}")
        merge(tree, yaml.safe_load((resources.files("isrf") / "presets" / f"{name}.yaml").read_text()) or {})
    if config is not None:
        merge(tree, read_yaml(config))
    for variable in sorted(os.environ):
        # ISRF_CACHE and the like are no settings: those have a room before a double underscore
        if variable.startswith(ENV_PREFIX) and "__" in variable:
            room, _, name = variable[len(ENV_PREFIX) :].lower().partition("__")
            merge(tree, {room: {name: parse_value(os.environ[variable], variable, f"{room}.{name}")}})
    for override in overrides:
        address, equals, value = override.partition("=")
        room, dot, name = address.strip().partition(".")
        if not equals or not dot or not name:
            raise IsrfError(f"--set {override}: write room.name=value, for example --set graphs.tau=0.7")
        merge(tree, {room: {name: parse_value(value, f"--set {room}.{name}", f"{room}.{name}")}})
    return validated(tree)


def kept_tree(base: Path) -> dict[str, Any]:
    """The tree of settings that a workspace keeps; IsrfError that says to delete the file where it is damaged."""
    tree: dict[str, Any] = {}
    try:
        merge(tree, read_yaml(base))
        if not tree:
            raise IsrfError(f"{base}: holds no settings")
        tell_if_changed(base)
        validated(tree)
    except IsrfError as error:
        who = "" if str(error).startswith(str(base)) else f"{base}: "
        raise IsrfError(f"{who}{error}; delete it, and give the settings of this workspace again") from None
    return tree


def validated(tree: dict[str, Any]) -> Settings:
    """The settings of a tree; IsrfError with one line that names the first fault."""
    try:
        return Settings(**tree)
    except ValidationError as error:
        fault = error.errors()[0]
        address = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            raise IsrfError(f"unknown setting {address!r}; {known_names(fault['loc'])}") from None
        if fault["type"] == "value_error":  # a conflict between settings: our own words, which name them
            raise IsrfError(f"{fault['ctx']['error']}") from None
        setting = ".".join(str(part) for part in fault["loc"][:2])
        if setting in PRIVATE:
            raise IsrfError(f"setting {setting} {PRIVATE[setting]}; what was given is not shown") from None
        raise IsrfError(
            f"setting {address}={fault['input']!r}: {fault['msg'].removeprefix('Value error, ').lower()}"
        ) from None


def known_names(location: tuple[int | str, ...]) -> str:
    """What could have been meant at a place of the tree."""
    room = Settings.model_fields.get(str(location[0]))
    if room is None or len(location) < 2:
        close = difflib.get_close_matches(str(location[0]), Settings.model_fields, n=1)
        return f"{f'did you mean {close[0]}? ' if close else ''}rooms are {', '.join(Settings.model_fields)}"
    names = type(room.default).model_fields
    close = difflib.get_close_matches(str(location[1]), names, n=1)
    return f"did you mean {location[0]}.{close[0]}?" if close else f"{location[0]} has {', '.join(names)}"


def merge(tree: dict[str, Any], new: Any) -> None:
    """Lay ``new`` over ``tree``, room by room, in place."""
    if not isinstance(new, dict):
        raise IsrfError(f"settings must be rooms with names under them, like 'graphs: {{tau: 0.7}}'; found {new!r}")
    for room, values in new.items():
        if values is None:  # a room with nothing under it, as an edited file may hold
            continue
        if room in Settings.model_fields and not isinstance(values, dict):
            raise IsrfError(f"setting {room}={values!r}: a room holds names, like '{room}: {{name: value}}'")
        if isinstance(values, dict) and isinstance(tree.get(room), dict):
            tree[room].update(values)
        else:
            tree[room] = dict(values) if isinstance(values, dict) else values


def read_yaml(path: Path) -> Any:
    """A YAML file's content; IsrfError where it is missing or unreadable."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise IsrfError(f"{path}: {error.strerror or error}; check the path") from None
    except yaml.MarkedYAMLError as error:  # its own words quote the line, and a key may be in that
        mark = error.problem_mark or error.context_mark
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise IsrfError(f"{place}: not readable as YAML ({error.problem or error.context})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise IsrfError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from None


def parse_value(text: str, origin: str, setting: str) -> Any:
    """A value as YAML reads it: numbers, true, null, text; ``origin`` and the setting's address are for errors."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        if setting in PRIVATE:
            raise IsrfError(f"{origin}: not a readable value; {setting} {PRIVATE[setting]}") from None
        raise IsrfError(
            f"{origin}: {text!r} is not a readable value; put text with special characters in quotes"
        ) from None


def save_settings(settings: Settings, path: Path) -> None:
    """Write the whole tree as YAML, for later commands on the same workspace."""
    write_atomic(path, sealed_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)))
