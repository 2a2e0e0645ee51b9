"""No exception of LiteLLM, openai or httpx passes the seam untranslated."""

import inspect
import json
from types import ModuleType
from typing import Any

import httpx
import openai
import pytest

from ponder.models.remote.errors import Kind, Malformed, diagnose, kind_of_class
from ponder.models.remote.setup import load_litellm


def exceptions_of(module: ModuleType) -> list[type[Exception]]:
    return [
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, Exception) and not issubclass(cls, Warning)
    ]


def all_foreign() -> list[type[Exception]]:
    exceptions = load_litellm().exceptions
    found = [c for m in (exceptions, openai, httpx) for c in exceptions_of(m)]
    return [c for c in dict.fromkeys(found) if c is not Exception]


def test_no_foreign_exception_is_unmapped() -> None:
    foreign = all_foreign()
    assert len(foreign) > 60
    unmapped = [c.__qualname__ for c in foreign if kind_of_class(c) is None]
    assert unmapped == []


def test_exceptions_of_our_own_are_left_alone() -> None:
    for error in (ValueError("x"), KeyError("x"), RuntimeError("x")):
        assert diagnose(error) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("AuthenticationError", Kind.REJECTED),
        ("NotFoundError", Kind.REJECTED),
        ("BadRequestError", Kind.REJECTED),
        ("ContentPolicyViolationError", Kind.REJECTED),
        ("PermissionDeniedError", Kind.REJECTED),
        ("PaymentRequiredError", Kind.REJECTED),
        ("BudgetExceededError", Kind.REJECTED),
        ("ContextWindowExceededError", Kind.CONTEXT),
        ("UnsupportedParamsError", Kind.UNSUPPORTED),
        ("RateLimitError", Kind.RETRY),
        ("Timeout", Kind.RETRY),
        ("InternalServerError", Kind.RETRY),
        ("ServiceUnavailableError", Kind.RETRY),
        ("BadGatewayError", Kind.RETRY),
        ("APIConnectionError", Kind.RETRY),
        ("MidStreamFallbackError", Kind.RETRY),
        ("APIResponseValidationError", Kind.RETRY),
    ],
)
def test_the_class_alone_tells_the_common_ones(name: str, kind: Kind) -> None:
    assert kind_of_class(getattr(load_litellm().exceptions, name)) is kind


def api_error(status: int, message: str = "bad", headers: Any = None) -> Exception:
    error: Exception = load_litellm().exceptions.APIError(
        status, message, "openai", "tiny"
    )
    error.litellm_response_headers = headers  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.REJECTED),
        (403, Kind.REJECTED),
        (413, Kind.REJECTED),
        (408, Kind.RETRY),
        (409, Kind.RETRY),
        (425, Kind.RETRY),
        (429, Kind.RETRY),
        (500, Kind.RETRY),
        (529, Kind.RETRY),
    ],
)
def test_the_status_decides_over_a_general_class(status: int, kind: Kind) -> None:
    assert diagnose(api_error(status)) is kind


def test_words_that_make_a_retryable_status_final() -> None:
    assert diagnose(api_error(429, "code: insufficient_quota")) is Kind.REJECTED
    assert diagnose(api_error(500, "Missing credentials")) is Kind.REJECTED
    # A server that answered is not a missing key, whatever it says.
    said = api_error(500, "Missing credentials", {"content-type": "text/html"})
    assert diagnose(said) is Kind.RETRY
    assert diagnose(api_error(400, "prompt is too long")) is Kind.CONTEXT


def test_what_a_broken_reply_raises_is_retried() -> None:
    broken: list[Exception] = [
        Malformed("no choices"),
        json.JSONDecodeError("x", "y", 0),
        TimeoutError(),
        ConnectionResetError(),
        httpx.ReadError("x"),
        httpx.RemoteProtocolError("x"),
    ]
    assert {diagnose(error) for error in broken} == {Kind.RETRY}
