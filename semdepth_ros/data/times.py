"""times.txt of a folder sequence: seconds, one number an image."""
from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np

LONGEST_STEP_S = 10  # between whole numbers: images farther apart than that are not counted in seconds
LAST_STAMP_S = 2 ** 31  # what the seconds of a ROS stamp can hold
_UNITS = {1000: 'milliseconds', 10 ** 6: 'microseconds', 10 ** 9: 'nanoseconds'}


def read_times(file: Path, images: int) -> np.ndarray:
    """Read the times of so many images [ns].

    :raises ValueError: another count of numbers, something else than rising seconds, or numbers that look like those of
        another unit
    """
    words = file.read_text().split()
    if len(words) != images:
        raise ValueError(f'{file} has {len(words)} numbers, expected {images} (one an image)')
    try:
        seconds = [Decimal(word) for word in words]  # float64 is good to 240 ns, counted from 1970
        steps = [after - before for before, after in zip(seconds, seconds[1:])]
    except ArithmeticError:
        raise ValueError(f'{file} holds something that is not seconds') from None
    if not all(number.is_finite() for number in seconds):
        raise ValueError(f'{file} holds something that is not seconds')
    wrong = next((i for i, step in enumerate(steps) if step <= 0), None)
    if wrong is not None:
        raise ValueError(f'{file} {"repeats" if steps[wrong] == 0 else "goes back from"} {words[wrong]} at line '
                         f'{wrong + 2}: {words[wrong + 1]}, expected a later time')
    _expect_seconds(file, seconds, steps, whole=not any('.' in word for word in words))
    return np.array([int(round(number * 10 ** 9)) for number in seconds], dtype=np.int64)


def _expect_seconds(file: Path, seconds: list[Decimal], steps: list[Decimal], whole: bool) -> None:
    usual = sorted(steps)[len(steps) // 2] if steps else Decimal(0)
    latest = max(abs(number) for number in seconds)
    if not (whole and usual > LONGEST_STEP_S) and latest < LAST_STAMP_S:
        return
    unit = next((unit for unit in _UNITS if latest / unit < LAST_STAMP_S and usual / unit <= 1), None)
    guess = f' (as {_UNITS[unit]} they would be {usual / unit:.6g} s apart)' if unit else ''
    raise ValueError(f'{file}: images are {usual:.6g} s apart, the last at {seconds[-1]} s, expected seconds{guess}')
