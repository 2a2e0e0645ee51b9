"""A request of ponder as the arguments of ``litellm.acompletion``."""

import json
from typing import Any

from ponder.errors import UnsupportedCapability
from ponder.messages import Message, Request, Sampling
from ponder.models.base import Capabilities
from ponder.models.remote.setup import Provider

EXTENDED_SAMPLING = {
    "top_k": frozenset({"anthropic", "gemini", "vertex_ai", "hosted_vllm"}),
    "min_p": frozenset({"hosted_vllm"}),
}
"""Providers that take sampling settings which OpenAI's form does not have."""
MARKED_PREFILL = frozenset({"mistral", "codestral", "deepseek"})
"""Providers that continue the last message only if it says ``prefix``."""
PROBE = "Call `await model.probe()` to find out what this server can do."


def completion_arguments(
    request: Request,
    provider: Provider,
    capabilities: Capabilities,
    *,
    owned_address: bool,
) -> dict[str, Any]:
    """Map a request onto OpenAI's form.

    Args:
        request: What is asked.
        provider: Who is asked.
        capabilities: What the model is known to do by now.
        owned_address: The caller chose the server (vLLM, llama.cpp ...), which takes
            settings beyond OpenAI's.

    Raises:
        UnsupportedCapability: The model does not take a part of the request.
    """
    _refuse_unsupported(request, provider, capabilities)
    return {
        "messages": chat_messages(request, provider),
        **_limits(request, provider),
        **_sampling(request.sampling, provider, owned_address),
        **_shape(request, provider),
    }


def _refuse_unsupported(
    request: Request, provider: Provider, capabilities: Capabilities
) -> None:
    wanted = {
        "seed": request.seed is not None,
        "logprobs": request.logprobs is not None,
        "prefill": bool(request.prefill),
        "output_schema": request.output_schema is not None,
        "tools": bool(request.tools),
    }
    for capability, asked in wanted.items():
        if asked and not getattr(capabilities, capability):
            raise UnsupportedCapability(provider.model_id, capability, PROBE)
    if request.grammar is not None:
        raise UnsupportedCapability(
            provider.model_id, "grammar", "Use output_schema=, or a local model."
        )


def chat_messages(request: Request, provider: Provider) -> list[dict[str, Any]]:
    """Return the messages in OpenAI's form, the prefill last."""
    messages = [_message(message) for message in request.messages]
    # LiteLLM would put a text of its own in the place of a blank one.
    if request.prefill.strip() or (request.prefill and not provider.claude):
        prefill: dict[str, Any] = {"role": "assistant", "content": request.prefill}
        if provider.name in MARKED_PREFILL:
            prefill["prefix"] = True
        messages.append(prefill)
    return messages


def _message(message: Message) -> dict[str, Any]:
    mapped: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        mapped["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        mapped["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(call.arguments),
                },
            }
            for call in message.tool_calls
        ]
    return mapped


def _limits(request: Request, provider: Provider) -> dict[str, Any]:
    limit = next(
        (p for p in ("max_tokens", "max_completion_tokens") if provider.takes(p)), None
    )
    if limit is None:
        raise UnsupportedCapability(provider.model_id, "max_tokens")
    mapped: dict[str, Any] = {limit: request.max_tokens}
    if request.n > 1:
        mapped["n"] = request.n
    if request.seed is not None:
        mapped["seed"] = request.seed
    if request.stop:
        if not provider.takes("stop"):
            raise UnsupportedCapability(provider.model_id, "stop")
        mapped["stop"] = list(request.stop)
    return mapped


def withheld_stops(request: Request, provider: Provider) -> tuple[str, ...]:
    """Return the stop strings that the provider refuses.

    OpenAI's models that reason take none, and Claude none of white space alone.
    """
    if not provider.takes("stop"):
        return request.stop
    return tuple(text for text in request.stop if provider.claude and not text.strip())


def _sampling(
    sampling: Sampling, provider: Provider, owned_address: bool
) -> dict[str, Any]:
    mapped: dict[str, Any] = {}
    # The default of 0.7 is a wish of nobody: a model without temperatures may ignore
    # it, but not a temperature that the caller has set.
    if provider.takes("temperature"):
        mapped["temperature"] = sampling.temperature
    elif sampling.sets_temperature:
        raise UnsupportedCapability(
            provider.model_id,
            f"temperature {sampling.temperature:g}",
            "It takes 1 alone: set the temperature to that.",
        )
    if sampling.top_p < 1.0:
        if not provider.takes("top_p"):
            raise UnsupportedCapability(provider.model_id, "top_p")
        mapped["top_p"] = sampling.top_p
        if provider.claude:
            _leave_out_temperature(mapped, provider)
    for name in EXTENDED_SAMPLING:
        value = getattr(sampling, name)
        if not value:
            continue
        known = provider.takes(name) or provider.name in EXTENDED_SAMPLING[name]
        if not (known or owned_address):
            raise UnsupportedCapability(provider.model_id, name)
        mapped[name] = value
    return mapped


def _leave_out_temperature(mapped: dict[str, Any], provider: Provider) -> None:
    """Claude refuses temperature and top_p together; 1 is what it has without."""
    if mapped.pop("temperature", 1) != 1:
        raise UnsupportedCapability(
            provider.model_id,
            "top_p with a temperature",
            "It takes top_p at a temperature of 1 alone.",
        )


def _shape(request: Request, provider: Provider) -> dict[str, Any]:
    mapped: dict[str, Any] = {}
    if request.logprobs is not None:
        mapped["logprobs"] = True
    if request.logprobs:
        if not provider.takes("top_logprobs"):
            raise UnsupportedCapability(
                provider.model_id, "top_logprobs", "Ask with logprobs=0."
            )
        mapped["top_logprobs"] = request.logprobs
    if request.output_schema is not None:
        mapped["response_format"] = _response_format(request.output_schema)
    if request.tools:
        mapped["tools"] = [
            {"type": "function", "function": tool.model_dump()}
            for tool in request.tools
        ]
    return mapped


def _response_format(schema: dict[str, Any]) -> dict[str, Any]:
    form = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": form}


def is_strict(schema: Any) -> bool:
    """Tell whether OpenAI's strict mode takes a JSON schema.

    It takes objects only if they are closed and all their properties are required:
    https://platform.openai.com/docs/guides/structured-outputs
    """
    if isinstance(schema, list):
        return all(is_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        names = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", ())) != names:
            return False
    parts = [v for k, v in schema.items() if k not in ("properties", "$defs")]
    named = [
        *schema.get("properties", {}).values(),
        *schema.get("$defs", {}).values(),
    ]
    return is_strict(parts) and is_strict(named)
