"""LiteLLM loaded quietly, and what it knows of a model before any call."""

import asyncio
import logging
import os
import warnings
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from ponder.errors import InvalidParameter
from ponder.models.base import Capabilities

QUIET = {
    # Without these, importing LiteLLM or calling a provider fetches files from GitHub.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
}
FLAGS = {
    "prefill": "supports_assistant_prefill",
    "tools": "supports_function_calling",
    "output_schema": "supports_response_schema",
}
"""Capability -> its flag in LiteLLM's price map."""
SAMPLES: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 5},
}
"""Parameters that LiteLLM lists for more models than it takes them for, with values."""
THINKERS = frozenset({"openai", "azure", "gemini", "deepseek"})
"""Providers whose models that can think do so unless they are told not to."""
REFUSED = [
    # console.groq.com/docs/openai
    ("groq/", {"n", "logprobs", "top_logprobs"}),
    # "This response_format type is unavailable now": its JSON mode takes no schema.
    ("deepseek/", {"response_format"}),
    # api-docs.deepseek.com/guides/reasoning_model
    ("deepseek/deepseek-reasoner", {"logprobs", "top_logprobs"}),
    # "Logprobs is not enabled for models/gemini-2.5-pro"
    ("gemini/", {"logprobs", "top_logprobs"}),
    # "Multiple candidates is not enabled for this model"
    ("gemini/gemini-3", {"n"}),
    # "Unsupported parameter: 'stop' is not supported with this model."
    *(
        (f"{host}/{model}", {"stop"})
        for host in ("openai", "azure")
        for model in ("o3", "o4-mini")
    ),
]
"""Parameters that LiteLLM sends and the provider refuses, by how models begin."""


@cache
def load_litellm() -> Any:
    """Import LiteLLM (about 3 s) without network, telemetry or printing."""
    os.environ.update(QUIET)
    # LiteLLM's own types make pydantic warn, as late as a provider is first used.
    warnings.filterwarnings("ignore", "Items? '.*' on TypedDict class", UserWarning)
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.set_verbose = False
    # Counting tokens must not download a tokenizer.
    litellm.disable_hf_tokenizer_download = True
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    return litellm


@dataclass(frozen=True)
class Provider:
    """Where a model id leads, and what is known of it beforehand."""

    model_id: str
    name: str
    """LiteLLM's name of the provider, such as ``openai``."""
    address: str
    params: frozenset[str]
    """Request parameters that the model takes, in OpenAI's names."""
    entry: dict[str, Any] = field(default_factory=dict)
    """The model's row of LiteLLM's price map; empty if unknown."""

    def takes(self, *params: str) -> bool:
        """Tell whether the provider takes all these parameters."""
        return self.params.issuperset(params)

    @property
    def claude(self) -> bool:
        """Whether the model is a Claude, wherever it runs."""
        return self.name == "anthropic" or "claude" in self.model_id.casefold()

    def prior(self) -> Capabilities:
        """Return what the model should be able to do, before it was tried.

        Of a model that is not in the price map, what its provider takes is believed,
        except prefill: that is a property of the server behind the address.
        """
        return Capabilities(
            n=self.takes("n"),
            seed=self.takes("seed"),
            logprobs=self.takes("logprobs", "top_logprobs"),
            prefill=bool(self.entry.get(FLAGS["prefill"])),
            thinks=self._thinks,
            tools=self.takes("tools") and self._flag("tools"),
            output_schema=self.takes("response_format") and self._flag("output_schema"),
            embed=self.entry.get("mode") == "embedding",
            stream=self.takes("stream"),
            temperature=self.takes("temperature"),
            top_p=self.takes("top_p"),
            context_length=self.entry.get("max_input_tokens"),
        )

    @property
    def _thinks(self) -> bool:
        """Whether the model is known to think before each answer, unasked."""
        able = self.entry.get("supports_reasoning") and self.name in THINKERS
        return bool(able) and self.entry.get("default_reasoning_effort") != "none"

    def _flag(self, capability: str) -> bool:
        return not self.entry or bool(self.entry.get(FLAGS[capability]))


def find_provider(model_id: str, api_base: str | None) -> Provider:
    """Look a model id up in LiteLLM's tables, without network.

    Raises:
        InvalidParameter: LiteLLM knows no such provider.
    """
    litellm = load_litellm()
    try:
        model, name, _, default_base = litellm.get_llm_provider(
            model_id, api_base=api_base
        )
    except litellm.exceptions.BadRequestError as error:
        raise InvalidParameter(
            f"LiteLLM knows no provider for the model '{model_id}'. Write it as "
            "provider/model, such as anthropic/claude-sonnet-4-5; for any "
            "OpenAI-compatible server, openai/MODEL with api_base=its address."
        ) from error
    prices = litellm.model_cost
    keys = (model_id, f"{name}/{model}", model)
    entry: dict[str, Any] = next((prices[key] for key in keys if key in prices), {})
    return Provider(
        model_id=model_id,
        name=name,
        address=api_base or default_base or f"the default address of {name}",
        params=_params(model, name) - _lost(entry),
        entry=entry,
    )


def _lost(entry: dict[str, Any]) -> frozenset[str]:
    """Return what LiteLLM drops on the way to OpenAI's newer interface."""
    return frozenset({"n", "seed"} if entry.get("mode") == "responses" else ())


def _params(model: str, provider: str) -> frozenset[str]:
    """Return what a model takes: less than what LiteLLM lists for it."""
    litellm = load_litellm()
    listed = set(litellm.get_supported_openai_params(model, provider) or ())
    for name in listed & set(SAMPLES):
        try:
            litellm.get_optional_params(
                model, custom_llm_provider=provider, **SAMPLES[name]
            )
        except litellm.exceptions.UnsupportedParamsError:
            listed.remove(name)
    full = f"{provider}/{model}"
    refused = (names for start, names in REFUSED if full.startswith(start))
    return frozenset(listed.difference(*refused))


class Clients:
    """Closes the HTTP clients that LiteLLM caches, once nobody uses them.

    LiteLLM keeps one cache of clients for the process and shares them among models
    with the same key and address. So the clients of an event loop are closed when
    the last model of that loop is; clients that were cached before ponder's first
    model belong to somebody else and stay.
    """

    _users: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()
    _foreign: WeakKeyDictionary[asyncio.AbstractEventLoop, frozenset[str]] = (
        WeakKeyDictionary()
    )

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        cache_ = load_litellm().in_memory_llm_clients_cache
        # LiteLLM ends the cache key of a client with a name of its event loop.
        self._end: str = cache_.update_cache_key_with_event_loop("")
        users = self._users.get(self.loop, 0)
        if not users:
            self._foreign[self.loop] = frozenset(self._keys())
        self._users[self.loop] = users + 1

    def _keys(self) -> list[str]:
        cached = load_litellm().in_memory_llm_clients_cache.cache_dict
        return [key for key in cached if key.endswith(self._end)]

    async def release(self) -> None:
        """Give up this use; the last one closes the clients."""
        self._users[self.loop] -= 1
        if self._users[self.loop]:
            return
        foreign = self._foreign[self.loop]
        cache_ = load_litellm().in_memory_llm_clients_cache
        for key in [key for key in self._keys() if key not in foreign]:
            client = cache_.cache_dict[key]
            cache_.delete_cache(key)
            await client.close()
