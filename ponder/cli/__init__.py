"""The command ``ponder``."""

from ponder.cli.app import main

__all__ = ["main"]
