"""Runs of a study of the learner: drives are rendered once, and what is kept of a run is a small JSON file."""
from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semdepth_ros.adaptation import read_journal
from semdepth_ros.data import Sample, Sequence, open_data, write_folder_sequence
from semdepth_ros.data.world import WorldSequence
from semdepth_ros.experiments.adaptation_run import COLUMNS, JOURNAL, DriveRun, adapt_drive
from semdepth_ros.experiments.adaptation_study import Cell, Offline, Study, StudyDrive
from semdepth_ros.experiments.results import code_version
from semdepth_ros.model_file import find_model
from semdepth_ros.networks import load_network
from semdepth_ros.whole_files import read_json, written_whole

_AT_ONCE = 8    # frames rendered together
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class StudyFolders:
    """Where a study's files are.

    :param work: rendered drives, runs and fine-tuned models: may be thrown away
    :param docs: results and page: kept
    :param real: in which real drives are
    """

    work: Path
    docs: Path
    real: Path | None = None

    def result(self, cell: Cell) -> Path:
        """Return the file of a run's result."""
        return self.docs / 'results' / f'{cell.name}.json'


def known_result(study: Study, cell: Cell, folders: StudyFolders) -> dict[str, Any] | None:
    """Return the result of just this run; None where there is none, or it is that of other settings."""
    result = read_json(folders.result(cell))
    model = None if result is None else result.get('factory', '')
    return result if result is not None and result.get('fingerprint') == study.fingerprint(cell, model) else None


def run_cell(study: Study, cell: Cell, folders: StudyFolders, progress: Progress) -> dict[str, Any]:
    """Run one arm on one drive; write and return its result.

    :raises ValueError: a model, drive or recipe that cannot be used
    """
    arm, drive = study.arms[cell.arm], study.drives[cell.drive]
    model = find_model(arm.model or study.model)
    digest = hashlib.sha256(Path(model).read_bytes()).hexdigest()[:12]
    used = fine_tuned(study, arm.offline, drive, Path(model), folders) if arm.offline else model
    network, card = load_network(used)
    out = folders.work / 'runs' / study.name / cell.name
    shutil.rmtree(out, ignore_errors=True)
    _share_anchors(out / 'weights' / 'anchors', folders.work / 'anchors')
    after = () if study.after is None else (sequence_of(study.after, folders, progress),)
    sequence = sequence_of(drive, folders, progress)
    began = time.monotonic()
    result = adapt_drive(sequence, network, card, arm.adapter_settings(), out,
                         DriveRun(drive.odometry, frames=drive.frames), 'cpu', model=cell.arm, progress=progress,
                         after=after)
    kept = {'drive': cell.drive, 'arm': cell.arm, 'source': drive.source, 'frames': result['frames'],
            'factory': digest, 'fingerprint': study.fingerprint(cell, digest), 'code': code_version(),
            'seconds': round(time.monotonic() - began), **summary(result, out / JOURNAL)}
    lines = ',\n'.join(f' {json.dumps(key)}: {json.dumps(rounded(value), allow_nan=False)}'
                       for key, value in kept.items())
    written_whole(folders.result(cell), lambda path: path.write_text(f'{{\n{lines}\n}}\n'))
    return kept


def summary(result: dict[str, Any], journal: Path) -> dict[str, Any]:
    """Return what is kept of a run: adapt.json without its tables by class and range, and what its journal adds.

    `frame_abs_rel` is that of the last third's frames, every frame median-scaled; `refused` counts the trials that each
    criterion spoke against.
    """
    lines = list(read_journal(journal))
    abs_rel = {part: {name: _abs_rel(columns[name]) for name in COLUMNS}
               for part, columns in (('all', result), ('last_third', result['last_third']))}
    trials = [{'frame': line['frame'], 'passed': line['passed'], 'reason': line['reason'],
               'criteria': {c['name']: c['value'] for c in line['criteria']}}
              for line in lines if line['event'] == 'trial']
    refused = Counter(c['name'] for line in lines if line['event'] == 'trial' for c in line['criteria']
                      if not c['passed'])
    steps = [line['frame'] for line in lines if line['event'] == 'step' and line['taken']]
    return {'abs_rel': abs_rel, 'frame_abs_rel': _by_frame(lines, result['frames']), 
            'after': {name: _abs_rel(column) for name, column in result.get('after', {}).items()},
            **{name: result[name] for name in ('steps', 'accepted_steps', 'promotions', 'rollbacks', 'rejections',
                                               'resets', 'gates', 'ms_per_step', 'processor_ms_per_step',
                                               'odometry_scale', 'metric_scale', 'held_out')},
            'refused': dict(refused), 'trials': trials, 'last_step': max(steps, default=None),
            'events': [{key: line[key] for key in ('event', 'frame', 'reason') if key in line} for line in lines
                       if line['event'] in ('promotion', 'rollback', 'reset', 'confirmed')]}


