"""Finding configurable things by name: strategies, benchmarks and whatever is next.

A kind of thing is a pydantic model with a ``name``; its modules register themselves on
import, and other packages ship more through an entry-point group.
"""

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from ponder.errors import InvalidParameter, UnknownName

T = TypeVar("T", bound=BaseModel)


class Registry(Generic[T]):
    """All classes of one kind, by name."""

    def __init__(self, kind: str, package: str) -> None:
        """Make a registry.

        Args:
            kind: What messages call one of them; the entry-point group is
                ``ponder.`` and its plural, such as ``ponder.strategies``.
            package: The package whose modules register themselves.
        """
        self.kind, self.package = kind, package
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
        self.group = f"ponder.{plural}"
        self._classes: dict[str, type[T]] = {}

    def register(self, cls: type[T]) -> type[T]:
        """Make a class known by its name (class decorator)."""
        self._classes[_name(cls)] = cls
        return cls

    def classes(self) -> dict[str, type[T]]:
        """Return all known classes, by name."""
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
        for point in entry_points(group=self.group):
            if point.name not in self._classes:
                self.register(point.load())
        return dict(sorted(self._classes.items()))

    def make(self, name: str, parameters: dict[str, Any]) -> T:
        """Return a thing by name.

        Raises:
            UnknownName: There is none of that name.
            InvalidParameter: A parameter is unknown or outside its range.
        """
        known = self.classes()
        if name not in known:
            raise UnknownName(self.kind, name, known)
        try:
            return known[name](**parameters)
        except ValidationError as error:
            raise InvalidParameter(self._explain(known[name], error)) from error

    def _explain(self, cls: type[T], error: ValidationError) -> str:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        name = _name(cls)
        if first["type"] == "extra_forbidden":
            return str(UnknownName(f"parameter of {name}", field, cls.model_fields))
        message = first["msg"].removeprefix("Value error, ")
        reason = f"{message[0].lower()}{message[1:]}".rstrip(".")
        if not field:
            return f"Parameters of {self.kind} '{name}': {reason}."
        value = first["input"]
        return f"Parameter {field}={value!r} of {self.kind} '{name}': {reason}."


def _name(cls: type[BaseModel]) -> str:
    return str(getattr(cls, "name", cls.__name__))
