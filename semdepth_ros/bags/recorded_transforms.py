"""The static transforms of a recording."""
from __future__ import annotations

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.geometry.transform_tree import TransformTree

TOPICS = ('/tf_static', 'tf_static')


def static_transforms(reader: BagReader) -> TransformTree:
    """Return what a recording says once of its frames.

    :raises ValueError: one of them is no rigid transform
    """
    tree = TransformTree()
    for topic, _, data in reader.messages(TOPICS):
        for transform in reader.deserialize(data, topic.type).transforms:
            try:
                tree.add(transform, is_static=True)
            except ValueError as error:
                raise ValueError(f'{reader.path}: the static transform of {transform.child_frame_id!r} is none: {error}'
                                 ) from None
    return tree
