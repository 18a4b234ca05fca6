"""The command `moestro`."""

from .main import main

__all__ = ["main"]
