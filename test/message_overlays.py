"""Build the message packages of test/overlays with the package's own generator, once, and say how to find them."""
from __future__ import annotations

import hashlib
from importlib.util import find_spec
import os
from pathlib import Path
import shutil
import sys
import sysconfig
import tempfile

from semdepth_ros.message_build import compilation, generation
from semdepth_ros.message_build.generation import MessagePackage, ros_prefixes

ROOT = Path(__file__).resolve().parent.parent
DEPENDENCIES = {'vision_msgs': ('std_msgs', 'builtin_interfaces'),
                'tf2_msgs': ('geometry_msgs', 'std_msgs', 'builtin_interfaces')}


def built_overlay(name: str, cache: Path = ROOT / 'build' / 'test_overlays') -> Path:
    """Return the folder that holds one built package as python/ and prefix/; build it if no such build is at hand.

    The folder is renamed into place when it is whole, so that two test runs at once cannot meet half a build.
    """
    package = MessagePackage.found_in(ROOT / 'test' / 'overlays' / name, name, DEPENDENCIES[name])
    folder = cache / f'{name}-{_fingerprint(package)}'
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=cache))
        compilation.build_messages(package, scratch)
        try:
            scratch.rename(folder)
        except OSError:  # another run was quicker
            shutil.rmtree(scratch)
    return folder


def overlay_environment(names: tuple[str, ...] = tuple(DEPENDENCIES)) -> dict[str, str]:
    """Return the variables that let a process find the overlays of all packages that are not installed."""
    folders = [built_overlay(name) for name in names if find_spec(name) is None]
    parts = {'PYTHONPATH': [f / 'python' for f in folders], 'LD_LIBRARY_PATH': [f / 'prefix' / 'lib' for f in folders],
             'AMENT_PREFIX_PATH': [f / 'prefix' for f in folders]}
    return {name: os.pathsep.join([*map(str, paths), *filter(None, [os.environ.get(name)])])
            for name, paths in parts.items()}


def _fingerprint(package: MessagePackage) -> str:
    """Name what a build depends on: definitions, generator, Python's binary interface, ROS."""
    files = [package.root / name for name in package.interfaces]
    files += [Path(generation.__file__), Path(compilation.__file__)]
    parts = [f.read_bytes() for f in files]
    parts += [sysconfig.get_config_var('EXT_SUFFIX').encode(), sys.prefix.encode(), repr(ros_prefixes()).encode()]
    return hashlib.sha256(b'\0'.join(parts)).hexdigest()[:12]
