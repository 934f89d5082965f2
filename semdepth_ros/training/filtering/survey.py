"""Going over training data with a trained model, image by image, and going on where that was ended."""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semdepth_ros.data import open_data
from semdepth_ros.data.pictures import write_picture
from semdepth_ros.data.sample import Sample, Sequence
from semdepth_ros.evaluation.protocol import Perceived
from semdepth_ros.settings import SettingsError, build
from semdepth_ros.training.filtering.flag_list import FlaggedFrame, FlagList, SequenceFlags, SourceFlags
from semdepth_ros.training.filtering.judgement import judge
from semdepth_ros.training.filtering.picture import flagged_picture
from semdepth_ros.training.filtering.rule import FilterRule
from semdepth_ros.training.filtering.table import flagged_table
from semdepth_ros.training.recipe import DataEntry, RecipeError
from semdepth_ros.training.triplets import LABEL_PARTS, open_entry, rectified
from semdepth_ros.whole_files import written_whole

# what a picture's name ends in: pictures of an earlier survey are known by it
PICTURE_SUFFIX = '.below_ground.jpg'
TABLE_NAME = 'flagged.md'
_JPEG_QUALITY = 88
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FilterSource:
    """Data to be looked at.

    :param labels: whose classes say where road is, one of LABEL_KINDS
    """

    entry: DataEntry
    labels: str = 'model'


def find_flagged(sources: list[FilterSource], perceive: Callable[[Sample], Perceived], rule: FilterRule, out: Path,
                 model: dict[str, Any], pictures: Path | None = None, opener: Callable[..., list[Sequence]] = open_data,
                 progress: Progress = lambda done, total: None) -> FlagList:
    """Judge every image of the sources and write the list of those flagged; the file is there when all are done.

    What is known of finished sequences stays beside it, in OUT.journal: with the same model, rule, sources and folder of
    pictures the work goes on from there.

    :param perceive: gives depth, positive, also where classes say sky, and classes, at the image's size
    :param model: what the list says of the model; of other weights it must be another
    :param pictures: a folder for a picture of every flagged image and a table of them; None makes none
    :param progress: is called with images done and in all
    :raises RecipeError: data cannot be opened, has no camera, or has none of the labels asked for
    """
    opened = [(source, open_entry(source.entry, opener)) for source in sources]
    head = {'model': model, 'rule': asdict(rule),
            'sources': [[s.entry.source, s.labels, str(s.entry.options)] for s in sources],
            'pictures': None if pictures is None else str(pictures)}
    journal = _Journal(out.with_name(f'{out.name}.journal'), head)
    if pictures is not None and journal.is_new:
        _clear(pictures)
    total, counted, found = sum(len(each) for _, own in opened for each in own), 0, []
    for number, (source, sequences) in enumerate(opened):
        flags = []
        for sequence in sequences:
            own = journal.next_of(sequence)
            if own is None:
                prefix = f'{number}_' * (len(sources) > 1)
                own = _look(sequence, source, perceive, rule, pictures, prefix, lambda n: progress(counted + n, total))
                journal.add(own)
            counted += len(sequence)
            flags.append(own)
        found.append(SourceFlags(source.entry.source, source.labels, tuple(flags)))
        _expect_judged(found[-1])
    listed = FlagList(model, asdict(rule), tuple(found))
    if pictures is not None:
        numbers = {id(own): number for number, source in enumerate(found) for own in source.sequences}
        text = flagged_table(listed, lambda own, frame: picture_name(own.name, frame.frame,
                                                                     f'{numbers[id(own)]}_' * (len(sources) > 1)))
        written_whole(pictures / TABLE_NAME, lambda path: path.write_text(text, encoding='utf-8'))
    listed.write(out)
    journal.remove()
    return listed


def picture_name(sequence: str, frame: int, prefix: str = '') -> str:
    """Return the name of a flagged image's picture."""
    safe = ''.join(c if c.isalnum() or c in '-_.' else '_' for c in sequence)
    return f'{prefix}{safe}_{frame:06d}{PICTURE_SUFFIX}'


def _look(sequence: Sequence, source: FilterSource, perceive: Callable[[Sample], Perceived], rule: FilterRule,
          pictures: Path | None, prefix: str, done: Callable[[int], None]) -> SequenceFlags:
    flagged, judged = [], 0
    for index in range(len(sequence)):
        sample = rectified(sequence[index])
        given = source.labels != 'model'
        labels = getattr(sample, LABEL_PARTS[source.labels]) if given else None
        if labels is not None or not given:
            seen = perceive(sample)
            labels = labels if given else seen.labels
            found = judge(seen.depth, labels, sample.camera, rule)
            judged += found.plane is not None
            if found.flagged:
                flagged.append(FlaggedFrame(index, int(sequence.stamps_ns[index]), sample.name, round(found.share, 6),
                                            round(found.deepest, 4)))
                if pictures is not None:
                    caption = f'{sequence.name}, image {index} ({sample.name})'
                    drawn = flagged_picture(sample.image, seen.depth, sample.camera, found, rule, caption)
                    write_picture(pictures / picture_name(sequence.name, index, prefix), drawn, _JPEG_QUALITY)
        done(index + 1)
    stamps = sequence.stamps_ns
    return SequenceFlags(sequence.name, len(sequence), int(stamps[0]), int(stamps[-1]), judged, tuple(flagged))


class _Journal:
    """What is known of finished sequences: a line each in a file, under a line that says what it was found with."""

    def __init__(self, path: Path, head: dict[str, Any]):
        self._path, self._head = path, json.dumps(head)
        lines = path.read_text(encoding='utf-8').split('\n')[:-1] if path.is_file() else []     # the last is whole
        same = lines[:1] == [self._head]
        self._left = [own for own in map(_parsed, lines[1:]) if own is not None] if same else []
        self._kept: list[SequenceFlags] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        if not same:
            self._write()

    @property
    def is_new(self) -> bool:
        """Whether nothing is known."""
        return not self._left and not self._kept

    def next_of(self, sequence: Sequence) -> SequenceFlags | None:
        """Return what is known of the sequence that comes next; None where nothing is."""
        if not self._left:
            return None
        if not self._left[0].is_of(sequence):
            self._left = []
            self._write()
            return None
        self._kept.append(self._left.pop(0))
        return self._kept[-1]

    def add(self, flags: SequenceFlags) -> None:
        """Keep what was found."""
        self._kept.append(flags)
        self._write()

    def remove(self) -> None:
        """Remove the file: the list is written."""
        self._path.unlink()

    def _write(self) -> None:
        lines = [self._head, *(json.dumps(asdict(own)) for own in self._kept)]
        written_whole(self._path, lambda partial: partial.write_text('\n'.join(lines) + '\n', encoding='utf-8'))


def _parsed(line: str) -> SequenceFlags | None:
    try:
        return build(SequenceFlags, json.loads(line), 'journal')
    except (ValueError, SettingsError):
        return None


def _expect_judged(flags: SourceFlags) -> None:
    if not any(own.judged for own in flags.sequences):
        raise RecipeError(f'{flags.source!r} has no image in which {flags.labels} labels show a plane of road: nothing '
                          f'can be judged')


def _clear(folder: Path) -> None:
    """Remove the pictures of an earlier survey."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob(f'*{PICTURE_SUFFIX}'):
        file.unlink()
