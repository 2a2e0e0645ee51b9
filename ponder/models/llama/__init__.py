"""The local engine: one llama.cpp context, many branches."""

from ponder.models.llama.model import LlamaModel

__all__ = ["LlamaModel"]
