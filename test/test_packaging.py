"""What is installed, by pip and by colcon, with ROS 2 and without; and which skips pass."""
from __future__ import annotations

import ast
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import venv
import xml.etree.ElementTree as ElementTree
import zipfile

import conftest
import pytest

import semdepth_ros

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'semdepth_ros'
SOURCES = ('setup.py', 'setup.cfg', 'pyproject.toml', 'package.xml', 'semdepth_ros', 'msg', 'srv', 'resource',
           'launch', 'config')
GENERATED = (PACKAGE / 'msg', PACKAGE / 'srv')
DRIVE_NODE = """
import sys, time, rclpy
from lifecycle_msgs.srv import GetState
from semdepth_ros.srv import Calibrate
rclpy.init()
node = rclpy.create_node('colcon_check')
client = node.create_client(GetState, '/perception/get_state')
assert client.wait_for_service(60.0), node.get_node_names()
for _ in range(300):
    future = client.call_async(GetState.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=5.0)
    if future.result() and future.result().current_state.label == 'active':     # an answer may come before it is heard
        break
    time.sleep(0.1)
calibrate = node.create_client(Calibrate, '/perception/calibrate')
assert calibrate.wait_for_service(20.0)
answer = calibrate.call_async(Calibrate.Request())
rclpy.spin_until_future_complete(node, answer, timeout_sec=20.0)
print('calibrate says', answer.result().message)
print('state', future.result().current_state.label, flush=True)
"""


def setup_keywords() -> dict:
    """Return the arguments of setup() that are literals, read without running it."""
    tree = ast.parse((ROOT / 'setup.py').read_text())
    call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, 'id', '') == 'setup')
    return {k.arg: k.value for k in call.keywords}


