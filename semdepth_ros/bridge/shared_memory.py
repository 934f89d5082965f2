"""Room for images in the middleware's shared memory: how much is needed, how much there is, and a profile that fits.

Fast DDS gives every process a segment of its own for what it publishes, 512 KB unless a profile says otherwise.
Best-effort messages that do not fit are lost between processes, reliable ones come late. A message larger than the
profile's maxMessageSize goes in pieces of 64 KB, and a receiver's queue holds 512 of those: of a larger one some are
lost and sent again seconds later. The segment is taken from /dev/shm when the process starts; where there is too little
left, Fast DDS goes on without shared memory.
"""
from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

DEFAULT_SEGMENT = 32 << 20
FOLDER = '/dev/shm'
_DEFAULT_OF_FAST_DDS, _PIECE_OF_FAST_DDS = 512 << 10, 65_500
LARGEST_MESSAGE = DEFAULT_SEGMENT // 2  # that goes in one piece
_NOTABLE, _NOTABLE_PART = 5, 0.1  # images lost, in all and of those sent
_PROCESSES = 4  # a driver, perception, a viewer and one more
_MEGABYTE = 1 << 20


def segment_for(image_bytes: int, depth: int = 5) -> int:
    """Return the segment [bytes] for publishers of images of this size with this many in flight, a power of two."""
    return 1 << max(20, (max(1, image_bytes) * max(1, depth) - 1).bit_length())


def taken_by(segment: int) -> int:
    """Return what a process with this segment takes of /dev/shm [bytes] (measured with Fast DDS 3.2)."""
    return int(1.05 * segment) + 700_000


def room(folder: str = FOLDER) -> tuple[int, int] | None:
    """Return (size, free) of the shared memory file system [bytes], None where there is none."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize


def segment_that_fits(size: int, wanted: int = DEFAULT_SEGMENT, processes: int = _PROCESSES) -> int:
    """Return the largest segment up to wanted with which so many processes fit into a /dev/shm of this size [bytes]."""
    share = int((size / processes - 700_000) / 1.05) // _MEGABYTE * _MEGABYTE
    return max(_MEGABYTE, min(wanted, share))


def segment_in_use(environ: Mapping[str, str]) -> int:
    """Return the segment [bytes] that the Fast DDS profile named in the environment asks for."""
    return _in_profile(environ, 'segment_size') or _DEFAULT_OF_FAST_DDS


def largest_message(environ: Mapping[str, str]) -> int:
    """Return the largest message [bytes] that goes in one piece by the profile named in the environment."""
    return _in_profile(environ, 'maxMessageSize') or _PIECE_OF_FAST_DDS


def complaint(free: int, segment: int, image_bytes: int, depth: int = 5, size: int | None = None) -> str | None:
    """Return one line on what is wrong with the shared memory and how to mend it, None if nothing is.

    :param free: free bytes of /dev/shm before this process takes its segment
    :param segment: bytes the profile asks for
    :param image_bytes: bytes of the largest message to be published, 0 if not known
    :param size: size of /dev/shm [bytes]
    """
    needed = segment_for(image_bytes, depth)
    if free < taken_by(segment):
        where = '' if size is None else f' of {size / 1e6:.0f} MB'
        return (f'/dev/shm has {free / 1e6:.0f} MB{where} free, but the Fast DDS profile takes '
                f'{taken_by(segment) / 1e6:.0f} MB: images will be late or lost between processes; in Docker start the '
                'container with --shm-size=512m or --ipc=host, or choose a smaller segment_size in the profile')
    if image_bytes and segment < min(needed, DEFAULT_SEGMENT):
        return (f'the shared-memory segment of Fast DDS is {segment / 1e6:.1f} MB, but {depth} messages of '
                f'{image_bytes / 1e6:.1f} MB need {needed / 1e6:.0f} MB: best-effort subscribers in other '
                'processes will lose some; set FASTDDS_DEFAULT_PROFILES_FILE to config/fastdds_large_messages.xml of '
                'semdepth_ros')
    return None


def lateness(outputs: Mapping[str, int], segment: int, largest: int) -> str | None:
    """Return one line if what is sent for one frame does not pass at once, None if it does.

    :param outputs: bytes by topic
    :param segment, largest: bytes of the segment, and of the largest message that goes in one piece
    """
    total, topic = sum(outputs.values()), max(outputs, key=outputs.get)
    if total <= segment and outputs[topic] <= largest:
        return None
    needed = segment_for(max(total, 2 * outputs[topic]), 1)
    return (f'the outputs of one frame are {total / 1e6:.0f} MB, {topic} alone {outputs[topic] / 1e6:.0f} MB, but the '
            f'Fast DDS profile has a segment of {segment / 1e6:.0f} MB for messages of up to {largest / 1e6:.0f} MB: '
            'they will come seconds late to other processes; set a larger stride, or in a copy of the profile '
            f'segment_size to {needed} and maxMessageSize to {needed // 2}')


def loss_at_driver(received: int, missing: int, silent_s: float, image_bytes: int, profile: Path) -> str | None:
    """Return one line where a best-effort driver seems to have no room for its images, None where it does not.

    :param received, missing: images that came, and that did not
    :param silent_s: for how long none has come though somebody publishes them [s]; 0 where they do come
    :param image_bytes: size of an image, 0 where none has come
    :param profile: the file that would help
    """
    some = missing >= _NOTABLE and missing >= _NOTABLE_PART * (received + missing)
    if some and 2 * image_bytes > _DEFAULT_OF_FAST_DDS:
        loss = f'{missing} of {received + missing} images of {image_bytes / 1e6:.1f} MB did not come'
    elif received == 0 and silent_s > 0:
        loss = f'not one image has come for {silent_s:.0f} s (larger ones than 0.5 MB may all be lost)'
    else:
        return None
    return (f'{loss}; they are sent best effort, and most often their driver has no room for them in shared memory: start '
            f'it with FASTDDS_DEFAULT_PROFILES_FILE (up to Jazzy FASTRTPS_DEFAULT_PROFILES_FILE) set to {profile}')


def with_segment(profile: str, segment: int) -> str:
    """Return a Fast DDS profile's text with another segment size, and messages of at most half of it."""
    text = re.sub(r'(<segment_size>)[^<]*', rf'\g<1>{segment}', profile)
    return re.sub(r'(<maxMessageSize>)[^<]*', rf'\g<1>{segment // 2}', text)


def _in_profile(environ: Mapping[str, str], element: str) -> int | None:
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        path = Path(environ.get(name) or os.devnull)
        found = re.search(rf'<{element}>\s*(\d+)\s*<', path.read_text()) if path.is_file() else None
        if found:
            return int(found[1])
    return None
