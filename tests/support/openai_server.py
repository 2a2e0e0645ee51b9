"""A minimal OpenAI-compatible server that answers with any ponder model."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ponder.errors import ModelError
from ponder.messages import Completion, Message, Request, Sampling, TokenLogprob, Usage
from ponder.models.base import Model
from tests.support.http_server import Call, Connection, serve


def to_request(body: dict[str, Any]) -> Request:
    """Read a chat completion request; a trailing assistant message is continued."""
    messages = [Message(role=m["role"], content=m["content"]) for m in body["messages"]]
    prefill = messages.pop().content if messages[-1].role == "assistant" else ""
    form = body.get("response_format") or {}
    logprobs = body.get("top_logprobs", 0) if body.get("logprobs") else None
    stop = body.get("stop") or ()
    return Request(
        messages=tuple(messages),
        n=body.get("n") or 1,
        max_tokens=body["max_tokens"],
        sampling=Sampling(
            temperature=body.get("temperature", 1.0), top_p=body.get("top_p", 1.0)
        ),
        seed=body.get("seed"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        prefill=prefill,
        output_schema=form.get("json_schema", {}).get("schema"),
        logprobs=logprobs,
    )


def usage_of(completions: list[Completion]) -> dict[str, Any]:
    total = sum((c.usage for c in completions), Usage())
    return {
        "prompt_tokens": total.input_tokens,
        "completion_tokens": total.output_tokens,
        "total_tokens": total.total_tokens,
        "prompt_tokens_details": {"cached_tokens": total.cached_tokens},
    }


def logprobs_of(tokens: tuple[TokenLogprob, ...]) -> dict[str, Any]:
    content = [
        {
            "token": t.token,
            "logprob": t.logprob,
            "bytes": list(t.token.encode()),
            "top_logprobs": [
                {"token": token, "logprob": logprob, "bytes": list(token.encode())}
                for token, logprob in t.top.items()
            ],
        }
        for t in tokens
    ]
    return {"content": content}


def choice_of(index: int, completion: Completion) -> dict[str, Any]:
    reason = completion.finish_reason
    return {
        "index": index,
        "finish_reason": "length" if reason == "time" else reason,
        "message": {"role": "assistant", "content": completion.text},
        "logprobs": completion.logprobs and logprobs_of(completion.logprobs),
    }


@dataclass
class ModelServer:
    """Serves ``/chat/completions`` and ``/embeddings`` from a model."""

    model: Model
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[list[Completion]] = field(default_factory=list)

    async def handle(self, call: Call, connection: Connection) -> None:
        try:
            if call.path.endswith("/embeddings"):
                await self._embed(call.body, connection)
            elif call.body.get("stream"):
                await self._stream(call.body, connection)
            else:
                await self._answer(call.body, connection)
        except ModelError as error:
            body = {"error": {"message": str(error), "type": "invalid_request_error"}}
            await connection.send_json(body, status=400)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "x", "object": kind, "created": 1, "model": self.model.name}

    async def _answer(self, body: dict[str, Any], connection: Connection) -> None:
        request = to_request(body)
        self.requests.append(request)
        completions = await self.model.generate(request)
        self.answers.append(completions)
        reply = {
            **self._head("chat.completion"),
            "choices": [choice_of(i, c) for i, c in enumerate(completions)],
            "usage": usage_of(completions),
        }
        await connection.send_json(reply)

    async def _stream(self, body: dict[str, Any], connection: Connection) -> None:
        request = to_request(body)
        self.requests.append(request)
        texts: list[str] = []
        [made] = await self.model.generate(
            request, on_delta=lambda index, text, tokens: texts.append(text)
        )
        self.answers.append([made])
        head = self._head("chat.completion.chunk")
        connection.start_events()
        for text in texts:
            piece = {"index": 0, "delta": {"content": text}, "finish_reason": None}
            await connection.send_event(json.dumps({**head, "choices": [piece]}))
        end = {"index": 0, "delta": {}, "finish_reason": made.finish_reason}
        await connection.send_event(json.dumps({**head, "choices": [end]}))
        last = {**head, "choices": [], "usage": usage_of([made])}
        await connection.send_event(json.dumps(last))
        await connection.send_event("[DONE]")
        await connection.end_events()

    async def _embed(self, body: dict[str, Any], connection: Connection) -> None:
        vectors = await self.model.embed(body["input"])
        data = [
            {"object": "embedding", "index": i, "embedding": v}
            for i, v in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        await connection.send_json({"object": "list", "data": data, "usage": usage})


@asynccontextmanager
async def serve_model(model: Model) -> AsyncIterator[ModelServer]:
    """Serve a model on a free port; yield the server, whose ``url`` is the base."""
    server = ModelServer(model)
    async with serve(server.handle) as url:
        server.url = url
        yield server