def package_xml() -> ElementTree.Element:
    """Return the root element of package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def copied_sources(target: Path) -> Path:
    """Copy what an installation needs, without anything generated, and return the copy."""
    def generated(folder: str, names: list[str]) -> list[str]:
        return [n for n in names if n == '__pycache__' or n.endswith('.so') or Path(folder) / n in GENERATED]

    target.mkdir(exist_ok=True)
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=generated)
        else:
            shutil.copy(ROOT / name, target)
    return target


def test_the_version_is_the_same_everywhere():
    version = semdepth_ros.__version__
    assert package_xml().findtext('version') == version
    assert re.search(rf'^{re.escape(version)} ', (ROOT / 'CHANGELOG.rst').read_text(), re.MULTILINE)


def test_package_xml_is_format_3_of_an_ament_python_package_of_messages():
    root = package_xml()
    assert root.get('format') == '3'
    assert root.findtext('export/build_type') == 'ament_python'
    assert root.findtext('member_of_group') == 'rosidl_interface_packages'
    assert root.findtext('license') == 'Apache-2.0' and (ROOT / root.find('license').get('file')).is_file()


def test_package_xml_names_every_ros_package_that_a_file_imports():
    declared = {e.text for kind in ('depend', 'exec_depend', 'build_depend') for e in package_xml().iter(kind)}
    named = set()
    for path in (*PACKAGE.rglob('*.py'), *ROOT.glob('launch/*.py')):
        if any(path.is_relative_to(folder) for folder in GENERATED):
            continue
        text = path.read_text()
        named |= set(re.findall(r'^\s*(?:from|import) (\w+_(?:msgs|srvs|interfaces)|rclpy|launch|launch_ros|cv_bridge|'
                                r'message_filters|tf2_ros)\b', text, re.MULTILINE))
        named |= set(re.findall(r"'(\w+)/(?:msg|srv)/\w+'", text))
    assert named - {'semdepth_ros', 'package'} <= declared  # docstrings say 'package/msg/Name'


@pytest.mark.parametrize('name', [
    'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs', 'nav_msgs', 'diagnostic_msgs', 'tf2_ros', 'cv_bridge',
    'message_filters', 'vision_msgs', 'launch_ros', 'rviz2', 'python3-numpy', 'python3-opencv', 'python3-yaml',
    'python3-torch'])
def test_package_xml_names_what_rosdep_installs(name):
    assert name in {e.text for e in package_xml()}


def test_every_folder_of_modules_is_a_package_and_so_is_installed():
    folders = {p.parent for p in PACKAGE.rglob('*.py') if '__pycache__' not in p.parts}
    assert [f for f in sorted(folders) if not (f / '__init__.py').is_file()] == []


def test_programs_start_functions_that_exist():
    scripts = ast.literal_eval(setup_keywords()['entry_points'])['console_scripts']
    for script in scripts:
        module, function = script.split(' = ')[1].split(':')
        assert (ROOT / Path(*module.split('.'))).with_suffix('.py').is_file(), script
        tree = ast.parse((ROOT / Path(*module.split('.'))).with_suffix('.py').read_text())
        assert function in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, script


def test_a_wheel_built_where_there_is_no_ros_has_all_of_python_and_one_line_says_what_is_left_out(tmp_path):
    """A bare Python that sees setuptools alone stands for a machine without ROS."""
    import setuptools
    folder, bare, tools = copied_sources(tmp_path / 'source'), tmp_path / 'bare', tmp_path / 'tools'
    venv.create(bare, with_pip=False)
    tools.mkdir()
    site = Path(setuptools.__file__).parent.parent
    for path in (*site.glob('setuptools*'), site / '_distutils_hack'):
        (tools / path.name).symlink_to(path)
    env = {'PATH': os.environ['PATH'], 'PYTHONPATH': str(tools)}
    done = subprocess.run([bare / 'bin' / 'python', 'setup.py', '-q', 'bdist_wheel', '-d', tmp_path], cwd=folder,
                          env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stderr.splitlines() if 'no ROS 2 found' in line and 'install ROS 2' in line]) == 1
    names = zipfile.ZipFile(next(tmp_path.glob('*.whl'))).namelist()
    modules = {p.relative_to(ROOT).as_posix() for p in PACKAGE.rglob('*.py')
               if not any(p.is_relative_to(folder) for folder in GENERATED)}
    assert modules <= set(names)
    assert not [n for n in names if n.endswith('.so') or n.startswith(('semdepth_ros/msg/', 'semdepth_ros/srv/'))]
    assert any(n.endswith('share/semdepth_ros/config/fastdds_large_messages.xml') for n in names)
    assert any(n.endswith('share/semdepth_ros/msg/ModelInfo.msg') for n in names)
    assert any(n.endswith('share/semdepth_ros/srv/Calibrate.srv') for n in names)


def test_a_build_without_a_compiler_ends_with_one_line_that_names_it(tmp_path):
    pytest.importorskip('rosidl_generator_py', reason='no ROS 2 in this environment')
    folder = copied_sources(tmp_path)
    done = subprocess.run([sys.executable, 'setup.py', '-q', 'build_ext'], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, 'CXX': 'no-such-compiler'})
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith('semdepth_ros: the messages need a C++ compiler: install ')
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize('options', [(), ('--symlink-install',)], ids=['install', 'symlink-install'])
def test_colcon_builds_the_package_and_the_installed_node_answers(tmp_path, processes, options):
    pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    pytest.importorskip('colcon_core', reason='colcon is not installed')
    source = copied_sources(tmp_path / 'source')
    build = processes.start(sys.executable, '-m', 'colcon', '--log-base', 'log', 'build', '--base-paths', source,
                            '--event-handlers', 'console_direct+', *options, cwd=tmp_path)
    assert build.wait(300) == 0, build.output
    prefix = tmp_path / 'install' / 'semdepth_ros'
    environment = sourced(tmp_path / 'install' / 'setup.bash')
    for kind in ('msg', 'srv'):
        where = subprocess.run([sys.executable, '-c', f'import semdepth_ros.{kind} as m; print(m.__file__)'], cwd=tmp_path,
                               env=environment, capture_output=True, text=True)
        assert str(tmp_path) in where.stdout, where.stderr
    assert (prefix / 'share/ament_index/resource_index/rosidl_interfaces/semdepth_ros').is_file()
    assert (prefix / 'lib/libsemdepth_ros__rosidl_typesupport_cpp.so').is_file()
    assert (prefix / 'share/semdepth_ros/launch/perception.launch.py').is_file()
    node = processes.start(prefix / 'lib/semdepth_ros/perception', env=environment, cwd=tmp_path)
    check = processes.python('-c', DRIVE_NODE, env=environment, cwd=tmp_path)
    assert check.wait(120) == 0, check.output + node.output
    assert check.output.split()[-1] == 'active' and 'calibrate says nothing is being collected' in check.output, node.output
    node.interrupt()
    assert node.wait(20) == 0, node.output


def sourced(script: Path) -> dict[str, str]:
    """Return the environment after sourcing a shell script."""
    done = subprocess.run(['bash', '-c', f'source "{script}" && env -0'], capture_output=True, text=True, check=True)
    return dict(entry.split('=', 1) for entry in done.stdout.split('\0') if '=' in entry)


def test_a_skip_counts_as_failure_unless_its_test_or_file_is_listed():
    allowed = ['test/test_launch.py', 'test/test_a.py::test_one', 'test/test_a.py::test_two[x]']
    skipped = ['test/test_launch.py::test_any', 'test/test_launch.py', 'test/test_a.py::test_one[gpu]',
               'test/test_a.py::test_two[x]', 'test/test_a.py::test_two[y]', 'test/test_b.py']
    assert conftest.forbidden_skips(skipped, allowed) == ['test/test_a.py::test_two[y]', 'test/test_b.py']


def test_a_forbidden_skip_fails_a_run(tmp_path):
    """A run of pytest with the tests' own conftest, on one file that skips."""
    folder = tmp_path / 'test'
    folder.mkdir()
    for name in ('conftest.py', 'child_processes.py'):
        (folder / name).write_text((ROOT / 'test' / name).read_text())
    (folder / 'test_skip.py').write_text("import pytest\n\n\ndef test_skipped():\n    pytest.skip('no reason')\n")
    outcomes = []
    for allowed in ('', 'test/test_skip.py::test_skipped: stands for a missing program\n'):
        (folder / 'ALLOWED_SKIPS').write_text(allowed)
        done = subprocess.run([sys.executable, '-m', 'pytest', '-q', '--rootdir', tmp_path, 'test'], cwd=tmp_path,
                              capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})
        outcomes.append((done.returncode, 'not listed in test/ALLOWED_SKIPS' in done.stdout))
    assert outcomes == [(1, True), (0, False)]


