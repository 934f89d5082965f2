"""Which topics of a bag are the camera, its truth and its motion."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from semdepth_ros.image_encodings import BAYER, DEEP, PLANAR, YUV422

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO, ODOMETRY = 'sensor_msgs/msg/CameraInfo', 'nav_msgs/msg/Odometry'
# segments of a topic's name that say it is no camera image
NO_CAMERA = ('truth', 'noisy', 'depth', 'disparity', 'semantic', 'semantic_color', 'label', 'labels', 'mask')
# words within a segment that speak against it
DOUBTFUL = ('depth', 'disparity', 'confidence', 'mask')
# what a truth topic's name ends in
TRUTH = {'depth': 'truth/depth/image', 'labels': 'truth/semantic/image',
         'noisy_labels': 'noisy/semantic/image', 'noisy_confidence': 'noisy/semantic/confidence'}
UNKNOWN = ''
_COLOUR = {'rgb8', 'bgr8', 'rgba8', 'bgra8', '8UC3', '8UC4', *DEEP, *BAYER, *YUV422, *PLANAR}
# (has colours, is doubtful by its name) and so on, the best first; what is not here is never chosen by itself
_PREFERENCE = (('colour', False), ('mono8', False), ('colour', True), ('mono16', False), (UNKNOWN, False))


@dataclass(frozen=True)
class BagTopics:
    """The topics to read; those that a bag lacks are None, and truth holds only what there is.

    :param among: the image topics that were not chosen, each with its encoding where that is known
    """

    image: str
    camera_info: str | None
    odometry: str | None
    truth: dict[str, str]
    among: tuple[str, ...] = ()


def choose_topics(types: Mapping[str, str], image: str | None = None, camera_info: str | None = None,
                  odometry: str | None = None, encodings: Mapping[str, str] = MappingProxyType({}),
                  **truth: str | None) -> BagTopics:
    """Choose by type, encoding and name, or take what was named.

    Without a name the image is one of colours before grey before grey of 16 bits; among equals the one that has a
    camera_info beside it (REP 118), raw before compressed, then the first by name. Images that depth cameras send
    (16UC1, 32FC1) and names that speak of depth, confidence or masks are no camera; a colour image of such a name is
    one only where there is no better. A lone camera_info serves wherever it is, unless it is a depth camera's.

    :param types: message type by topic
    :param encodings: what is known of the images, by topic
    :param truth: topics by part: depth, labels, noisy_labels, noisy_confidence
    :raises ValueError: a named topic is not there or has another type, or there is no camera image
    """
    infos = [t for t, kind in types.items() if kind == CAMERA_INFO]
    candidates = image_candidates(types)
    if image is None:
        image = _best_image(types, candidates, infos, encodings)
    _expected(types, image, (IMAGE, COMPRESSED))
    lone = infos[0] if len(infos) == 1 and not _is_doubtful(infos[0]) else None
    camera_info = _expected(types, camera_info, (CAMERA_INFO,)) or info_beside(image, infos) or lone
    first_odometry = min((t for t, kind in types.items() if kind == ODOMETRY), default=None)
    odometry = _expected(types, odometry, (ODOMETRY,)) or first_odometry
    found = {part: _expected(types, truth.get(part), (IMAGE,)) or _ending(types, ending)
             for part, ending in TRUTH.items()}
    others = [t for t in candidates if t.removesuffix('/compressed') != image.removesuffix('/compressed')]
    found = {part: topic for part, topic in found.items() if topic}
    return BagTopics(image, camera_info, odometry, found, tuple(_with_encoding(t, encodings) for t in others))


def image_candidates(types: Mapping[str, str]) -> list[str]:
    """Return the topics of images whose names do not say that they are truth, labels or depth."""
    return [t for t, kind in types.items() if kind in (IMAGE, COMPRESSED) and not set(NO_CAMERA) & set(t.split('/'))]


def info_beside(image: str, infos: list[str]) -> str | None:
    """Return the one of these camera_info topics that belongs to an image topic by its name."""
    raw = image.removesuffix('/compressed')
    beside, below = f'{raw.rpartition("/")[0]}/camera_info', f'{raw}/camera_info'
    places = (below, beside) if raw != image else (beside, below)  # /front/compressed lies beside /front/camera_info
    return next((place for place in places if place in infos), None)


def is_rectified(image: str) -> bool:
    """Return whether an image topic says by its name that it has been rectified, as image_proc's do."""
    return image.removesuffix('/compressed').rpartition('/')[2].startswith('image_rect')


def _best_image(types: Mapping[str, str], candidates: list[str], infos: list[str], encodings: Mapping[str, str]) -> str:
    ranks = {t: _PREFERENCE.index(key) for t in candidates
             if (key := (_kind(encodings.get(t, UNKNOWN)), _is_doubtful(t))) in _PREFERENCE}
    if not ranks:
        listed = [_with_encoding(t, encodings) for t in sorted(types)]
        raise ValueError(f'no camera image among the topics {", ".join(listed) or "none"}')
    return min(ranks, key=lambda t: (ranks[t], info_beside(t, infos) is None, types[t] == COMPRESSED, t))


def _kind(encoding: str) -> str:
    if encoding in _COLOUR:
        return 'colour'
    return 'mono8' if encoding == '8UC1' else encoding


def _is_doubtful(topic: str) -> bool:
    return any(word in topic.lower() for word in DOUBTFUL)


def _with_encoding(topic: str, encodings: Mapping[str, str]) -> str:
    return f'{topic} ({encodings[topic]})' if encodings.get(topic) else topic


def _ending(types: Mapping[str, str], ending: str) -> str | None:
    return min((t for t, kind in types.items() if kind == IMAGE and ('/' + t).endswith('/' + ending)), default=None)


def _expected(types: Mapping[str, str], topic: str | None, kinds: tuple[str, ...]) -> str | None:
    """Return a topic that was named, if it is there and of these types; None where none was named."""
    if topic is not None and topic not in types:
        raise ValueError(f'no topic {topic!r} among {", ".join(sorted(types)) or "none"}')
    if topic is not None and types[topic] not in kinds:
        raise ValueError(f'topic {topic!r} is {types[topic]}, expected {" or ".join(kinds)}')
    return topic
