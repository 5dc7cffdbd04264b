"""What the person at this machine has agreed to: where questions and keys go, and on what terms they are asked.

A workspace may come from somebody else, and its settings with it. Where its questions and a key go, what is read for
prompts and prices, which model file is loaded, and what may be spent is decided by whoever types the command: what was
given on the command line, in the environment or by ``--config`` is kept in a folder of this person's own, one file an
agreement, and what a workspace brings has to be among that. Knows nothing about how anything is asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

from isrf.core.atomic_files import write_atomic
from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.files import is_there
from isrf.core.progress import note
from isrf.core.shell import command_line, in_shell, setting, together
from isrf.core.terminal_text import visible
from isrf.reasoning.llm.client import OPENAI
from isrf.reasoning.llm.endpoint_address import LOOPBACK, check_address, destination, key_for
from isrf.reasoning.tables import STATISTICS

FOLDER_VARIABLE = "ISRF_CONFIG"
AGREED = "agreed"
LONGEST = 1 << 16
"""Bytes of an agreement; a longer file is none."""
DEFAULTS = ReasoningSettings()
COSTS = ("model", "budget")
"""Settings that decide what an endpoint's answers cost: agreed to together with its address."""
READ = {"openai": ("prompts", "extra_body", "prices"), "local": ("prompts", "extra_body", "gguf")}
"""Supplier -> settings that decide what is read from this machine, and what is sent beside the questions."""


@dataclass(frozen=True)
class Terms:
    """One agreement.

    Attributes:
        supplier: "openai" or "local".
        address: in the form of ``endpoint_address.destination``; "" for the local supplier.
        key_variable: name of the variable that holds the key; "" for the local supplier.
        model, budget: as in settings.
        extra_body: as JSON.
        prompts, prices, gguf: absolute paths.
    """

    supplier: str
    address: str
    key_variable: str
    model: str | None
    budget: str | None
    extra_body: str
    prompts: str | None
    prices: str | None
    gguf: str | None

    @classmethod
    def of(cls, settings: ReasoningSettings) -> Terms:
        """Those of settings whose supplier asks an LLM."""
        hosted = settings.supplier == "openai"
        named = settings.model_dump(mode="json", include={"model", "budget", "prompts", "prices", "gguf"})
        return cls(
            supplier=settings.supplier,
            address=destination(settings.base_url or OPENAI) if hosted else "",
            key_variable=settings.key_variable if hosted else "",
            extra_body=json.dumps(settings.extra_body, sort_keys=True, default=str),
            **named,
        )

    @property
    def file(self) -> str:
        """Name of its file: the same agreement has the same one, whoever writes it first."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32] + ".json"


GIVEN_NOW: list[Terms] = []
"""Agreements of this process, also where no file can be written."""


def config_folder() -> Path | None:
    """Where this person's agreements are kept: ``ISRF_CONFIG``, else the platform's folder of settings. Not made here.

    None where the person has no home folder, as in a container that runs under a number.

    Raises:
        IsrfError: ``ISRF_CONFIG`` names the home of nobody.
    """
    if chosen := os.environ.get(FOLDER_VARIABLE):
        try:
            return Path(chosen).expanduser()
        except RuntimeError:
            raise IsrfError(
                f"{FOLDER_VARIABLE}={chosen}: there is no such home folder; name a folder by its path"
            ) from None
    with suppress(RuntimeError):
        return _settings_of_platform()
    return None


def _settings_of_platform() -> Path:
    """The folder of settings. Raises RuntimeError where the person has no home folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming")) / "isrf"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "isrf"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "isrf"


def offer(settings: ReasoningSettings, given: frozenset[str]) -> Terms | None:
    """Take what a command gives for an agreement; None where it gives too little, or no LLM would be asked.

    Args:
        given: names of the settings that the command gives (``config.given_names``).
    """
    if settings.supplier == STATISTICS or unagreed(settings, given):
        return None
    terms = Terms.of(settings)
    if terms not in GIVEN_NOW:
        GIVEN_NOW.append(terms)
    return terms


def keep(terms: Terms) -> Path | None:
    """Write an agreement down, so that later commands need not give it again; its file, None where nothing was written.

    Where it cannot be written or would not be believed, a line says that it has to be given each time.
    """
    home = config_folder()
    if home is None:
        note(
            "there is no home folder to keep it in, so where questions go has to be given each time (ISRF_CONFIG names one)"
        )
        return None
    folder = home / AGREED
    path = folder / terms.file
    try:
        if is_there(path) and read(path) == terms:
            return None
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        write_atomic(path, json.dumps(asdict(terms), indent=2))
        path.chmod(0o600)
        kept = read(path) == terms
    except OSError as error:
        note(f"{folder}: cannot be written ({error.strerror}), so where questions go has to be given each time")
        return None
    if not kept:
        note(f"{folder}: files in it are not only this user's, so where questions go has to be given each time")
    return path


def withdraw(path: Path) -> None:
    """Forget an agreement of a command that was refused."""
    with suppress(OSError):
        path.unlink()


