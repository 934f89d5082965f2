"""The floors of the house: imports only point downwards, and all below the nodes works where there is no ROS."""
from __future__ import annotations

import ast
from pathlib import Path
import re
import runpy
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'semdepth_ros'
# from the top; modules beside the rooms (camera images, classes, the model file) are the ground floor
FLOORS = ('cli', 'live', 'nodes', 'recordings', 'bridge', 'experiments', 'adaptation', 'perception', 'scale',
          'training', 'evaluation', 'data', 'bags', 'world', 'networks', 'losses', 'geometry', 'ground',
          'message_build')
# A type that everything speaks may be spoken below the floor it is kept on.
TYPES = {'semdepth_ros.data.sample': 'ground', 'semdepth_ros.geometry.camera': 'ground'}
ROS_FLOORS = ('cli', 'live', 'nodes', 'recordings', 'bridge')
ROS = {'rclpy', 'rcl_interfaces', 'sensor_msgs', 'std_msgs', 'std_srvs', 'nav_msgs', 'geometry_msgs', 'diagnostic_msgs',
       'vision_msgs', 'tf2_msgs', 'tf2_ros', 'lifecycle_msgs', 'builtin_interfaces', 'rosgraph_msgs', 'cv_bridge',
       'message_filters', 'ament_index_python', 'launch', 'launch_ros', 'rosidl_runtime_py'}
# semdepth_ros/bridge/rclpy_types.py is where message classes come from; nodes and programs on a graph are the rest of rclpy
ROS_FILES = ('live/', 'nodes/', 'bridge/rclpy_types.py')
BLOCKED_IMPORT = """
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {ros} or name.startswith(('semdepth_ros.msg', 'semdepth_ros.srv')):
            raise ModuleNotFoundError('ROS is blocked in this test: ' + name, name=name)
sys.meta_path.insert(0, Blocked())
for name in {modules}:
    importlib.import_module(name)
"""


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def sources() -> dict[str, Path]:
    """Return every module of the package that is not generated."""
    paths = sorted(p for p in PACKAGE.rglob('*.py') if p.relative_to(PACKAGE).parts[0] not in ('msg', 'srv'))
    return {module_name(p): p for p in paths}


def imported(path: Path) -> set[str]:
    """Return the dotted names a file imports, wherever in it; of `from a import b` both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = module_name(path).split('.')
            inside = package if path.name == '__init__.py' else package[:-1]
            base = '.'.join(inside[:len(inside) - node.level + 1]) if node.level else ''
            module = '.'.join(filter(None, [base, node.module]))
            names |= {module} | {f'{module}.{alias.name}' for alias in node.names}
    return names


def floor(module: str) -> str | None:
    """Return the floor of one of the package's modules; None for other packages and the package itself."""
    parts = module.split('.')
    if parts[0] != 'semdepth_ros' or len(parts) == 1:
        return None
    for name, kept in TYPES.items():
        if module == name or module.startswith(f'{name}.'):
            return kept
    return parts[1] if parts[1] in FLOORS else 'ground'


def upward_imports(path: Path, modules: set[str]) -> list[str]:
    """Return what a file imports from floors above its own."""
    own = FLOORS.index(floor(module_name(path)) or 'ground')
    floors = {name: floor(name) for name in imported(path) & modules}
    return sorted(name for name, above in floors.items() if above and FLOORS.index(above) < own)


def test_the_rule_sees_an_upward_import_and_lets_a_downward_one_pass(tmp_path, monkeypatch):
    modules = {'semdepth_ros.geometry.camera', 'semdepth_ros.nodes.perception', 'semdepth_ros.losses.x'}
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    path = tmp_path / 'semdepth_ros' / 'losses' / 'x.py'
    path.parent.mkdir(parents=True)
    path.write_text('from semdepth_ros.geometry.camera import Camera\n')
    assert upward_imports(path, modules) == []
    path.write_text('def f():\n    from ..nodes import perception\n')
    assert upward_imports(path, modules) == ['semdepth_ros.nodes.perception']


@pytest.mark.parametrize('module', sorted(sources()))
def test_imports_point_downwards(module):
    assert upward_imports(sources()[module], set(sources())) == []


def test_no_two_files_import_each_other():
    modules = sources()
    imports = {module: imported(path) & set(modules) - {module} for module, path in modules.items()}
    assert not [(one, other) for one in imports for other in imports[one] if one in imports[other]]


@pytest.mark.parametrize('module', sorted(sources()))
def test_rclpy_and_message_classes_are_met_on_the_graph_and_in_one_file_of_the_bridge_only(module):
    path = sources()[module]
    if path.relative_to(PACKAGE).as_posix().startswith(ROS_FILES):
        return
    named = {n for n in imported(path) if n.split('.')[0] in ROS or n.startswith(('semdepth_ros.msg', 'semdepth_ros.srv'))}
    assert not named


def test_everything_below_the_nodes_imports_where_there_is_no_ros():
    modules = [m for m, p in sources().items() if not p.relative_to(PACKAGE).as_posix().startswith(ROS_FILES)]
    assert len(modules) > 20
    done = subprocess.run([sys.executable, '-c', BLOCKED_IMPORT.format(ros=sorted(ROS), modules=modules)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_perceived_can_be_converted_and_shown_without_loading_torch():
    code = ('import sys, semdepth_ros.bridge.outputs, semdepth_ros.evaluation.film; '
            'print([m for m in sys.modules if m in ("torch", "semdepth_ros.networks", "semdepth_ros.perception")])')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ('[]', '')


def test_every_room_is_a_floor_and_every_floor_has_only_rooms_named_in_the_plan():
    rooms = {p.parent.relative_to(PACKAGE).parts[0] for p in sources().values() if p.parent != PACKAGE}
    assert rooms <= set(FLOORS)


def test_the_drawing_of_the_floors_is_that_of_the_imports():
    images = ROOT / 'docs' / 'images'
    drawing = runpy.run_path(str(images / 'architecture.py'), run_name='drawing')['drawing']()
    assert (images / 'architecture.svg').read_text(encoding='utf-8') == drawing, 'python docs/images/architecture.py'


def test_the_page_on_the_architecture_names_files_that_are_there():
    page = (ROOT / 'docs' / 'ARCHITECTURE.md').read_text(encoding='utf-8')
    named = {name for name in re.findall(r'`((?:\w+/)+\w*(?:\.py)?)`', page) if 'NAME' not in name}
    missing = [name for name in named if not any((root / name).exists() for root in (PACKAGE, ROOT))]
    assert len(named) > 25 and not missing
