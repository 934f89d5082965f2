"""Which topics of a bag are the camera's."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from semdepth_ros.bridge.bag_file import BagError, BagReader

IMAGE, COMPRESSED, CAMERA_INFO = (f'sensor_msgs/msg/{name}' for name in ('Image', 'CompressedImage', 'CameraInfo'))
NOT_A_CAMERA = {'truth', 'noisy', 'depth', 'disparity', 'semantic', 'semantic_color', 'label', 'labels', 'mask'}


@dataclass(frozen=True)
class CameraTopics:
    """A camera's image topic, whether it is compressed, and its camera_info topic, None where the bag has none."""

    image: str
    compressed: bool
    camera_info: str | None


def find_cameras(reader: BagReader) -> list[CameraTopics]:
    """Return the cameras of a bag, the most likely first: colour before grey, calibrated first, then by name.

    An image belongs to the camera_info beside it (REP 118); a lone image takes a lone camera_info wherever that is. Depth
    and label images are no cameras.
    """
    infos = [t.name for t in reader.topics.values() if t.type == CAMERA_INFO]
    images = [t for t in reader.topics.values() if t.type in (IMAGE, COMPRESSED) and t.count
              and not NOT_A_CAMERA & set(t.name.split('/'))]
    encodings = first_encodings(reader, [t.name for t in images])
    images = [t for t in images if encodings[t.name] not in ('32FC1', '16UC1')]
    cameras = []
    for topic in images:
        beside = _base(topic.name, topic.type).rsplit('/', 1)[0] + '/camera_info'
        info = beside if beside in infos else infos[0] if len(images) == len(infos) == 1 else None
        cameras.append(CameraTopics(topic.name, topic.type == COMPRESSED, info))
    return sorted(cameras, key=lambda c: (c.camera_info is None, 'mono' in encodings[c.image], c.compressed, c.image))


def choose_camera(reader: BagReader, image_topic: str | None = None) -> CameraTopics:
    """Return the camera on this image topic, or the most likely one.

    :raises BagError: the bag has no such image topic, or none at all
    """
    cameras = find_cameras(reader)
    if image_topic is None and cameras:
        return cameras[0]
    for camera in cameras:
        if camera.image == image_topic:
            return camera
    if image_topic is not None:
        names = ', '.join(c.image for c in cameras) or 'none'
        raise BagError(f'{reader.path} has no camera images on {image_topic!r}; image topics: {names}')
    raise BagError(f'{reader.path} has no camera images (sensor_msgs/Image or CompressedImage)')


def first_encodings(reader: BagReader, topics: list[str]) -> dict[str, str]:
    """Return the encoding, or for compressed images the format, of each topic's first image."""
    found: dict[str, Any] = dict.fromkeys(topics, '')
    missing = set(topics)
    for topic, _, data in reader.messages(topics) if topics else ():
        if topic.name in missing:
            message = reader.deserialize(data, topic.type)
            found[topic.name] = message.format if topic.type == COMPRESSED else message.encoding
            missing.discard(topic.name)
        if not missing:
            break
    return found


def _base(name: str, type_name: str) -> str:
    """Return the topic that image_transport's suffix was appended to."""
    return name.removesuffix('/compressed') if type_name == COMPRESSED else name