def known() -> list[Terms]:
    """Everything that was agreed to on this machine."""
    home, files = config_folder(), []
    with suppress(OSError):
        files = sorted((home / AGREED).glob("*.json")) if home is not None else []
    return [*GIVEN_NOW, *(terms for path in files if (terms := read(path)) is not None)]


def read(path: Path) -> Terms | None:
    """The agreement in a file; None, and a line that says so, where it is none of this user's own."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            about, folder = os.fstat(descriptor), path.parent.stat()
            if not (_own(about) and _own(folder) and stat.S_ISREG(about.st_mode)):
                told_once(
                    f"{path}: somebody else could have written it, so it does not count as an agreement; delete it"
                )
                return None
            document = json.loads(file.read(LONGEST))
        terms = Terms(**document)
        if all(isinstance(getattr(terms, f.name), str | None) for f in fields(terms)) and terms.file == path.name:
            return terms
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    told_once(f"{path}: is not an agreement that isrf wrote, so it is ignored; delete it")
    return None


def _own(about: os.stat_result) -> bool:
    """Whether nobody else can write a file or folder, as far as this system tells."""
    return not hasattr(os, "geteuid") or (about.st_uid == os.geteuid() and not about.st_mode & 0o022)


@cache
def told_once(line: str) -> None:
    """A line that many look-ups would repeat."""
    note(line)


def sends_nothing_out(settings: ReasoningSettings) -> bool:
    """Whether what is asked stays on this machine, and no key goes along."""
    return check_address(settings.base_url or OPENAI) in LOOPBACK and not key_for(settings)


def unagreed(settings: ReasoningSettings, given: frozenset[str] = frozenset()) -> list[str]:
    """Names of settings of an LLM supplier that nobody gave on this machine, neither now (``given``) nor before."""
    terms, before = Terms.of(settings), known()
    found: list[str] = []
    if settings.supplier == "openai" and not sends_nothing_out(settings):
        same = [t for t in before if (t.address, t.key_variable) == (terms.address, terms.key_variable)]
        place = "supplier" if settings.base_url is None else "base_url"
        typed = f"reasoning.{place}" in given and (
            "reasoning.key_variable" in given or settings.key_variable == DEFAULTS.key_variable
        )
        if not same and not typed:
            found += [place, "key_variable"]
        elif not typed:
            found += [n for n in COSTS if all(getattr(t, n) != getattr(terms, n) for t in same)]
    for name in READ[settings.supplier]:
        default = getattr(settings, name) == getattr(DEFAULTS, name)
        if not default and all(getattr(t, name) != getattr(terms, name) for t in before):
            found.append(name)
    return [name for name in found if f"reasoning.{name}" not in given or name in ("supplier", "base_url")]


def require(root: Path, settings: ReasoningSettings, *more: str) -> None:
    """Nothing is sent, and no model is loaded, on terms that a workspace brings and nobody here agreed to.

    Args:
        root: the workspace, as a command names it.
        settings: what is about to be done.
        more: options of the command that is suggested.

    Raises:
        IsrfError: with the command that agrees.
    """
    if settings.supplier == STATISTICS:
        return
    names = unagreed(settings)
    if not names:
        if settings.supplier == "openai":
            tell_where(settings)
        return
    agreeing = together(_given(settings, names))
    do = f"type {command_line('isrf', 'reason', root, *more)} {agreeing}" if in_shell() else f"give isrf.run {agreeing}"
    raise IsrfError(
        f"{root}: its settings {_told(settings, names)}; nobody agreed to that on this machine, so nothing was asked. If it "
        f"is what you want, {do}"
    )


def tell_where(settings: ReasoningSettings) -> None:
    """Say where questions and a key go, and that they can be read on the way where they can."""
    address, key = settings.base_url or OPENAI, key_for(settings)
    host = check_address(address)
    with_key = f", with the key in {settings.key_variable}" if key else ""
    budget = f"a budget of {settings.budget}" if settings.budget else "no budget"
    note(f"questions go to {visible(address)}{with_key}: {visible(str(settings.model))}, {budget}")
    if host not in LOOPBACK and address.lower().startswith("http:"):
        what = "questions and key" if key else "questions"
        note(f"WARNING: {visible(address)} is not encrypted: {what} can be read on the way; use https where you can")


def _told(settings: ReasoningSettings, names: list[str]) -> str:
    """What settings would do, of what nobody agreed to."""
    parts = []
    if "key_variable" in names or "base_url" in names or "supplier" in names:
        key = f" and the key in {settings.key_variable}" if key_for(settings) else ""
        parts.append(f"send questions about items and people{key} to {visible(settings.base_url or OPENAI)}")
    others = [f"{n}={getattr(settings, n)}" for n in names if n not in ("supplier", "base_url", "key_variable")]
    if others:
        parts.append(f"ask with {visible(', '.join(others))}")
    return " and ".join(parts)


def _given(settings: ReasoningSettings, names: list[str]) -> list[str]:
    """What gives these settings: options of ``isrf reason``, or settings of ``isrf.run``."""
    values = {name: getattr(settings, name) for name in names}
    return [setting(f"reasoning.{n}", str(value) if isinstance(value, Path) else value) for n, value in values.items()]
