"""Compile generated ROS 2 messages and services: one Python extension, and the shared libraries C and C++ look for.

The result is laid out as it is installed::

    out/python/<package>/{msg,srv}/*.py, <package>_s__rosidl_typesupport_c.<abi>.so   beside the package's own modules
    out/prefix/lib/lib<package>__*.so          a bag recorder or a bridge finds a type here by its name
    out/prefix/include/<package>/<package>/    headers
    out/prefix/share/                          .msg or .srv, .idl and .json of each, and the ament index
"""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
import os
from pathlib import Path
import shutil
import subprocess
import sysconfig

from semdepth_ros.message_build.generation import (
    compilers, CPP_SUPPORTS, C_SUPPORTS, generate, has_type_hashes, MessageBuildError, MessagePackage, require_tools,
    ros_prefixes, snake_case)

# The extension holds the whole C type support. {d} stands for each package whose messages ours contain.
EXTENSION_SOURCES = ('rosidl_generator_c', *C_SUPPORTS, 'dispatch', 'rosidl_generator_py')
EXTENSION_LIBRARIES = (
    '{d}__rosidl_generator_py', '{d}__rosidl_typesupport_fastrtps_c', '{d}__rosidl_typesupport_introspection_c',
    '{d}__rosidl_typesupport_c', '{d}__rosidl_generator_c', 'rosidl_typesupport_fastrtps_c',
    'rosidl_typesupport_fastrtps_cpp', 'rosidl_typesupport_c', 'rosidl_typesupport_introspection_c', 'rosidl_runtime_c',
    'rcutils', 'rmw', 'fastcdr')
# lib<package>__<key>.so in the order of linking: (own libraries it needs, others). The last of each language finds the
# two before it with dlopen("lib<package>__...so"). Linked to them it has them loaded already, and the loader answers by
# soname, wherever they lie.
LIBRARIES = {
    'rosidl_generator_c': ((), ('{d}__rosidl_generator_c', 'rosidl_runtime_c', 'rcutils')),
    'rosidl_typesupport_fastrtps_c': (
        ('rosidl_generator_c',),
        ('{d}__rosidl_typesupport_fastrtps_c', '{d}__rosidl_generator_c', 'rosidl_typesupport_fastrtps_c',
         'rosidl_typesupport_fastrtps_cpp', 'rosidl_runtime_c', 'rmw', 'fastcdr')),
    'rosidl_typesupport_introspection_c': (
        ('rosidl_generator_c',),
        ('{d}__rosidl_typesupport_introspection_c', '{d}__rosidl_generator_c', 'rosidl_typesupport_introspection_c',
         'rosidl_runtime_c')),
    'rosidl_typesupport_c': (('rosidl_generator_c', *C_SUPPORTS), ('rosidl_typesupport_c', 'rosidl_runtime_c')),
    'rosidl_typesupport_fastrtps_cpp': (
        ('rosidl_generator_c',),
        ('{d}__rosidl_typesupport_fastrtps_cpp', 'rosidl_typesupport_fastrtps_cpp', 'rosidl_runtime_c', 'rmw',
         'fastcdr')),
    'rosidl_typesupport_introspection_cpp': (
        ('rosidl_generator_c',),
        ('{d}__rosidl_typesupport_introspection_cpp', 'rosidl_typesupport_introspection_cpp', 'rosidl_runtime_c')),
    'rosidl_typesupport_cpp': (('rosidl_generator_c', *CPP_SUPPORTS), ('rosidl_typesupport_cpp', 'rosidl_runtime_c')),
}
# rosidl_typesupport_c finds the type support of the middleware with dlopen. Inside the extension all are at hand, so
# the choice is a comparison of names. Type hashes came with Iron.
_DISPATCH = """
#include <string.h>
#include "rosidl_runtime_c/@SORT@_type_support_struct.h"
#include "rosidl_typesupport_c/identifier.h"
#include "rosidl_typesupport_interface/macros.h"
#include "@PACKAGE@/@KIND@/detail/@FILE@__functions.h"
#include "@PACKAGE@/@KIND@/detail/@FILE@__type_support.h"
#define SUPPORT(name) ROSIDL_TYPESUPPORT_INTERFACE__@SYMBOL@_SYMBOL_NAME(name, @PACKAGE@, @KIND@, @TYPE@)
#define MESSAGE(part) ROSIDL_TYPESUPPORT_INTERFACE__MESSAGE_SYMBOL_NAME(rosidl_typesupport_c, @PACKAGE@, @KIND@, part)
#define EVENT(what) \\
  ROSIDL_TYPESUPPORT_INTERFACE__SERVICE_ ## what ## _EVENT_MESSAGE_SYMBOL_NAME(rosidl_typesupport_c, @PACKAGE@, @KIND@, \\
    @TYPE@)

const rosidl_@SORT@_type_support_t * SUPPORT(rosidl_typesupport_fastrtps_c)(void);
const rosidl_@SORT@_type_support_t * SUPPORT(rosidl_typesupport_introspection_c)(void);

static const rosidl_@SORT@_type_support_t * choose(const rosidl_@SORT@_type_support_t * own, const char * wanted)
{
  if (strcmp(wanted, rosidl_typesupport_c__typesupport_identifier) == 0) {
    return own;
  }
  if (strcmp(wanted, "rosidl_typesupport_fastrtps_c") == 0) {
    return SUPPORT(rosidl_typesupport_fastrtps_c)();
  }
  if (strcmp(wanted, "rosidl_typesupport_introspection_c") == 0) {
    return SUPPORT(rosidl_typesupport_introspection_c)();
  }
  return NULL;
}

__attribute__((visibility("default"))) const rosidl_@SORT@_type_support_t * SUPPORT(rosidl_typesupport_c)(void)
{
  static rosidl_@SORT@_type_support_t support = {
    .func = choose,
#if __has_include("rosidl_runtime_c/type_hash.h")
    .get_type_hash_func = &@PACKAGE@__@KIND@__@TYPE@__get_type_hash,
    .get_type_description_func = &@PACKAGE@__@KIND@__@TYPE@__get_type_description,
    .get_type_description_sources_func = &@PACKAGE@__@KIND@__@TYPE@__get_type_description_sources,
#endif
  };
  support.typesupport_identifier = rosidl_typesupport_c__typesupport_identifier;
@MORE@
  return &support;
}
"""
# What a service's support has besides, from Iron on.
_OF_A_SERVICE = """
#if __has_include("rosidl_runtime_c/type_hash.h")
  support.request_typesupport = MESSAGE(@TYPE@_Request)();
  support.response_typesupport = MESSAGE(@TYPE@_Response)();
  support.event_typesupport = MESSAGE(@TYPE@_Event)();
  support.event_message_create_handle_function = EVENT(CREATE);
  support.event_message_destroy_handle_function = EVENT(DESTROY);
#endif
"""


