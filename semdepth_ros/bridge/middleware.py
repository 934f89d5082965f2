"""What the processes of a ROS graph are told about the middleware before they start."""
from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import sys
import tempfile

from semdepth_ros.bridge.shared_memory import DEFAULT_SEGMENT, room, segment_that_fits, with_segment
from semdepth_ros.share import shared_file

PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
_LIBRARIES = {'libfastdds.so': PROFILE_VARIABLES[:1],   # from Kilted on
              'libfastrtps.so': PROFILE_VARIABLES[1:]}  # up to Jazzy


def with_large_messages(environ: Mapping[str, str], profile: str | None = None,
                        segment: int = DEFAULT_SEGMENT) -> dict[str, str]:
    """Return the environment with a Fast DDS profile that has room for images; one that the user has set stays.

    Without it best-effort images are lost between processes: the default shared-memory segment holds 512 KB.

    :param profile: path of a profile; if None the package's own, with its segment made to fit this machine's /dev/shm
    :param segment: bytes to ask for in the package's own
    """
    if profile is None and any(environ.get(v) for v in PROFILE_VARIABLES):
        return dict(environ)
    prefixes = [sys.prefix, *filter(None, environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep))]
    variables = variables_read([Path(p) / 'lib' for p in prefixes])
    kept = {k: v for k, v in environ.items() if k not in PROFILE_VARIABLES}
    return {**kept, **dict.fromkeys(variables, profile or str(large_message_profile(room(), segment)))}


def variables_read(folders: list[Path]) -> tuple[str, ...]:
    """Return the variables that the Fast DDS of these library folders reads; both if none is there.

    Newer ones complain in every process about the older name.
    """
    for library, variables in _LIBRARIES.items():
        if any((folder / library).exists() for folder in folders):
            return variables
    return PROFILE_VARIABLES


def large_message_profile(shm: tuple[int, int] | None, wanted: int = DEFAULT_SEGMENT) -> Path:
    """Return the package's profile, or a copy with another segment: that wanted, less where /dev/shm is too small.

    :param shm: (size, free) of /dev/shm [bytes]; None where there is none
    :param wanted: segment [bytes]
    """
    shipped = shared_file('config', 'fastdds_large_messages.xml')
    segment = segment_that_fits(shm[0], wanted) if shm else wanted
    if segment == DEFAULT_SEGMENT:
        return shipped
    folder = Path(tempfile.gettempdir()) / f'semdepth_ros_{os.getuid()}'
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f'fastdds_{segment}.xml'
    scratch = folder / f'{path.name}.{os.getpid()}'
    scratch.write_text(with_segment(shipped.read_text(), segment))
    return scratch.replace(path)
