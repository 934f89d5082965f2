"""Generate the C, C++ and Python sources of a package's ROS 2 messages and services from their .msg and .srv files.

Needed while building only: setup.py generates this package's own messages with it, the tests those of packages that
have no wheels. Any ROS 2 prefix with the rosidl generators will do: a virtual environment filled from the ``ros-*``
wheels, or a sourced installation. The generators are called as functions, since the ``rosidl`` program does not run on
the wheels.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import importlib
import json
import os
from pathlib import Path
import re
import shutil
import sys
import sysconfig
import tempfile

C_SUPPORTS = ('rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')
CPP_SUPPORTS = ('rosidl_typesupport_fastrtps_cpp', 'rosidl_typesupport_introspection_cpp')
# generator: (module, function, arguments after the file of arguments)
GENERATORS = {
    'rosidl_generator_c': ('rosidl_generator_c', 'generate_c'),
    'rosidl_typesupport_fastrtps_c': ('rosidl_typesupport_fastrtps_c', 'generate_typesupport_fastrtps_c'),
    'rosidl_typesupport_introspection_c': ('rosidl_typesupport_introspection_c', 'generate_c'),
    'rosidl_typesupport_c': ('rosidl_typesupport_c', 'generate_c', C_SUPPORTS),
    'rosidl_generator_cpp': ('rosidl_generator_cpp', 'generate_cpp'),
    'rosidl_typesupport_fastrtps_cpp': ('rosidl_typesupport_fastrtps_cpp', 'generate_cpp'),
    'rosidl_typesupport_introspection_cpp': ('rosidl_typesupport_introspection_cpp', 'generate_cpp'),
    'rosidl_typesupport_cpp': ('rosidl_typesupport_cpp', 'generate_cpp', CPP_SUPPORTS),
    'rosidl_generator_py': ('rosidl_generator_py.generate_py_impl', 'generate_py', ('rosidl_typesupport_c',)),
}
TYPE_HASHES = ('rosidl_generator_type_description', 'generate_type_hash')  # from Iron on
MODULES = ('rosidl_adapter', 'em', *GENERATORS)
EVENTS = 'service_msgs'  # holds what every service's event message holds, from Iron on


class MessageBuildError(RuntimeError):
    """Messages cannot be built; the text is one line that says what is missing and what to install."""


@dataclass(frozen=True)
class MessagePackage:
    """A package of messages and services: its name and folder, the .msg and .srv files within that, and the packages
    whose messages they hold."""

    name: str
    root: Path
    interfaces: tuple[str, ...]
    dependencies: tuple[str, ...]

    @classmethod
    def found_in(cls, root: Path, name: str, dependencies: tuple[str, ...]) -> MessagePackage:
        """Take every .msg file in root/msg and every .srv file in root/srv."""
        files = [path for kind in ('msg', 'srv') for path in sorted((root / kind).glob(f'*.{kind}'))]
        return cls(name, root.resolve(), tuple(path.relative_to(root).as_posix() for path in files), dependencies)

    @property
    def kinds(self) -> list[str]:
        """The folders that interfaces lie in: msg, srv."""
        return list(dict.fromkeys(name.split('/')[0] for name in self.interfaces))

    def needed(self, prefixes: list[Path]) -> tuple[str, ...]:
        """Return the packages whose messages are built in, those that this ROS itself puts into services among them."""
        events = 'srv' in self.kinds and has_type_hashes(prefixes)
        return (*self.dependencies, *((EVENTS,) if events and EVENTS not in self.dependencies else ()))


def snake_case(name: str) -> str:
    """Return the file name that rosidl gives a message type: ModelInfo -> model_info."""
    return re.sub('([a-z0-9])([A-Z])', r'\1_\2', re.sub('(.)([A-Z][a-z]+)', r'\1_\2', name)).lower()


def ros_prefixes(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the prefixes to build against, most specific first; none where nothing of ROS is installed.

    colcon points sys.prefix at its install folder and keeps the virtual environment's own as real_prefix. Either counts
    only if ROS packages live there, so that /usr is not searched.
    """
    folders = [p for p in environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    folders += [sys.prefix, getattr(sys, 'real_prefix', sys.prefix)]
    return [Path(p) for p in dict.fromkeys(folders) if (Path(p) / 'share' / 'ament_index').is_dir()]


def has_ros(prefixes: list[Path] | None = None) -> bool:
    """Say whether there is a ROS 2 to build messages for: a prefix alone may hold nothing but this package."""
    return any((p / 'share' / 'rosidl_runtime_c').is_dir() for p in (ros_prefixes() if prefixes is None else prefixes))


def share_of(package: str, prefixes: list[Path]) -> Path:
    """Return <prefix>/share/<package>; raise MessageBuildError where no prefix has it."""
    for prefix in prefixes:
        folder = prefix / 'share' / package
        if (folder / 'package.xml').is_file() or (folder / 'msg').is_dir():
            return folder
    raise MessageBuildError(f'ROS package {package} was not found under {[str(p) for p in prefixes]}: install '
                            f'ros-<distro>-{package.replace("_", "-")} (apt) or ros-{package.replace("_", "-")} (pip)')


def importable(module: str) -> bool:
    """Say whether a module imports, also from the environment that pip's build isolation hides."""
    for folder in (sysconfig.get_path('purelib'), sysconfig.get_path('platlib')):
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def compilers(environ: Mapping[str, str] = os.environ,
              which: Callable[[str], str | None] = shutil.which) -> tuple[str | None, str | None]:
    """Return the C and the C++ compiler: $CC and $CXX, else the first usual one on the path, else None."""
    usual = (('CC', 'cc', 'gcc', 'clang'), ('CXX', 'c++', 'g++', 'clang++'))
    found = [(environ.get(v, '').split() or [''])[0] for v, *_ in usual]
    return tuple(next((which(n) for n in ([own] if own else names) if which(n)), None)
                 for own, (_, *names) in zip(found, usual))


def require_tools(has_module: Callable[[str], bool] = importable, found: tuple[str | None, str | None] | None = None,
                  python_header: Path | None = None) -> None:
    """Raise a MessageBuildError that names what to install, if a generator, a compiler or a header is missing."""
    for module in MODULES:
        if not has_module(module):
            raise MessageBuildError(
                f'the messages need the Python module {module}: install ros-<distro>-rosidl-default-generators (apt) '
                "or 'ros-rclpy[fastrtps]' (pip), and build in a Python environment that sees it")
    if not has_module('numpy'):
        raise MessageBuildError('the messages need the headers of NumPy: install python3-numpy (apt) or numpy (pip)')
    for name, path in zip(('C', 'C++'), compilers() if found is None else found):
        if path is None:
            raise MessageBuildError(
                f'the messages need a {name} compiler: install build-essential (apt) or gcc-c++ (dnf)')
    header = python_header or Path(sysconfig.get_path('include')) / 'Python.h'
    if not header.is_file():
        raise MessageBuildError(f'the messages need {header}: install python3-dev (apt) or python3-devel (dnf)')


def has_type_hashes(prefixes: list[Path]) -> bool:
    """Say whether this ROS knows type hashes (from Iron on)."""
    return any((p / 'include/rosidl_runtime_c/rosidl_runtime_c/type_hash.h').is_file() for p in prefixes)


def generate(package: MessagePackage, out: Path, prefixes: list[Path]) -> Path:
    """Generate everything below out, emptied first; return the folder of the .idl and .json files.

    Each generator has a folder of its own, out/<generator>/<package>, because several use the same file names.
    """
    shutil.rmtree(out, ignore_errors=True)
    idl = out / 'idl' / package.name
    for interface in map(Path, package.interfaces):
        kind = interface.parent.name
        (idl / kind).mkdir(parents=True, exist_ok=True)
        convert = getattr(importlib.import_module(f'rosidl_adapter.{kind}'), f'convert_{kind}_to_idl')
        try:
            convert(package.root, package.name, interface, idl / kind)
        except Exception as error:  # the adapter has many kinds, some without a common ancestor
            raise MessageBuildError(f'{interface} cannot be read: {type(error).__name__}: '
                                    f'{" ".join(str(error).split())}') from error
        _expect_known_packages(package, idl / kind / f'{interface.stem}.idl', interface.name)
    arguments = _arguments(package, idl, prefixes)
    if has_type_hashes(prefixes):
        _run(TYPE_HASHES, idl, package, arguments, prefixes)
    for generator, call in GENERATORS.items():
        _run(call, out / generator / package.name, package, arguments, prefixes)
    return idl


def _expect_known_packages(package: MessagePackage, idl: Path, name: str) -> None:
    used = {line.split('"')[1].split('/')[0] for line in idl.read_text().splitlines() if line.startswith('#include "')}
    unknown = sorted(used - {package.name, *package.dependencies})
    if unknown:
        raise MessageBuildError(f'{name} uses {unknown[0]}, expected only {", ".join(package.dependencies)}: '
                                'name it among the dependencies in setup.py')


def _arguments(package: MessagePackage, idl: Path, prefixes: list[Path]) -> dict:
    """Return what every generator is told, as rosidl's CMake half would write it."""
    shares = {d: share_of(d, prefixes) for d in package.needed(prefixes)}
    interfaces = [f'{d}:{path}' for d, share in shares.items() for path in sorted(share.glob('msg/*.idl'))]
    stems = [str(Path(name).with_suffix('')) for name in package.interfaces]
    return {
        'package_name': package.name,
        'idl_tuples': [f'{idl}:{stem}.idl' for stem in stems],
        'ros_interface_files': [str(package.root / name) for name in package.interfaces],
        'ros_interface_dependencies': interfaces,
        'include_paths': [f'{d}:{s}' for d, s in shares.items()],
        'type_description_tuples': [f'{stem}.idl:{idl}/{stem}.json' for stem in stems],
        'target_dependencies': [],
    }


def _run(call: tuple, folder: Path, package: MessagePackage, arguments: dict, prefixes: list[Path]) -> None:
    """Call one generator with its file of arguments, and write its visibility header."""
    module, function, *more = call
    (folder / 'msg').mkdir(parents=True, exist_ok=True)
    resource = share_of(module.split('.')[0], prefixes) / 'resource'
    for template in resource.glob('*__visibility_control.*.in'):
        text = template.read_text().replace('@PROJECT_NAME@', package.name)
        (folder / 'msg' / template.stem).write_text(text.replace('@PROJECT_NAME_UPPER@', package.name.upper()))
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / 'arguments.json'
        file.write_text(json.dumps(dict(arguments, template_dir=str(resource), output_dir=str(folder))))
        getattr(importlib.import_module(module), function)(str(file), *map(list, more))