def build_messages(package: MessagePackage, out: Path) -> Path:
    """Generate, compile and lay out all messages and services of a package below out; return out.

    :raises MessageBuildError: one line, if a tool is missing or a compiler fails
    """
    require_tools()
    prefixes, out = ros_prefixes(), out.resolve()
    sources = out / 'generated'
    idl = generate(package, sources, prefixes)
    _write_dispatch(package, sources / 'dispatch', prefixes)
    objects = _compile_all(package, sources, out / 'objects', prefixes)
    for folder in ('python', 'prefix'):
        shutil.rmtree(out / folder, ignore_errors=True)
    _link_extension(package, objects, out / 'python' / package.name, prefixes)
    _link_libraries(package, objects, out / 'prefix' / 'lib', prefixes)
    _lay_out(package, sources, idl, out)
    return out


def _write_dispatch(package: MessagePackage, folder: Path, prefixes: list[Path]) -> None:
    """Write one file for each message, those that a service consists of among them, and for each service."""
    folder.mkdir()
    parts = ('_Request', '_Response', *(('_Event',) if has_type_hashes(prefixes) else ()))
    for kind, stem in ((Path(name).parent.name, Path(name).stem) for name in package.interfaces):
        messages = [stem] if kind == 'msg' else [stem + part for part in parts]
        for sort, types in (('message', messages), ('service', [] if kind == 'msg' else [stem])):
            for name in types:
                text = _DISPATCH.replace('@MORE@', _OF_A_SERVICE if sort == 'service' else '')
                for mark, value in (('@PACKAGE@', package.name), ('@TYPE@', name), ('@FILE@', snake_case(stem)),
                                    ('@KIND@', kind), ('@SORT@', sort), ('@SYMBOL@', sort.upper())):
                    text = text.replace(mark, value)
                (folder / f'{kind}_{snake_case(name)}.c').write_text(text)


