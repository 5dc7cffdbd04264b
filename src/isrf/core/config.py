"""Where settings come from: presets, a YAML file, environment and flags fill the tree that ``settings`` documents.

Precedence, weakest first: field defaults, preset, ``--config`` file, environment (``ISRF_GRAPHS__TAU=0.6``),
``--set graphs.tau=0.6``. Unknown keys and values out of range are errors at load. In files values are YAML; in the
environment and behind ``--set`` they are read by the field's type (``core.setting_text``).
"""

from __future__ import annotations

import difflib
import os
import reprlib
from collections.abc import Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from isrf.core.atomic_files import write_atomic
from isrf.core.documents import read_yaml
from isrf.core.errors import IsrfError
from isrf.core.files import is_there
from isrf.core.sealed_documents import sealed_text, tell_if_changed
from isrf.core.setting_text import kinds_of, read_typed
from isrf.core.settings import (
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
from isrf.core.shell import argument, given_as
from isrf.core.shell import setting as option

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
    "given_names",
    "load_settings",
    "preset_names",
    "save_settings",
]

ENV_PREFIX = "ISRF_"
LONGEST_SHOWN = 60
"""Most characters of a wrong value that a message repeats."""
PRIVATE = {
    "reasoning.key_variable": "is the name of an environment variable in capitals, like DEEPSEEK_API_KEY, and the key "
    "itself is that variable's value",
    "reasoning.base_url": "is an address, like http://localhost:11434/v1",
    "reasoning.extra_body": "holds names with values, like {reasoning_effort: low}",
}
"""Settings that a key may have got into by mistake, so that a wrong value is not repeated; and what belongs there."""


def preset_names() -> list[str]:
    """Presets that the package ships."""
    folder = resources.files("isrf.core") / "presets"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


def load_settings(
    preset: str | None = None, config: Path | None = None, overrides: Sequence[str] = (), base: Path | None = None
) -> Settings:
    """Merge all sources of settings, weakest first: defaults, preset, ``base``, ``config``, environment, overrides.

    Args:
        preset: name of a preset; None = "fast" unless ``base`` is there.
        config: YAML file with rooms as keys.
        overrides: "room.name=value" each, the value as ``core.setting_text`` reads it.
        base: YAML file that a workspace keeps of its last settings; skipped where it does not exist or where a preset
            is named.

    Raises:
        IsrfError: unknown preset, room or name, unreadable YAML, or a value out of range.
    """
    tree: dict[str, Any] = {}
    if base is not None and is_there(base) and preset is None:
        tree = kept_tree(base)
    else:
        name = preset or "fast"
        if name not in preset_names():
            raise IsrfError(f"{argument('preset')} {name}: unknown; there are {', '.join(preset_names())}")
        merge(
            tree, yaml.safe_load((resources.files("isrf.core") / "presets" / f"{name}.yaml").read_text("utf-8")) or {}
        )
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
            raise IsrfError(f"{given_as(override)}: write room.name=value, for example {option('graphs.tau', 0.7)}")
        merge(tree, {room: {name: parse_value(value, given_as(f"{room}.{name}"), f"{room}.{name}")}})
    return validated(tree)


def given_names(
    preset: str | None = None, config: Path | None = None, overrides: Sequence[str] = (), base: Path | None = None
) -> frozenset[str]:
    """ "room.name" of each setting that whoever types a command decides, and not what ``base`` says.

    Arguments as of ``load_settings``, which took them: ``--config``, environment and ``--set`` name what they give; where
    no ``base`` is read, everything is the person's own, defaults and preset too.
    """
    everything = frozenset(
        f"{room}.{name}" for room, field in Settings.model_fields.items() for name in type(field.default).model_fields
    )
    if base is None or not base.exists() or preset is not None:
        return everything
    given = {override.partition("=")[0].strip() for override in overrides}
    given |= {
        variable[len(ENV_PREFIX) :].lower().replace("__", ".", 1)
        for variable in os.environ
        if variable.startswith(ENV_PREFIX)
    }
    if config is not None:
        given |= {f"{room}.{name}" for room, values in read_yaml(config).items() for name in values or ()}
    return everything & given


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
            f"setting {address}={shown(fault['input'])}: {fault['msg'].removeprefix('Value error, ').lower()}"
            f"{in_quotes(setting, fault['input'])}"
        ) from None


def shown(value: object) -> str:
    """A value in a message: its beginning and end where it is long."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = LONGEST_SHOWN
    return brief.repr(value)


def in_quotes(setting: str, value: object) -> str:
    """What to do about a YAML file whose text was read as a number, a date or a truth value; else nothing."""
    annotation = annotation_of(setting)
    if annotation is None or not isinstance(value, bool | int | float | date):
        return ""
    text = all(kind is str for kind in kinds_of(annotation)[0])
    return f'; in a file of settings put such a text in quotes, like {setting.partition(".")[2]}: "No"' if text else ""


def annotation_of(setting: str) -> Any:
    """The type of a setting, None where there is no such setting."""
    room, _, name = setting.partition(".")
    kind = Settings.model_fields.get(room)
    field = type(kind.default).model_fields.get(name) if kind is not None else None
    return None if field is None else field.annotation


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
        raise IsrfError(
            f"settings must be rooms with names under them, like 'graphs: {{tau: 0.7}}'; found {reprlib.repr(new)}"
        )
    for room, values in new.items():
        if values is None:  # a room with nothing under it, as an edited file may hold
            continue
        if room in Settings.model_fields and not isinstance(values, dict):
            raise IsrfError(
                f"setting {room}={reprlib.repr(values)}: a room holds names, like '{room}: {{name: value}}'"
            )
        if isinstance(values, dict) and isinstance(tree.get(room), dict):
            tree[room].update(values)
        else:
            tree[room] = dict(values) if isinstance(values, dict) else values


def parse_value(text: str, origin: str, setting: str) -> Any:
    """A value as its field's type reads it; ``origin`` and the setting's address are for errors.

    Raises:
        IsrfError: a list, a record or a truth value that is no YAML.
    """
    annotation = annotation_of(setting)
    if annotation is None:  # no such setting, which is told where all of them are looked at
        return text
    try:
        return read_typed(text, annotation)
    except ValueError:
        if setting in PRIVATE:
            raise IsrfError(f"{origin}: not a readable value; {setting} {PRIVATE[setting]}") from None
        raise IsrfError(f"{origin}: {shown(text)} is not a readable value; write it as YAML does") from None


def save_settings(settings: Settings, path: Path) -> None:
    """Write the whole tree as YAML, for later commands on the same workspace."""
    write_atomic(path, sealed_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)))
