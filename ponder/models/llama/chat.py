"""Conversations to prompts and back: the template in the file, tool calls."""

import json
import re
from datetime import datetime
from os.path import commonprefix
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ponder.errors import ModelFileError, ModelRejected
from ponder.messages import Message, Request, ToolCall, ToolSpec
from ponder.models.llama.bindings import Weights

OPEN_THINKING, _CLOSE_THINKING = "<think>", "</think>"
_TOOL_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)


class Chat:
    """The chat format of one model."""

    def __init__(self, weights: Weights) -> None:
        """Compile the template of a model.

        Args:
            weights: The model.

        Raises:
            ModelFileError: The file has no template, or one that is no jinja.
        """
        source = weights.chat_template
        if not source:
            raise ModelFileError(
                f"'{weights.path}' holds no chat template, so it is a base model or "
                "badly converted. Use an instruction-tuned GGUF file."
            )
        try:
            self._template = _environment().from_string(source)
        except TemplateError as error:
            raise ModelFileError(
                f"The chat template in '{weights.path}' cannot be read: {error}"
            ) from error
        self._weights = weights
        self._bos = weights.special_text("bos")
        self._eos = weights.special_text("eos")
        self.has_tools = "tools" in source and "<tool_call>" in source
        """Whether the template offers tools, in the form that is read back here."""

    def render(
        self,
        messages: tuple[Message, ...],
        tools: tuple[ToolSpec, ...] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> str:
        """Return the prompt text, up to where the assistant begins.

        Raises:
            ModelRejected: The template refuses these messages.
        """
        try:
            return self._template.render(
                messages=[_message(m) for m in messages],
                tools=[_tool(t) for t in tools] or None,
                add_generation_prompt=add_generation_prompt,
                bos_token=self._bos,
                eos_token=self._eos,
            )
        except TemplateError as error:
            raise ModelRejected(
                f"The chat template of '{self._weights.path.name}' refuses these "
                f"messages: {error}"
            ) from error

    def prompt(self, request: Request) -> list[int]:
        """Return the tokens that a completion of the request continues.

        Args:
            request: ``prefill_tokens`` are used where they spell ``prefill``.

        Raises:
            ModelRejected: The template refuses the messages.
        """
        prompt = self.opening(request.messages, request.tools)
        return prompt + self._prefill(request)

    def opening(
        self, messages: tuple[Message, ...], tools: tuple[ToolSpec, ...] = ()
    ) -> list[int]:
        """Return the tokens of a conversation, up to where the assistant begins.

        Raises:
            ModelRejected: The template refuses the messages.
        """
        text = self.render(messages, tools)
        # Many templates write BOS themselves; twice would be off-distribution.
        add = not (self._bos and text.startswith(self._bos))
        return self._weights.tokenize(text, special=True, bos=add)

    def _prefill(self, request: Request) -> list[int]:
        if not request.prefill:
            return []
        tokens = request.prefill_tokens
        if tokens is not None:
            spelling = b"".join(map(self._weights.piece, tokens))
            if spelling == request.prefill.encode():
                return list(tokens)
        return self._weights.tokenize(request.prefill)

    def begins_in_thought(self, request: Request) -> bool:
        """Tell whether the prompt itself opens the thinking section.

        What the messages say of such tags opens none: only what the template puts
        behind them, and the prefill.
        """
        messages, tools = request.messages, request.tools
        opening = self.render(messages, tools)
        said = self.render(messages, tools, add_generation_prompt=False)
        if said == opening:  # a template that always writes it
            last = messages[-1].content.strip()
            said = opening[: opening.rfind(last) + len(last)]
        added = opening[len(commonprefix([opening, said])) :] + request.prefill
        return added.rfind(OPEN_THINKING) > added.rfind(_CLOSE_THINKING)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    # jinja's own filter escapes for HTML, which no model was trained on.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(reason: str) -> None:
    raise TemplateError(reason)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _message(message: Message) -> dict[str, Any]:
    record: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        record["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        record["tool_call_id"] = message.tool_call_id
    return record


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"type": "function", "function": tool.model_dump()}


def read_tool_calls(text: str) -> tuple[ToolCall, ...]:
    """Return the well-formed tool calls in a text, in order.

    A section that is not a JSON object with a name and arguments is left in the
    text for the caller to see, and is no call.
    """
    calls: list[ToolCall] = []
    for match in _TOOL_CALL.finditer(text):
        try:
            record = json.loads(match[1])
        except ValueError:
            continue
        arguments = record.get("arguments", {})
        if isinstance(record.get("name"), str) and isinstance(arguments, dict):
            calls.append(
                ToolCall(
                    id=f"call_{len(calls)}", name=record["name"], arguments=arguments
                )
            )
    return tuple(calls)