def _by_frame(lines: list[dict], frames: int) -> dict[str, list[float]]:
    last = [line for line in lines if line['event'] == 'accuracy' and 2 * frames <= 3 * line['frame'] < 3 * frames
            and None not in (line['frozen'], line['served'])]
    return {name: [line[name] for line in last] for name in ('frozen', 'served')}


def _abs_rel(column: dict[str, Any]) -> dict[str, float]:
    depth = column['sequences'][0].get('depth', {})
    return {name: depth[name]['abs_rel'] for name in ('unscaled', 'one_scale', 'median_scaled') if name in depth}


def sequence_of(drive: StudyDrive, folders: StudyFolders, progress: Progress = lambda done, total: None) -> Sequence:
    """Return a drive; one through the world is rendered to a folder the first time.

    :raises ValueError: a real drive without the folder that it is in
    """
    if drive.preset is None:
        if folders.real is None:
            raise ValueError(f'{drive.source} is a real drive, expected --real DIR with the folder that it is in')
        return open_data(folders.real / drive.source)[0]
    size = 'x'.join(str(side) for side in drive.size or ('preset',))
    path = folders.work / 'drives' / f'{drive.source.replace(":", "_")}_{drive.frames}_{size}_{drive.rays}'
    if not path.exists():
        world, = open_data(f'{drive.source}:{drive.frames or 100}', size=drive.size, rays=drive.rays)
        write_folder_sequence(path, _rendered(world, progress), world.camera, world.rate_hz)
    return open_data(path)[0]


def _rendered(world: WorldSequence, progress: Progress) -> Iterator[Sample]:
    for first in range(0, len(world), _AT_ONCE):
        for sample in world.read(range(first, min(first + _AT_ONCE, len(world)))):
            yield sample
        progress(min(first + _AT_ONCE, len(world)), len(world))


def _share_anchors(link: Path, folder: Path) -> None:
    """Let runs under one camera render their anchors once."""
    folder.mkdir(parents=True, exist_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(folder.resolve())


def fine_tuned(study: Study, how: Offline, drive: StudyDrive, model: Path, folders: StudyFolders) -> Path:
    """Return the model, trained on from its weights in the training towns of a drive's preset, under its camera.

    :raises ValueError: a real drive, whose towns there are none of
    """
    from semdepth_ros.training.export import export_model
    from semdepth_ros.training.recipe import DataEntry
    from semdepth_ros.training.recipe_file import read_recipe
    from semdepth_ros.training.trainer import build_fabric, train
    if drive.preset is None:
        raise ValueError(f'{drive.source} is a real drive, expected one through the world for an offline reference')
    known = repr((how, drive.size, drive.rays, study.recipe)).encode() + model.read_bytes()
    path = folders.work / 'offline' / f'{drive.preset}_{hashlib.sha256(known).hexdigest()[:12]}.safetensors'
    if path.exists():
        return path
    recipe = read_recipe(study.recipe)
    network, card = load_network(model)
    first = recipe.data[0]
    options = {'split': 'train', 'size': list(drive.size) if drive.size else None, 'rays': drive.rays}
    data = tuple(DataEntry(f'world:{drive.preset}:{how.first_seed + n}:{how.frames}', labels=first.labels,
                           strides=first.strides, cache=first.cache, options=options) for n in range(how.towns))
    recipe = replace(recipe, architecture=card.architecture, focal_px=card.focal_px, data=data, validation=(),
                     steps=how.steps, optimisation=replace(recipe.optimisation, learning_rate=how.learning_rate,
                                                           warmup_steps=min(how.steps // 10, 20)))
    out = path.with_suffix('')
    shutil.rmtree(out, ignore_errors=True)
    result = train(recipe, network, build_fabric(recipe, 'cpu'), out)
    if result.interrupted:
        raise ValueError(f'stopped after step {result.step} of {recipe.steps}')
    export_model(path, result.network, recipe, result.step, result.frames, True)
    return path


def rounded(value: Any) -> Any:
    """Return nested lists and mappings with five digits in every number."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return float(f'{value:.5g}') if isinstance(value, float) else value
