"""The file that says which images are flagged, and whether it belongs to the data it is used with."""
from __future__ import annotations

import json
from collections.abc import Sequence as Several
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semdepth_ros.data.sample import Sequence
from semdepth_ros.settings import SettingsError, build
from semdepth_ros.training.recipe import RecipeError
from semdepth_ros.whole_files import written_whole

FORMAT = 1


@dataclass(frozen=True)
class FlaggedFrame:
    """One flagged image: its number, time and name in its sequence, the share of its pixels below the ground, and how
    deep they go [heights of the lens].
    """

    frame: int
    stamp_ns: int
    name: str
    share: float
    deepest: float


@dataclass(frozen=True)
class SequenceFlags:
    """What was found in one sequence.

    :param frames, first_ns, last_ns: how many it has, and when the first and last were taken: what it is known by
    :param judged: in how many a plane of the road was found
    """

    name: str
    frames: int
    first_ns: int
    last_ns: int
    judged: int
    flagged: tuple[FlaggedFrame, ...] = ()

    def is_of(self, sequence: Sequence) -> bool:
        """Whether this is said of the sequence: by its name, its length, its first and its last stamp."""
        stamps = sequence.stamps_ns
        return (self.name, self.frames, self.first_ns, self.last_ns) == \
            (sequence.name, len(sequence), int(stamps[0]), int(stamps[-1]))


@dataclass(frozen=True)
class SourceFlags:
    """The sequences of one source, and whose classes said where road is."""

    source: str
    labels: str
    sequences: tuple[SequenceFlags, ...]


@dataclass(frozen=True)
class FlagList:
    """Which images are flagged.

    :param model: name of the model, and the hash of its weights
    :param rule: FilterRule, as plain values
    """

    model: dict[str, Any]
    rule: dict[str, Any]
    sources: tuple[SourceFlags, ...]
    format: int = FORMAT

    @property
    def sequences(self) -> list[SequenceFlags]:
        """The sequences of all sources."""
        return [sequence for source in self.sources for sequence in source.sequences]

    def counts(self) -> dict[str, int]:
        """Return how many images there are, were judged and are flagged."""
        return {'images': sum(s.frames for s in self.sequences), 'judged': sum(s.judged for s in self.sequences),
                'flagged': sum(len(s.flagged) for s in self.sequences)}

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        text = json.dumps(asdict(self) | self.counts(), indent=1, allow_nan=False) + '\n'
        written_whole(path, lambda partial: partial.write_text(text, encoding='utf-8'))

    @classmethod
    def read(cls, path: str | Path) -> FlagList:
        """Read what write wrote.

        :raises RecipeError: no such file, or not a list of flagged images
        """
        try:
            content = json.loads(Path(path).expanduser().read_text(encoding='utf-8'))
        except OSError as error:
            raise RecipeError(f'filter {path} cannot be read: {error.strerror or error}') from None
        except ValueError:
            raise RecipeError(f'filter {path} is not JSON, expected what semdepth filter writes') from None
        if not isinstance(content, dict) or content.get('format') != FORMAT:
            raise RecipeError(f'filter {path} is not of format {FORMAT}, expected what semdepth filter writes')
        known = {key: value for key, value in content.items() if key not in ('images', 'judged', 'flagged')}
        try:
            return build(cls, known, f'filter {path}')
        except SettingsError as error:
            raise RecipeError(str(error)) from None


def flagged_frames(path: str | Path, source: str, sequences: Several[Sequence]) -> list[frozenset[int]]:
    """Return the numbers of the flagged images of every sequence.

    Sequences are known by name, length, and first and last stamp; where several in the file are the same in that, the
    one whose source has the same name is taken.

    :param source: what the recipe calls the data
    :raises RecipeError: the file is none, or says nothing, or two things, of a sequence
    """
    flags = FlagList.read(path)
    return [_of(flags, path, source, sequence) for sequence in sequences]


def _of(flags: FlagList, path: str | Path, source: str, sequence: Sequence) -> frozenset[int]:
    found = [(each.source, own) for each in flags.sources for own in each.sequences if own.is_of(sequence)]
    found = [pair for pair in found if pair[0] == source] or found
    numbers = {frozenset(each.frame for each in own.flagged) for _, own in found}
    if len(numbers) == 1:
        return numbers.pop()
    if numbers:
        raise RecipeError(f'filter {path} has {len(found)} sequences {sequence.name!r} alike and flags other images in '
                          f'each, of which one is meant: filter {source!r} by itself')
    named = [own.frames for own in flags.sequences if own.name == sequence.name]
    known = f'it has one of {named[0]} at other times' if named else f'it has {len(flags.sequences)} others'
    raise RecipeError(f'filter {path} does not belong to {source!r}: it says nothing of the sequence {sequence.name!r} '
                      f'of {len(sequence)} images; {known}')
