"""Every exception that ponder raises on purpose.

PonderError
├── InvalidInput                what the caller gave cannot be used
│   ├── UnknownName             no strategy, model, verifier or run of that name
│   ├── InvalidParameter        a parameter outside its range
│   └── MissingExtra            an optional package is not installed
├── ModelError                  a model could not do what was asked of it
│   ├── UnsupportedCapability   the model lacks something the request needs
│   ├── ContextOverflow         the request does not fit the context
│   ├── ModelFileError          a model file is missing, damaged or not GGUF
│   ├── ModelUnreachable        a remote model did not answer after all retries
│   ├── ModelRejected           a remote model refused the request for good
│   ├── MalformedReply          the reply cannot be understood
│   └── EngineClosed            the local engine was closed meanwhile
├── VerifierError               a verifier raised or returned nonsense
├── RetrievalError              documents cannot be read, indexed or searched
├── CannotRestore               an environment came to no state it was in before
├── JournalError                the journal cannot be read or written
│   └── ReplayDrift             a replay met a call that the journal does not hold
└── ScriptError                 a scripted model met an unexpected call

ControlFlow                     not failures: how a run is steered
└── OutOfBudget                 the budget admits no further call

Foreign exceptions (LiteLLM, llama.cpp, sqlite3) are translated where they enter.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class PonderError(Exception):
    """Root of all failures."""


class InvalidInput(PonderError):
    """What the caller gave cannot be used."""


class UnknownName(InvalidInput):
    """No thing of that kind has that name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Name the nearest known names.

        Args:
            kind: What was looked for, such as ``"strategy"``.
            name: The name that was not found.
            known: All names that exist.
        """
        self.kind, self.name, self.known = kind, name, sorted(known)
        near = get_close_matches(name, self.known, n=3, cutoff=0.5)
        hint = (
            f"Did you mean {' or '.join(near)}?"
            if near
            else f"Known: {', '.join(self.known) or 'none'}."
        )
        super().__init__(f"Unknown {kind} '{name}'. {hint}")


class InvalidParameter(InvalidInput):
    """A parameter is outside its range."""


class MissingExtra(InvalidInput):
    """An optional package is needed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Name the command that installs what is missing.

        Args:
            package: The distribution that could not be imported.
            extra: The extra of ponder that brings it.
            purpose: What it is needed for.
        """
        self.package, self.extra = package, extra
        super().__init__(
            f"{purpose} needs {package}. Install it with: pip install 'ponder[{extra}]'"
        )


class ModelError(PonderError):
    """A model could not do what was asked of it."""

    paid: Any = None
    """The ``Usage`` that the call has cost all the same, where that is known."""


class UnsupportedCapability(ModelError):
    """The model lacks something that the request needs."""

    def __init__(self, model: str, missing: str, remedy: str = "") -> None:
        """Name the model and what it lacks."""
        self.model, self.missing = model, missing
        super().__init__(
            f"Model '{model}' does not support {missing}. {remedy}".strip()
        )


class ContextOverflow(ModelError):
    """The request does not fit the context."""

    def __init__(self, needed: int, available: int, remedy: str = "") -> None:
        """Give both numbers, in tokens."""
        self.needed, self.available = needed, available
        super().__init__(
            f"The request needs {needed} tokens of context, but only {available} "
            f"are available. {remedy}".strip()
        )


class ModelFileError(ModelError):
    """A model file is missing, damaged or not GGUF."""


class ModelUnreachable(ModelError):
    """A remote model did not answer after all retries."""


class ModelRejected(ModelError):
    """A remote model refused the request for good (key, name, content)."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep the HTTP status, if there was one."""
        self.status = status
        super().__init__(message)


class MalformedReply(ModelError):
    """The reply cannot be understood."""


class EngineClosed(ModelError):
    """The local engine was closed while the request waited."""


class RetrievalError(PonderError):
    """Documents cannot be read, indexed or searched."""


class VerifierError(PonderError):
    """A verifier raised or returned nonsense."""


class CannotRestore(PonderError):
    """An environment could not be brought back to a state it was in before."""


class JournalError(PonderError):
    """The journal cannot be read or written."""


class ReplayDrift(JournalError):
    """A replay met a call that the journal does not hold."""


class ScriptError(PonderError):
    """A scripted model met a call that its script does not foresee."""


def revived(kind: str, message: str) -> PonderError:
    """Return a failure of before, from the name of its class and what it said.

    The class is kept, since strategies go on differently after different failures; no
    attribute but the message is.
    """
    classes: list[type[PonderError]] = [ModelError]
    for known in classes:
        classes += known.__subclasses__()
    classes += [RetrievalError, VerifierError]
    found = next((c for c in classes if c.__name__ == kind), ModelError)
    error = found.__new__(found, message)
    error.args = (message,)
    return error


class ControlFlow(Exception):
    """Root of the signals that steer a run; none of them is a failure."""


class OutOfBudget(ControlFlow):
    """The budget admits no further call."""

    def __init__(self, dimension: str) -> None:
        """Say which limit was met.

        Args:
            dimension: Field name of ``Budget``: ``"tokens"``, ``"seconds"`` ...
        """
        self.dimension = dimension
        super().__init__(f"budget exhausted: {dimension}")
