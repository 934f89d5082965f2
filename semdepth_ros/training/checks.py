"""What the values of a recipe must be, said in one line where they are not."""
from __future__ import annotations

import math
from typing import Any


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message is one line."""


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise RecipeError unless the value is one of those allowed."""
    if value not in allowed:
        raise RecipeError(f'{name} is {value!r}, expected one of {list(allowed)}')


def positive(name: str, value: float) -> None:
    """Raise RecipeError unless the value is positive and finite."""
    if not 0 < value < math.inf:
        raise RecipeError(f'{name} is {value}, expected a positive number')


def between(settings: Any, low: float, high: float, *names: str) -> None:
    """Raise RecipeError unless these values are within low and high; NaN is not."""
    for name in names:
        value = getattr(settings, name)
        if not low <= value <= high or value == math.inf:
            wanted = f'at least {low}' if high == math.inf else f'{low} to {high}'
            raise RecipeError(f'{name} is {value}, expected {wanted}')
