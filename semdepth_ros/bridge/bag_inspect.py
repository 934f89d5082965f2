"""What a bag holds, and whether a camera in it can be perceived."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from semdepth_ros.bridge.bag_file import BagReader
from semdepth_ros.bridge.bag_topics import CAMERA_INFO, COMPRESSED, IMAGE, CameraTopics, find_cameras
from semdepth_ros.bridge.camera_info import camera_from_info
from semdepth_ros.bridge.cdr import begins_with_header, read_stamp_ns
from semdepth_ros.image_encodings import SUPPORTED

GAP = 1.5  # intervals longer than so many of the usual ones are gaps


def inspect_bag(path: str | Path) -> dict[str, Any]:
    """Return what a bag holds, ready for JSON.

    Times are header stamps where messages have them, else the time of recording. `problems` says in words what keeps the
    bag from being perceived (`usable` is then False), `warnings` what only makes it worse.

    :raises BagError: no bag, or a damaged one
    """
    with BagReader(path) as reader:
        topics = _read_topics(reader)
        cameras = find_cameras(reader)
    stamps = [s for t in topics.values() for s in t['recorded']]
    report = {'path': str(path), 'size_bytes': _size(Path(path)), 'messages': len(stamps),
              'start_s': min(stamps) * 1e-9 if stamps else None,
              'duration_s': (max(stamps) - min(stamps)) * 1e-9 if stamps else 0.0,
              'topics': [_summary(name, t) for name, t in sorted(topics.items())],
              'cameras': [{'image': c.image, 'camera_info': c.camera_info} for c in cameras]}
    return {**report, **_verdict(topics, cameras)}


def _read_topics(reader: BagReader) -> dict[str, dict[str, Any]]:
    topics = {name: {'type': t.type, 'qos': t.qos, 'recorded': [], 'stamps': [], 'bytes': 0, 'forms': {}, 'info': None}
              for name, t in reader.topics.items()}
    headed = {name for name, t in reader.topics.items() if begins_with_header(reader.store, t.type)}
    for topic, recorded_ns, data in reader.messages():
        entry = topics[topic.name]
        entry['recorded'].append(recorded_ns)
        entry['stamps'].append(read_stamp_ns(data) if topic.name in headed else recorded_ns)
        entry['bytes'] += len(data)
        if topic.type in (IMAGE, CAMERA_INFO) or (topic.type == COMPRESSED and not entry['forms']):
            message = reader.deserialize(data, topic.type)
            form = _form(message, topic.type)
            entry['forms'][form] = entry['forms'].get(form, 0) + 1
            entry['info'] = message if topic.type == CAMERA_INFO else None
    return topics


def _form(message: Any, type_name: str) -> str:
    if type_name == IMAGE:
        return f'{message.encoding} {message.width}x{message.height}'
    if type_name == CAMERA_INFO:
        return f'{message.distortion_model or "no distortion"} {message.width}x{message.height}'
    return message.format


def _summary(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    stamps = np.array(entry['stamps'], dtype=np.int64)
    steps = np.diff(stamps)
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = steps[steps > GAP * usual] if usual > 0 else steps[:0]
    return {'name': name, 'type': entry['type'], 'count': len(stamps), 'bytes': entry['bytes'],
            'reliability': entry['qos'].reliability, 'durability': entry['qos'].durability,
            'rate_hz': 1e9 / usual if usual > 0 else None,
            'first_s': stamps[0] * 1e-9 if len(stamps) else None, 'last_s': stamps[-1] * 1e-9 if len(stamps) else None,
            'gaps': len(gaps), 'longest_gap_s': float(gaps.max()) * 1e-9 if len(gaps) else 0.0,
            'steps_back': int((steps < 0).sum()), 'repeated_stamps': int((steps == 0).sum()),
            'forms': dict(entry['forms'])}


def _verdict(topics: dict[str, dict[str, Any]], cameras: list[CameraTopics]) -> dict[str, Any]:
    if not cameras:
        return {'usable': False, 'problems': ['no camera images (sensor_msgs/Image or CompressedImage)'], 'warnings': []}
    camera, problems, warnings = cameras[0], [], []
    image = topics[camera.image]
    forms = list(image['forms'])
    if len(forms) > 1:
        warnings.append(f'{camera.image} changes its size or encoding: {", ".join(forms)}')
    if not camera.compressed and forms and forms[0].split()[0] not in SUPPORTED:
        problems.append(f'{camera.image} has encoding {forms[0].split()[0]!r}')
    summary = _summary(camera.image, image)
    if summary['steps_back']:
        problems.append(f'stamps of {camera.image} go backwards {summary["steps_back"]} times')
    if summary['gaps']:
        warnings.append(f'{camera.image} has {summary["gaps"]} gaps, the longest {summary["longest_gap_s"]:.2f} s')
    problems += _camera_info_problems(topics, camera, None if camera.compressed else forms[0])
    return {'usable': not problems, 'problems': problems, 'warnings': warnings}


def _camera_info_problems(topics: dict[str, dict[str, Any]], camera: CameraTopics, form: str | None) -> list[str]:
    if camera.camera_info is None:
        return [f'no camera_info beside {camera.image}']
    info = topics[camera.camera_info]['info']
    if info is None:
        return [f'{camera.camera_info} has no messages']
    width, height = (int(n) for n in form.split()[1].split('x')) if form else (info.width, info.height)
    try:
        camera_from_info(info, width, height)
    except ValueError as error:
        return [f'{camera.camera_info}: {error}']
    return []


def _size(path: Path) -> int:
    return sum(f.stat().st_size for f in path.iterdir() if f.is_file()) if path.is_dir() else path.stat().st_size
