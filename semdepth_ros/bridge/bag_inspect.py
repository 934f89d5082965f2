"""What a bag holds, and whether a camera in it can be perceived."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from semdepth_ros.bridge.bag_file import BagReader
from semdepth_ros.bridge.camera_info import camera_from_info
from semdepth_ros.bridge.cdr import begins_with_header
from semdepth_ros.data.bag import stamp_of
from semdepth_ros.data.bag_topics import CAMERA_INFO, COMPRESSED, IMAGE, BagTopics, choose_topics, is_rectified
from semdepth_ros.data.compressed_size import compressed_size
from semdepth_ros.image_encodings import SUPPORTED

_UNCALIBRATED = 'no cloud, no metric geometry'
GAP = 1.5  # intervals longer than so many of the usual ones are gaps


def inspect_bag(path: str | Path) -> dict[str, Any]:
    """Return what a bag holds, ready for JSON.

    Times are header stamps where messages have them, else the time of recording. `problems` says in words what keeps
    the bag from being perceived (`usable` is then False), `warnings` what only makes it worse.

    :raises BagError: no bag, or a damaged one
    """
    with BagReader(path) as reader:
        topics = _read_topics(reader)
    stamps = [s for t in topics.values() for s in t['recorded']]
    report = {'path': str(path), 'size_bytes': _size(Path(path)), 'messages': len(stamps),
              'start_s': min(stamps) / 1e9 if stamps else None,
              'duration_s': (max(stamps) - min(stamps)) / 1e9 if stamps else 0.0,
              'topics': [_summary(name, t) for name, t in sorted(topics.items())]}
    return {**report, **_verdict(topics)}


def _read_topics(reader: BagReader) -> dict[str, dict[str, Any]]:
    topics = {name: {'type': t.type, 'qos': t.qos, 'recorded': [], 'stamps': [], 'bytes': 0, 'forms': {}, 'info': None,
                     'damaged': []}
              for name, t in reader.topics.items()}
    headed = {name for name, t in reader.topics.items() if begins_with_header(reader.store, t.type)}
    for topic, recorded_ns, data in reader.messages():
        entry = topics[topic.name]
        entry['recorded'].append(recorded_ns)
        entry['stamps'].append(stamp_of(data) if topic.name in headed else recorded_ns)
        entry['bytes'] += len(data)
        if topic.type in (IMAGE, COMPRESSED, CAMERA_INFO):
            _note_form(entry, reader.deserialize(data, topic.type))
    return topics


def _note_form(entry: dict[str, Any], message: Any) -> None:
    try:
        form = _form(message, entry['type'])
    except ValueError as error:
        entry['damaged'].append(str(error))
        return
    entry['forms'][form] = entry['forms'].get(form, 0) + 1
    entry['info'] = message if entry['type'] == CAMERA_INFO else None


def _form(message: Any, type_name: str) -> str:
    if type_name == IMAGE:
        return f'{message.encoding} {message.width}x{message.height}'
    if type_name == CAMERA_INFO:
        return f'{message.distortion_model or "no distortion"} {message.width}x{message.height}'
    width, height = compressed_size(message.data)
    return f'{message.format} {width}x{height}'


def _summary(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    stamps = np.array(entry['stamps'], dtype=np.int64)
    steps = np.diff(stamps)
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = steps[steps > GAP * usual] if usual > 0 else steps[:0]
    return {'name': name, 'type': entry['type'], 'count': len(stamps), 'bytes': entry['bytes'],
            'reliability': entry['qos'].reliability, 'durability': entry['qos'].durability,
            'rate_hz': 1e9 / usual if usual > 0 else None,
            'first_s': stamps[0].item() / 1e9 if len(stamps) else None,
            'last_s': stamps[-1].item() / 1e9 if len(stamps) else None,
            'gaps': len(gaps), 'longest_gap_s': float(gaps.max()) / 1e9 if len(gaps) else 0.0,
            'steps_back': int((steps < 0).sum()), 'repeated_stamps': int((steps == 0).sum()),
            'forms': dict(entry['forms'])}


def _verdict(topics: dict[str, dict[str, Any]]) -> dict[str, Any]:
    types = {name: t['type'] for name, t in topics.items() if t['recorded']}
    try:
        chosen = choose_topics(types)
    except ValueError as error:
        return {'usable': False, 'image': None, 'camera_info': None, 'problems': [str(error)], 'warnings': []}
    image = topics[chosen.image]
    problems = _problems(chosen.image, image)
    warnings = _oddities(chosen.image, image)
    if image['forms']:
        warnings += _mismatch(topics, chosen, next(iter(image['forms'])))
    return {'usable': not problems, 'image': chosen.image, 'camera_info': chosen.camera_info, 'problems': problems,
            'warnings': warnings}


def _problems(name: str, image: dict[str, Any]) -> list[str]:
    """Return why not one image can be perceived."""
    forms = list(image['forms'])
    if not forms:
        return [f'no image of {name} can be read: {image["damaged"][0]}']
    encodings = [form.split()[0] for form in forms] if image['type'] == IMAGE else []
    if encodings and not set(encodings) & set(SUPPORTED):
        return [f'{name} has encoding {encodings[0]!r}, which no camera image has']
    return []


def _oddities(name: str, image: dict[str, Any]) -> list[str]:
    """Return what makes a recording worse, in its images and their times."""
    summary, damaged, found = _summary(name, image), image['damaged'], []
    if damaged and image['forms']:
        found.append(f'{len(damaged)} images of {name} cannot be read: {damaged[0]}')
    if len(image['forms']) > 1:
        found.append(f'{name} changes its size or encoding: {", ".join(image["forms"])}')
    if summary['steps_back']:
        found.append(f'stamps of {name} go backwards {summary["steps_back"]} times')
    if summary['repeated_stamps']:
        found.append(f'{summary["repeated_stamps"]} images of {name} repeat the stamp before them')
    if summary['gaps']:
        found.append(f'{name} has {summary["gaps"]} gaps, the longest {summary["longest_gap_s"]:.2f} s')
    return found


def _mismatch(topics: dict[str, dict[str, Any]], chosen: BagTopics, form: str) -> list[str]:
    """Return what keeps the calibration from fitting images of this form."""
    if chosen.camera_info is None:
        return [f'no camera_info beside {chosen.image}: {_UNCALIBRATED}']
    width, height = (int(n) for n in form.split()[-1].split('x'))
    try:
        camera_from_info(topics[chosen.camera_info]['info'], width, height, is_rectified(chosen.image))
    except ValueError as error:
        return [f'{chosen.camera_info}: {error}: {_UNCALIBRATED}']
    return []


def _size(path: Path) -> int:
    return sum(f.stat().st_size for f in path.iterdir() if f.is_file()) if path.is_dir() else path.stat().st_size
