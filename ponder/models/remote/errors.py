"""What an exception of LiteLLM, openai or httpx means for a call.

The HTTP status decides where there is one, since LiteLLM reports some statuses (403,
413, 529) under its general ``APIError``; the class decides else.
"""

import email.utils
import json
import re
import time
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

from ponder.errors import (
    ContextOverflow,
    ModelError,
    ModelRejected,
    UnsupportedCapability,
)
from ponder.messages import Usage
from ponder.models.remote.setup import Provider, load_litellm


class Kind(Enum):
    """What is to be done about a failure."""

    RETRY = "retry"
    REJECTED = "rejected"
    CONTEXT = "context"
    UNSUPPORTED = "unsupported"


class Malformed(Exception):
    """A reply came that is no chat completion; asking again may help."""

    def __init__(self, what: str, usage: Usage | None = None) -> None:
        """Keep what the provider charged for the useless reply."""
        self.usage = usage or Usage()
        super().__init__(what)


@dataclass(frozen=True)
class Place:
    """Whom an error message is about."""

    model: str
    provider: Provider
    needed: int
    """Upper bound of the tokens that the request can take, prompt and output."""
    context_length: int | None
    secret: str | None = field(repr=False)

    def detail(self, error: Exception) -> str:
        """Return the provider's words, short, and without the key."""
        text = re.sub(r"^(litellm\.)?(\w+: )*(\w+Exception - )?", "", str(error))
        text = " ".join(text.split())[:500] or type(error).__name__
        return text.replace(self.secret, "***") if self.secret else text


RETRIED_STATUS = frozenset({408, 409, 425, 429})
REMEDIES = {
    400: "The provider refuses a part of the request; see its words above.",
    401: "Check the API key: pass api_key= or set {env}_API_KEY.",
    402: "The account has no credit left.",
    403: "This key may not use this model, or not from here.",
    404: "Check the model's name and the address (api_base=).",
    413: "The request is too large for the provider.",
    422: "The provider refuses a part of the request; see its words above.",
}
_KEYLESS = re.compile(
    r"missing credentials|api[_ ]key.*(not set|set the|missing)", re.I
)
_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota", re.I)
_OVERFLOW = re.compile(
    r"context.{0,3}length|context window|maximum context|prompt is too long", re.I
)
_SIZE = re.compile(r"(?:maximum|max|limit|window|size|length)[^\d]{0,40}(\d{2,})", re.I)


@cache
def _kinds() -> dict[type, Kind]:
    """Decide by class; the nearest base of an exception counts."""
    litellm = load_litellm()
    import httpx
    import openai
    from litellm.llms.base_llm.chat.transformation import BaseLLMException

    e = litellm.exceptions
    return {
        # Whatever carries a status is decided by it before this table is asked.
        openai.OpenAIError: Kind.REJECTED,
        openai.APIError: Kind.RETRY,
        openai.BadRequestError: Kind.REJECTED,
        openai.AuthenticationError: Kind.REJECTED,
        openai.PermissionDeniedError: Kind.REJECTED,
        openai.NotFoundError: Kind.REJECTED,
        openai.UnprocessableEntityError: Kind.REJECTED,
        openai.ContentFilterFinishReasonError: Kind.REJECTED,
        openai.LengthFinishReasonError: Kind.REJECTED,
        openai.InvalidWebhookSignatureError: Kind.REJECTED,
        BaseLLMException: Kind.RETRY,
        httpx.HTTPError: Kind.RETRY,
        httpx.UnsupportedProtocol: Kind.REJECTED,
        httpx.TooManyRedirects: Kind.REJECTED,
        httpx.InvalidURL: Kind.REJECTED,
        httpx.CookieConflict: Kind.REJECTED,
        httpx.StreamError: Kind.RETRY,
        e.ContextWindowExceededError: Kind.CONTEXT,
        e.UnsupportedParamsError: Kind.UNSUPPORTED,
        e.MockException: Kind.REJECTED,
        e.ModelNotMappedError: Kind.REJECTED,
        e.BudgetExceededError: Kind.REJECTED,
        e.GuardrailRaisedException: Kind.REJECTED,
        e.BlockedPiiEntityError: Kind.REJECTED,
        e.ModifyResponseException: Kind.REJECTED,
        e.SensitiveDataRouteException: Kind.REJECTED,
        Malformed: Kind.RETRY,
        json.JSONDecodeError: Kind.RETRY,
        TimeoutError: Kind.RETRY,
        ConnectionError: Kind.RETRY,
    }


def kind_of_class(cls: type) -> Kind | None:
    """Return what the class alone says, ``None`` for one that is not foreign."""
    kinds = _kinds()
    return next((kinds[base] for base in cls.__mro__ if base in kinds), None)


def status_of(error: Exception) -> int | None:
    """Return the HTTP status that an error reports, if any."""
    try:
        return int(getattr(error, "status_code", None) or 0) or None
    except ValueError:
        return None


def diagnose(error: Exception) -> Kind | None:
    """Tell what is to be done; ``None`` if the error is no business of ours."""
    kind = kind_of_class(type(error))
    if kind is None or kind in (Kind.CONTEXT, Kind.UNSUPPORTED):
        return kind
    status, text = status_of(error), str(error)
    if status is None:
        return kind
    if _OVERFLOW.search(text) and status in (400, 413, 422):
        return Kind.CONTEXT
    # LiteLLM reports a missing key as status 500, and no credit is a 429 for good.
    if _QUOTA.search(text) or (not _headers(error) and _KEYLESS.search(text)):
        return Kind.REJECTED
    if status in RETRIED_STATUS or status >= 500:
        return Kind.RETRY
    return Kind.REJECTED if status >= 400 else kind


def _headers(error: Exception) -> Any:
    return getattr(error, "litellm_response_headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )


def retry_after(error: Exception) -> float | None:
    """Return the seconds that the server asks us to wait, ``None`` if it does not.

    The header is a number of seconds or an HTTP date (RFC 9110, section 10.2.3).
    """
    value = (_headers(error) or {}).get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def final_error(kind: Kind, error: Exception, place: Place) -> ModelError:
    """Translate a failure that no retry can mend."""
    if kind is Kind.UNSUPPORTED:
        return UnsupportedCapability(
            place.model, "a part of the request", f"LiteLLM says: {place.detail(error)}"
        )
    if kind is Kind.CONTEXT:
        return _overflow(error, place)
    return _rejected(error, place)


def _overflow(error: Exception, place: Place) -> ModelError:
    size = _SIZE.search(str(error))
    available = int(size.group(1)) if size else place.context_length
    remedy = "Shorten the prompt, lower max_tokens, or take a model with more context."
    if available is None:
        return ModelRejected(
            f"The request does not fit the context of '{place.model}', whose size is "
            f"unknown: {place.detail(error)}. {remedy}"
        )
    return ContextOverflow(place.needed, available, remedy)


def _rejected(error: Exception, place: Place) -> ModelRejected:
    status, detail = status_of(error), place.detail(error)
    if _KEYLESS.search(detail):
        status = 401
    elif _QUOTA.search(detail):
        status = 402
    remedy = REMEDIES.get(status or 0, "").format(env=place.provider.name.upper())
    cause = type(error).__name__ if status is None else f"HTTP {status}"
    return ModelRejected(
        f"Model '{place.model}' was refused by {place.provider.address} "
        f"({cause}): {detail.rstrip('.')}. {remedy}".strip(),
        status,
    )
