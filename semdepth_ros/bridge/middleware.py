"""What the processes of a ROS graph are told about the middleware before they start."""
from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import tempfile

from semdepth_ros.bridge.shared_memory import DEFAULT_SEGMENT, room, segment_that_fits, with_segment
from semdepth_ros.share import shared_file

PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')  # Kilted and later; up to Jazzy


def with_large_messages(environ: Mapping[str, str], profile: str | None = None) -> dict[str, str]:
    """Return the environment with a Fast DDS profile that has room for images; one that the user has set stays.

    Without it best-effort images are lost between processes: the default shared-memory segment holds 512 KB.

    :param profile: path of a profile; if None the package's own, with its segment made to fit this machine's /dev/shm
    """
    if profile is None and any(environ.get(v) for v in PROFILE_VARIABLES):
        return dict(environ)
    return {**environ, **dict.fromkeys(PROFILE_VARIABLES, profile or str(large_message_profile(room())))}


def large_message_profile(shm: tuple[int, int] | None) -> Path:
    """Return the package's profile, or a copy of it with a smaller segment where /dev/shm is too small for several.

    :param shm: (size, free) of /dev/shm [bytes]; None where there is none
    """
    shipped = shared_file('config', 'fastdds_large_messages.xml')
    segment = segment_that_fits(shm[0]) if shm else DEFAULT_SEGMENT
    if segment == DEFAULT_SEGMENT:
        return shipped
    folder = Path(tempfile.gettempdir()) / f'semdepth_ros_{os.getuid()}'
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f'fastdds_{segment}.xml'
    scratch = folder / f'{path.name}.{os.getpid()}'
    scratch.write_text(with_segment(shipped.read_text(), segment))
    return scratch.replace(path)
