"""Which topics of a bag are the camera, its truth and its motion."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO, ODOMETRY = 'sensor_msgs/msg/CameraInfo', 'nav_msgs/msg/Odometry'
# words in a topic's name that say it is no camera image
NO_CAMERA = ('truth', 'noisy', 'depth', 'disparity', 'semantic', 'semantic_color', 'label', 'labels', 'mask')
# what a truth topic's name ends in
TRUTH = {'depth': 'truth/depth/image', 'labels': 'truth/semantic/image',
         'noisy_labels': 'noisy/semantic/image', 'noisy_confidence': 'noisy/semantic/confidence'}


@dataclass(frozen=True)
class BagTopics:
    """The topics to read; those that a bag lacks are None, and truth holds only what there is."""

    image: str
    camera_info: str | None
    odometry: str | None
    truth: dict[str, str]


def choose_topics(types: Mapping[str, str], image: str | None = None, camera_info: str | None = None,
                  odometry: str | None = None, **truth: str | None) -> BagTopics:
    """Choose by type and name, or take what was named.

    Without a name the image is the one that has a camera_info beside it (REP 118), raw before compressed, then the
    first by name. A lone camera_info serves wherever it is.

    :param types: message type by topic
    :param truth: topics by part: depth, labels, noisy_labels, noisy_confidence
    :raises ValueError: a named topic is not there or has another type, or there is no camera image
    """
    images = [t for t, kind in types.items() if kind in (IMAGE, COMPRESSED) and not set(NO_CAMERA) & set(t.split('/'))]
    infos = [t for t, kind in types.items() if kind == CAMERA_INFO]
    if image is None:
        if not images:
            raise ValueError(f'no camera image among the topics {_listed(types)}')
        image = min(images, key=lambda t: (info_beside(t) not in infos, types[t] == COMPRESSED, t))
    _expect(types, image, (IMAGE, COMPRESSED))
    if camera_info is None:
        beside = info_beside(image)
        camera_info = beside if beside in infos else infos[0] if len(infos) == 1 else None
    else:
        _expect(types, camera_info, (CAMERA_INFO,))
    if odometry is None:
        odometry = min((t for t, kind in types.items() if kind == ODOMETRY), default=None)
    else:
        _expect(types, odometry, (ODOMETRY,))
    found = {}
    for part, ending in TRUTH.items():
        topic = truth.get(part) or _ending(types, ending)
        if topic:
            _expect(types, topic, (IMAGE,))
            found[part] = topic
    return BagTopics(image, camera_info, odometry, found)


def info_beside(image: str) -> str:
    """Return the camera_info topic that belongs to an image topic by its name."""
    return image.removesuffix('/compressed').rpartition('/')[0] + '/camera_info'


def is_rectified(image: str) -> bool:
    """Return whether an image topic says by its name that it has been rectified, as image_proc's do."""
    return image.removesuffix('/compressed').rpartition('/')[2].startswith('image_rect')


def _ending(types: Mapping[str, str], ending: str) -> str | None:
    return min((t for t, kind in types.items() if kind == IMAGE and ('/' + t).endswith('/' + ending)), default=None)


def _expect(types: Mapping[str, str], topic: str, kinds: tuple[str, ...]) -> None:
    if topic not in types:
        raise ValueError(f'no topic {topic!r} among {_listed(types)}')
    if types[topic] not in kinds:
        raise ValueError(f'topic {topic!r} is {types[topic]}, expected {" or ".join(kinds)}')


def _listed(types: Mapping[str, str]) -> str:
    return ', '.join(sorted(types)) or 'none'
