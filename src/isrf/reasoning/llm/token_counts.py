"""How many tokens chats have before anybody is asked: as the endpoint counts them where it does so for free.

llama.cpp and vLLM tokenise on request; elsewhere the embedded sentence encoder's tokenizer stands in, and the answer
says so. Knows nothing about items, users, prices or the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from isrf.core import assets
from isrf.core.config import ReasoningSettings
from isrf.reasoning.llm.async_bridge import run
from isrf.reasoning.llm.chat_path import base_of
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.endpoint_address import LOOPBACK, check_address, key_for, proxy_for

Chat = Sequence[dict[str, str]]
"""Messages with role and content, as the endpoint would be sent them."""
Way = Callable[[aiohttp.ClientSession, str, str, Chat], Awaitable[int]]

TIMEOUT_S = 10.0
"""Longest wait for one count."""
AT_ONCE = 8
"""Counts asked for at the same time."""
PER_MESSAGE = 4
"""Tokens around a message in the chat templates of common models, where no endpoint renders them."""
APPROXIMATE = "approximate: counted with another model's tokenizer"


@dataclass(frozen=True)
class Counts:
    """Tokens of each chat, and who counted: the endpoint's software, or ``APPROXIMATE``."""

    tokens: list[int]
    counted_by: str


def count_tokens(chats: Sequence[Chat], endpoint: Endpoint, settings: ReasoningSettings) -> Counts:
    """Tokens that each chat is as a prompt, the chat template included.

    Args:
        chats: what would be sent.
        endpoint: who would be asked; the key goes to its host alone, and none to the local supplier.
    """
    if not chats:
        return Counts([], "nothing to count")
    if endpoint.base_url is not None:
        counts = run(_by_endpoint(chats, endpoint, settings))
        if counts is not None:
            return counts
    return Counts(_by_stand_in(chats), APPROXIMATE)


async def _by_endpoint(chats: Sequence[Chat], endpoint: Endpoint, settings: ReasoningSettings) -> Counts | None:
    """None where the endpoint does not count, or stops doing so."""
    assert endpoint.base_url is not None
    host = check_address(endpoint.base_url)
    key = "" if endpoint.supplier == "local" else key_for(settings)
    root = base_of(endpoint.base_url).removesuffix("/v1")
    timeout, connector = aiohttp.ClientTimeout(total=TIMEOUT_S), aiohttp.TCPConnector(limit=AT_ONCE)
    try:
        async with aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            connector=connector,
            timeout=timeout,
            proxy=None if host in LOOPBACK else proxy_for(endpoint.base_url, host),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            for name, way in WAYS.items():
                try:
                    await way(session, root, endpoint.model, chats[0])
                except _Uncounted:
                    continue
                gate = asyncio.Semaphore(AT_ONCE)  # the timeout of a request is not spent on waiting for a connection

                async def count(chat: Chat, way: Way = way, gate: asyncio.Semaphore = gate) -> int:
                    async with gate:
                        return await way(session, root, endpoint.model, chat)

                return Counts(list(await asyncio.gather(*map(count, chats))), name)
    except (_Uncounted, ValueError):  # ValueError: a key that cannot be a header; the first real request explains it
        pass
    return None


class _Uncounted(Exception):
    pass


async def _llama(session: aiohttp.ClientSession, root: str, model: str, chat: Chat) -> int:
    prompt = (await _posted(session, f"{root}/apply-template", {"messages": list(chat)})).get("prompt")
    if not isinstance(prompt, str):
        raise _Uncounted
    # as its chat completions do
    asked = {"content": prompt, "add_special": True, "parse_special": True}
    tokens = (await _posted(session, f"{root}/tokenize", asked)).get("tokens")
    if not isinstance(tokens, list):
        raise _Uncounted
    return len(tokens)


async def _vllm(session: aiohttp.ClientSession, root: str, model: str, chat: Chat) -> int:
    count = (await _posted(session, f"{root}/tokenize", {"model": model, "messages": list(chat)})).get("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise _Uncounted
    return count


WAYS: dict[str, Way] = {"llama.cpp": _llama, "vLLM": _vllm}


async def _posted(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        async with session.post(url, json=body, allow_redirects=False) as response:
            if response.status != 200:
                raise _Uncounted
            said = await response.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError):
        raise _Uncounted from None
    if not isinstance(said, dict):
        raise _Uncounted
    return said


def _by_stand_in(chats: Sequence[Chat]) -> list[int]:
    """By the embedded encoder's WordPiece vocabulary; the same message is counted once."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(assets.fetch("minilm") / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    contents = list(dict.fromkeys(message["content"] for chat in chats for message in chat))
    encoded = tokenizer.encode_batch(contents, add_special_tokens=False)
    tokens = {content: len(encoding.ids) for content, encoding in zip(contents, encoded, strict=True)}
    return [sum(tokens[message["content"]] + PER_MESSAGE for message in chat) for chat in chats]