def _compile_all(package: MessagePackage, sources: Path, out: Path, prefixes: list[Path]) -> dict[str, list[Path]]:
    """Compile every source, as many at once as there are processors; return the objects of each generator."""
    import numpy
    include = [numpy.get_include(), sysconfig.get_path('include'), *(str(p) for p in sorted(sources.iterdir()))]
    for prefix in prefixes:
        folders = sorted((prefix / 'include').glob('*/'))
        include += [str(prefix / 'include'), *(str(f) for f in folders if (f / f.name).is_dir())]
    flags = ['-c', '-O2', '-fPIC', '-w', f'-DROS_PACKAGE_NAME="{package.name}"', *(f'-I{i}' for i in include)]
    shutil.rmtree(out, ignore_errors=True)
    jobs: dict[str, list[tuple[Path, Path]]] = {}
    for group in sorted(p.name for p in sources.iterdir() if p.name != 'idl'):
        files = sorted(p for p in (sources / group).rglob('*') if p.suffix in ('.c', '.cpp') and _wanted(p))
        jobs[group] = [(p, out / group / f'{i}_{p.name}.o') for i, p in enumerate(files)]
        (out / group).mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: _compile(*job, flags), chain(*jobs.values())))
    return {group: [target for _, target in pairs] for group, pairs in jobs.items()}


def _wanted(source: Path) -> bool:
    """Leave out the entry points that rosidl_generator_py writes for extensions other than ours."""
    return '_s.ep.' not in source.name or source.name.endswith('_s.ep.rosidl_typesupport_c.c')


def _compile(source: Path, target: Path, flags: list[str]) -> None:
    c, cpp = compilers()
    compiler, standard = (c, '-std=gnu11') if source.suffix == '.c' else (cpp, '-std=c++17')
    _call([compiler, standard, *flags, str(source), '-o', str(target)])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if 'error' in line or 'undefined' in line]
        raise MessageBuildError(f'{command[0]} failed: {(lines or [done.stderr.strip()])[0]}')


def _link(objects: list[Path], target: Path, libraries: tuple[str, ...], own: tuple[str, ...], origin: str,
          package: MessagePackage, prefixes: list[Path]) -> None:
    """Link a shared library. Its own libraries are kept as needed ones even where no symbol of theirs is used."""
    target.parent.mkdir(parents=True, exist_ok=True)
    names = [n.format(d=d) for n in libraries for d in (package.needed(prefixes) if '{d}' in n else ('',))]
    folders = [str(p / 'lib') for p in prefixes if (p / 'lib').is_dir()]
    _call([compilers()[1], '-shared', '-o', str(target), f'-Wl,-soname,{target.name}', *map(str, objects),
           f'-L{target.parent}', '-Wl,--no-as-needed', *(f'-l{package.name}__{o}' for o in own), '-Wl,--as-needed',
           *(f'-L{f}' for f in folders), *(f'-l{n}' for n in names),
           *(f'-Wl,-rpath,{f}' for f in (origin, *folders))])


def _link_extension(package: MessagePackage, objects: dict, folder: Path, prefixes: list[Path]) -> None:
    target = folder / f'{package.name}_s__rosidl_typesupport_c{sysconfig.get_config_var("EXT_SUFFIX")}'
    files = [o for group in EXTENSION_SOURCES for o in objects[group]]
    _link(files, target, EXTENSION_LIBRARIES, (), '$ORIGIN/../../..', package, prefixes)


def _link_libraries(package: MessagePackage, objects: dict, folder: Path, prefixes: list[Path]) -> None:
    for name, (own, others) in LIBRARIES.items():
        _link(objects[name], folder / f'lib{package.name}__{name}.so', others, own, '$ORIGIN', package, prefixes)


def _lay_out(package: MessagePackage, sources: Path, idl: Path, out: Path) -> None:
    """Copy Python modules, headers and definitions to where they are installed, and write the ament index's entry."""
    python, share, marked = out / 'python' / package.name, out / 'prefix' / 'share', []
    for path in (p for p in sources.rglob('*') if p.suffix in ('.h', '.hpp') and p.parts[-3] != 'idl'):
        inside = path.relative_to(sources)
        target = out / 'prefix' / 'include' / package.name / Path(*inside.parts[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for kind in package.kinds:
        definitions = share / package.name / kind
        for folder in (python / kind, definitions):
            folder.mkdir(parents=True)
        for path in (sources / 'rosidl_generator_py' / package.name / kind).glob('*.py'):
            shutil.copy(path, python / kind)
        own = [package.root / name for name in package.interfaces if Path(name).parent.name == kind]
        for path in (*own, *(idl / kind).iterdir()):
            shutil.copy(path, definitions)
        marked += [f'{kind}/{p.name}' for p in definitions.iterdir() if p.suffix in ('.msg', '.srv', '.idl')]
    marker = share / 'ament_index' / 'resource_index' / 'rosidl_interfaces' / package.name
    marker.parent.mkdir(parents=True)
    marker.write_text('\n'.join(sorted(marked)))
