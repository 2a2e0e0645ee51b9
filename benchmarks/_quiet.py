"""Keep llama.cpp from writing to the terminal while it loads."""

import ctypes

import llama_cpp


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # ships no types
def _drop(level: int, text: bytes, data: ctypes.c_void_p) -> None:
    """Drop the message."""


def quiet() -> None:
    """Drop everything that llama.cpp says from now on in this process."""
    llama_cpp.llama_log_set(_drop, ctypes.c_void_p(0))
