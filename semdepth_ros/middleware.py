"""What the processes of a ROS graph are told about the middleware before they start."""
from __future__ import annotations

from collections.abc import Mapping

from semdepth_ros.share import shared_file

PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')  # Kilted and later; up to Jazzy


def with_large_messages(environ: Mapping[str, str], profile: str | None = None) -> dict[str, str]:
    """Return the environment with a Fast DDS profile that has room for images; one that the user has set stays.

    Without it best-effort images are lost between processes: the default shared-memory segment holds 512 KB.

    :param profile: path of a profile; the package's own config/fastdds_large_messages.xml if None
    """
    if profile is None and any(environ.get(v) for v in PROFILE_VARIABLES):
        return dict(environ)
    path = profile or str(shared_file('config', 'fastdds_large_messages.xml'))
    return {**environ, **dict.fromkeys(PROFILE_VARIABLES, path)}
