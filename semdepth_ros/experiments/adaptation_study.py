"""A declared study of the learner: arms on drives, with what each run depends on."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from semdepth_ros.adaptation import AdapterSettings
from semdepth_ros.experiments.adaptation_baselines import BASELINES, baseline
from semdepth_ros.settings import SettingsError, build, merged, one_of, positive
from semdepth_ros.share import shared_names


@dataclass(frozen=True)
class StudyDrive:
    """One drive of a study.

    :param source: world:PRESET:SEED, or a folder in the one that the command is given for real drives
    :param frames: at most so many; None for all
    :param size: of the world's images (width, height) [px]; None leaves it to the preset
    :param rays: of the world through each pixel, at least
    :param odometry: whether the drive's poses are told
    :param about: what it is, in a few words
    :param final: whether it belongs to the table that counts; the others were looked at while settings were chosen
    """

    source: str
    frames: int | None = None
    size: tuple[int, int] | None = None
    rays: int = 4
    odometry: bool = True
    about: str = ''
    final: bool = True

    @property
    def preset(self) -> str | None:
        """The world's preset; None for a real drive."""
        return self.source.split(':')[1] if self.source.startswith('world:') else None


@dataclass(frozen=True)
class Offline:
    """How a reference is fine-tuned on a preset's training towns before the drive: the far end of what can be gained.

    :param towns, frames, first_seed: town n has the seed first_seed + n and so many frames
    :param steps, learning_rate: of the base's recipe from its weights on
    """

    towns: int = 12
    frames: int = 30
    first_seed: int = 800
    steps: int = 400
    learning_rate: float = 1e-4

    def __post_init__(self):
        for name in ('towns', 'frames', 'steps', 'learning_rate'):
            positive(name, getattr(self, name))


@dataclass(frozen=True)
class StudyArm:
    """One arm.

    :param settings: of the learner, nested
    :param baseline: a published way instead of ours
    :param offline: no learner; the model is fine-tuned beforehand
    :param model: instead of the study's
    :param on: names of the drives that it takes; empty for all
    :param about: what it is, in a few words
    """

    settings: dict[str, Any] = field(default_factory=dict)
    baseline: str | None = None
    offline: Offline | None = None
    model: str = ''
    on: tuple[str, ...] = ()
    about: str = ''

    def __post_init__(self):
        if self.baseline is not None:
            one_of('baseline', self.baseline, BASELINES)
        self.adapter_settings()

    def adapter_settings(self) -> AdapterSettings:
        """Return the learner's settings.

        :raises SettingsError: an unknown one, or a value out of range
        """
        content = merged(baseline(self.baseline) if self.baseline else {}, self.settings)
        return build(AdapterSettings, content | ({'mode': 'off'} if self.offline else {}), 'settings')


class Cell(NamedTuple):
    """One arm on one drive."""

    drive: str
    arm: str

    @property
    def name(self) -> str:
        """Name of its files."""
        return f'{self.drive}__{self.arm}'


@dataclass(frozen=True)
class Study:
    """A declared study of the learner.

    :param model: the factory weights
    :param recipe: that the model was trained by; needed for offline references alone
    :param after: a drive that every arm's last weights are judged on at the end, without learning: what was forgotten
    """

    model: str
    drives: dict[str, StudyDrive]
    arms: dict[str, StudyArm]
    after: StudyDrive | None = None
    recipe: str = ''
    name: str = ''
    title: str = ''
    about: str = ''

    def __post_init__(self):
        for name, arm in self.arms.items():
            unknown = [drive for drive in arm.on if drive not in self.drives]
            if unknown:
                raise SettingsError(f'arms.{name}.on is {unknown[0]!r}, expected one of {list(self.drives)}')
            if arm.offline and not self.recipe:
                raise SettingsError(f'arms.{name} is offline, expected a recipe')

    def cells(self) -> Iterator[Cell]:
        """Yield all that is to be run, arm after arm."""
        for name, arm in self.arms.items():
            for drive in self.drives:
                if not arm.on or drive in arm.on:
                    yield Cell(drive, name)

    def fingerprint(self, cell: Cell, model: str) -> str:
        """Return a digest of all that decides a run but the code.

        :param model: digest of the factory weights
        """
        arm = self.arms[cell.arm]
        known = {'settings': asdict(arm.adapter_settings()), 'drive': asdict(self.drives[cell.drive]), 'model': model,
                 'offline': arm.offline and asdict(arm.offline), 'after': self.after and asdict(self.after)}
        for drive in (known['drive'], known['after'] or {}):
            drive.pop('about', None)
            drive.pop('final', None)
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:12]


def read_study(name: str | Path) -> Study:
    """Read a study by path or by its name among those that come with the package.

    :raises SettingsError: no such file, not YAML, an unknown key, a value out of range; in one line
    """
    known = shared_names('config', 'studies')
    path = Path(name) if Path(name).is_file() else known.get(str(name))
    if path is None:
        raise SettingsError(f'no study {str(name)!r}: neither a file nor one of {list(known)}')
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f'{path} is not YAML: {" ".join(str(error).split())}') from None
    if not isinstance(content, dict):
        raise SettingsError(f'{path} holds {type(content).__name__}, expected a mapping of the keys of a study')
    for key, kind in (('drives', StudyDrive), ('arms', StudyArm)):
        parts = content.get(key)
        if not isinstance(parts, dict) or not parts:
            raise SettingsError(f'{path}: {key} is {parts!r}, expected a mapping of names')
        content[key] = {part: build(kind, value or {}, f'{path}: {key}.{part}') for part, value in parts.items()}
    return build(Study, content | {'name': path.stem}, str(path))