@pytest.mark.parametrize('missing, outcome', [('rclpy', '1 skipped'), ('numbers_of_somebody', '1 error')])
def test_a_file_that_imports_ros_is_skipped_where_there_is_none_and_only_then(tmp_path, missing, outcome):
    folder = tmp_path / 'test'
    folder.mkdir()
    for name in ('conftest.py', 'child_processes.py'):
        (folder / name).write_text((ROOT / 'test' / name).read_text())
    (folder / 'ALLOWED_SKIPS').write_text('test/test_node.py: stands for a machine without ROS\n')
    (folder / 'test_node.py').write_text(f'import sys\nsys.modules[{missing!r}] = None\nimport {missing}\n\n\n'
                                         'def test_nothing():\n    pass\n')
    done = subprocess.run([sys.executable, '-m', 'pytest', '-q', '--rootdir', tmp_path, 'test'], cwd=tmp_path,
                          capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert outcome in done.stdout.splitlines()[-1], done.stdout


def test_listed_skips_are_files_that_exist():
    for name in conftest.allowed_skips():
        assert (ROOT / name.split('::')[0]).is_file(), name


def test_shipped_configuration_is_installed_beside_the_package():
    prefixes = [Path(sys.prefix), *map(Path, filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)))]
    installed = next((p / 'share' / 'semdepth_ros' for p in prefixes if (p / 'share' / 'semdepth_ros').is_dir()), None)
    assert installed is not None, 'semdepth_ros is not installed: pip install -e . or make venv'
    for path in (*ROOT.glob('config/*.*'), *ROOT.glob('config/*/*.yaml'), *ROOT.glob('launch/*.launch.py')):
        copy = installed / path.relative_to(ROOT)
        assert copy.is_file() and copy.read_bytes() == path.read_bytes(), f'{copy} is not {path}: pip install -e . again'
