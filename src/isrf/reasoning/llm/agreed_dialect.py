"""How an endpoint is asked: negotiated with it once, remembered by the store, corrected where it turns out otherwise.

Knows nothing about questions and answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from isrf.core.config import ReasoningSettings
from isrf.reasoning.answers.keys import digest
from isrf.reasoning.answers.store import AnswerStore
from isrf.reasoning.llm.client import Client, Endpoint
from isrf.reasoning.llm.dialect import Dialect, negotiate


class AgreedDialect:
    """The dialect of one endpoint, for all rows that are asked about at once."""

    def __init__(self, client: Client, endpoint: Endpoint, settings: ReasoningSettings, store: AnswerStore) -> None:
        self._client, self._endpoint, self._settings, self._store = client, endpoint, settings, store
        self._who = (endpoint.supplier, endpoint.identity)
        self._dialect: Dialect | None = None
        self._agreeing = asyncio.Lock()

    async def current(self) -> Dialect:
        """The dialect: found out with the first question that the store cannot answer.

        Whoever was given all answers by others needs no endpoint that is up.
        """
        async with self._agreeing:
            if self._dialect is None:
                known = self._store.remembered(*self._who)
                if known and known["wanted"] == self._wanted():
                    self._dialect = Dialect.of(known["dialect"])
                    self._client.found_at(self._dialect.address)
                else:
                    await self.negotiate_again()
            assert self._dialect is not None
            return self._dialect

    async def negotiate_again(self) -> None:
        """Negotiate whatever is remembered. Raises IsrfError where the endpoint cannot be agreed with."""
        self._set(await negotiate(self._client, self._settings))

    def correct(self, dialect: Dialect) -> None:
        """The model that was asked in this dialect thinks after all, which negotiation did not see."""
        if self._dialect == dialect:
            self._set(replace(dialect, thinks=True))

    def forget(self) -> None:
        """The next run negotiates again."""
        self._store.remember(*self._who, {})

    def _set(self, dialect: Dialect) -> None:
        self._store.remember(*self._who, {"wanted": self._wanted(), "dialect": dialect.document()})
        self._dialect = dialect

    def _wanted(self) -> dict[str, Any]:
        wanted: dict[str, Any] = {"structure": self._settings.structure, "extra_body": self._settings.extra_body}
        if self._endpoint.supplier != "local":  # another server may want another dialect; its address is not kept
            wanted["server"] = digest(self._client.given)[:12]
        return wanted
