"""From what a user writes behind ``--verifier`` to a verifier."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from types import ModuleType

from ponder.agents.verifier import FunctionVerifier, Judge
from ponder.context import Verifier
from ponder.errors import InvalidInput, UnknownName

JUDGE = "judge"
FORMS = ("MODULE:FUNCTION", "FILE.py:FUNCTION")


def load_verifier(spec: str | None, known: Sequence[str] = (JUDGE,)) -> Verifier | None:
    """Return the verifier that is meant.

    The name of a function's verifier is where it can be found again, so that
    ``ponder resume`` needs no ``--verifier``.

    Args:
        spec: ``judge``, ``MODULE:FUNCTION``, ``FILE.py:FUNCTION`` or nothing.
        known: Names that a message should tell of.

    Raises:
        UnknownName: There is no such verifier or function.
        InvalidInput: Its code cannot be loaded.
    """
    if spec is None:
        return None
    if spec == JUDGE:
        return Judge()
    place, colon, name = spec.rpartition(":")
    if not colon or not place or not name:
        raise UnknownName("verifier", spec, (*known, *FORMS))
    module, origin = _load(place, spec)
    try:
        found = attrgetter(name)(module)
    except AttributeError:
        functions = [n for n, _ in inspect.getmembers(module, inspect.isroutine)]
        raise UnknownName(f"function of {place}", name, functions) from None
    if hasattr(found, "verify") and not isinstance(found, type):
        verifier: Verifier = found
        return verifier
    if not callable(found):
        raise InvalidInput(
            f"Verifier '{spec}' is no function. Give one that takes (task, candidate)."
        )
    return FunctionVerifier(found, name=f"{origin}:{name}")


def verifier_again(spec: str | None, recorded: str | None) -> Verifier | None:
    """Return the verifier for a run that goes on: the given or else its own.

    Args:
        spec: As typed with this command.
        recorded: The name of the run's verifier.
    """
    if spec is not None or recorded is None or recorded == JUDGE:
        return load_verifier(spec)
    try:
        return load_verifier(recorded)
    except InvalidInput as error:
        raise InvalidInput(
            f"The run was verified by '{recorded}'. {error} Give it again with "
            "--verifier."
        ) from error


def _load(place: str, spec: str) -> tuple[ModuleType, str]:
    """Return the module and the name under which it is found from anywhere."""
    try:
        if place.endswith(".py"):
            path = Path(place).expanduser().resolve(strict=True)
            return _module_of(path), str(path)
        # As ``python -m`` does: an installed command does not look here by itself.
        if "" not in sys.path:
            sys.path.insert(0, "")
        return importlib.import_module(place), place
    except Exception as error:
        raise InvalidInput(
            f"Verifier '{spec}' cannot be loaded: {type(error).__name__}: {error}."
        ) from error


def _module_of(path: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(path.stem, path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
