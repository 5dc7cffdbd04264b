"""Where an endpoint is and by which proxy, where its key comes from, and that no setting holds it: settings are written
down, keys are not.

The one place that reads a key. Knows nothing about what is sent there, or about who chose it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.reasoning.text import clean

KEY_LENGTH = 12
"""A shorter key ("ollama", "EMPTY") is none, and may well be a part of an address."""
KEY_NAMES = frozenset(("apikey", "xapikey", "authorization", "accesstoken", "bearertoken", "password", "secret"))
"""Fields of a request that hold a key, letters only."""
KEY_VARIABLE = re.compile(r"(?:[A-Z][A-Z0-9_]*_)?API_KEY|ISRF_[A-Z0-9_]+")
"""Variables that may be read: what providers and gateways call their keys, and names that are ours. Anything else in an
environment (AWS_SECRET_ACCESS_KEY, GITHUB_TOKEN, DATABASE_URL) is none of our business, whatever a setting says."""
HOST = re.compile(r"[a-z0-9._:%-]+")
"""What a host is in its ASCII form: names, IPv4 and IPv6."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_address(url: str) -> str:
    """The host of a base URL; IsrfError where it is none, or has a secret in it that would end up in ``settings.yaml``."""
    if not url.isprintable() or any(character in " \\" for character in url):
        raise IsrfError("reasoning.base_url is not an address: it holds blanks, backslashes or control characters")
    try:
        parts = urlsplit(url)
        host, carries = parts.hostname, bool(parts.username or parts.password or parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        host, carries, parts = None, False, urlsplit("")
    if carries:
        raise IsrfError("reasoning.base_url must hold no user, password or query: keys come from the environment only")
    if parts.scheme not in ("http", "https") or not host:
        raise IsrfError("reasoning.base_url is not an address; write it like http://localhost:11434/v1")
    return host


def destination(url: str) -> str:
    """An address in one form, so that two can be compared: as the HTTP library reads it, its port written out.

    >>> destination("HTTPS://API.Example.com/v1/"), destination("http://localhost:80")
    ('https://api.example.com:443/v1', 'http://localhost:80')

    Raises:
        IsrfError: as ``check_address``.
    """
    check_address(url)
    try:
        read = URL(url)
        host = read.raw_host or ""
        if not HOST.fullmatch(host):
            raise ValueError(host)
        return f"{read.scheme}://{f'[{host}]' if ':' in host else host}:{read.port}{read.raw_path.rstrip('/')}"
    except ValueError:
        raise IsrfError("reasoning.base_url is not an address; write it like http://localhost:11434/v1") from None


def check_key_variable(name: str) -> None:
    """IsrfError where a variable is not of the form that keys to language models have.

    The name is not repeated: it may be a key that was put into the wrong place.
    """
    if not KEY_VARIABLE.fullmatch(name):
        raise IsrfError(
            "reasoning.key_variable names a variable that is not read: only those whose names end in API_KEY, "
            "or begin with ISRF_, are; put the key into one, ISRF_LLM_KEY say, and set reasoning.key_variable=ISRF_LLM_KEY"
        )


def key_for(settings: ReasoningSettings) -> str:
    """The key in the variable that the settings name, "" where there is none.

    Raises:
        IsrfError: as ``check_key_variable``.
    """
    check_key_variable(settings.key_variable)
    return os.environ.get(settings.key_variable, "").strip()


def check_no_key(settings: ReasoningSettings) -> None:
    """IsrfError where a setting holds a key: settings are written down, in the workspace and in what is shared of it."""
    key = key_for(settings)
    for name, value in (
        ("base_url", settings.base_url),
        ("model", settings.model),
        ("extra_body", settings.extra_body),
    ):
        if (len(key) >= KEY_LENGTH and key in json.dumps(value, default=str)) or _names(value) & KEY_NAMES:
            raise IsrfError(
                f"reasoning.{name} must hold no key: keys come from the environment only, as the value of "
                f"{settings.key_variable} (reasoning.key_variable names another variable)"
            )


def proxy_for(url: str, host: str) -> str | None:
    """The proxy that the environment names for an address.

    The library's own way would also look into ``~/.netrc`` before every request, and fail where that knows the host.
    """
    scheme = urlsplit(url).scheme
    proxy = None if proxy_bypass(host) else getproxies().get(scheme)
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise IsrfError(f"{scheme.upper()}_PROXY names no proxy that starts with http://; set one, or NO_PROXY={host}")
    return proxy


def place(location: str) -> str:
    """An address to show: host and path, nothing that could be a secret."""
    try:
        parts = urlsplit(location)
        return clean(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 120) if parts.netloc else ""
    except ValueError:
        return ""


def _names(value: Any) -> set[str]:
    """Names at any depth of a request's fields, letters only."""
    if isinstance(value, list):
        return {name for part in value for name in _names(part)}
    if not isinstance(value, dict):
        return set()
    own = {"".join(c for c in str(name).lower() if c.isalpha()) for name in value}
    return own.union(*(_names(part) for part in value.values()))
