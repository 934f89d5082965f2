"""Errors said in one line."""
from __future__ import annotations


def one_line(error: BaseException) -> str:
    """Return an error's text in one line, after its type unless it is one of those that speak for themselves.

    ValueError and OSError are what the lower floors raise with a line meant for people; anything else is unforeseen,
    and its text may say little without its type.
    """
    text = ' '.join(str(error).split())
    return text if isinstance(error, (ValueError, OSError)) else f'{type(error).__name__}: {text}'
