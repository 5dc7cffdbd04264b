"""Where at a host the chat endpoint is: people name the server, the path of its own protocol, or the path of the request.

Only the path changes, never the host: what is sent goes to whom the user named. Knows nothing about requests.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

REQUEST = "/chat/completions"
"""What the client puts behind a base URL."""
VERSION = re.compile(r"v\d\w*")
OTHERS = frozenset(("chat", "completions", "responses", "models", "embeddings", "generate", "tags", "api", "v1"))
"""Last parts of a path that belong to a request, to Ollama's own protocol, or to one version too many."""
USUAL = ("/v1", "/openai/v1", "/api/v1")
"""Paths of the protocol at hosts that serve others too: most servers; Groq and Azure; OpenRouter."""


def base_of(url: str) -> str:
    """A base URL as it is meant: without the path of the request, and without slashes at its end.

    >>> base_of("http://localhost:8000/v1/chat/completions/")
    'http://localhost:8000/v1'
    """
    return url.rstrip("/").removesuffix(REQUEST).rstrip("/")


def versioned(url: str) -> bool:
    """Whether the path of a base URL ends in a version, as those of nearly all endpoints do."""
    return bool(VERSION.fullmatch(urlsplit(url).path.rpartition("/")[2]))


def others_than(url: str) -> list[str]:
    """Other base URLs at the same host where the endpoint may be instead, the likeliest first.

    >>> others_than("http://localhost:11434/api")[:2]
    ['http://localhost:11434/api/v1', 'http://localhost:11434/v1']
    """
    parts = urlsplit(url)
    path, paths = parts.path.rstrip("/"), list[str]()
    while True:
        last = path.rpartition("/")[2]
        if VERSION.fullmatch(last):
            paths += [path, f"{path}/openai"]  # the latter: Gemini
        else:
            paths += [f"{path}/v1", path]
        if last not in OTHERS:
            break
        path = path.rpartition("/")[0].rstrip("/")
    if not path:
        paths += USUAL
    found = (urlunsplit((parts.scheme, parts.netloc, path, "", "")) for path in dict.fromkeys(paths))
    return [other for other in found if other != url]
