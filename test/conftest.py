"""What all tests share: a ROS graph of their own, child processes, real data, message overlays, and no silent skips."""
from __future__ import annotations

from functools import cache
from importlib.util import find_spec
import os
from pathlib import Path
import re
import signal
import sys

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ALLOWED_SKIPS = HERE / 'ALLOWED_SKIPS'
# what a file of tests may miss where there is no ROS 2
ROS_PACKAGE = re.compile(r'rclpy|rcl_interfaces|\w+_(msgs|srvs)\b')
ROS_WORDS = ('rclpy', 'semdepth_ros.msg', 'semdepth_ros.srv', 'semdepth_ros.nodes', 'semdepth_ros.live')


def pytest_configure(config):
    """Set the environment before anything imports torch or rclpy."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it to what it starts in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # children inherit it, and Ctrl-C is tested on them
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1))
    threads = str(max(1, min(4, (os.cpu_count() or 1) // workers)))
    for variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
        os.environ.setdefault(variable, threads)
    from semdepth_ros.bridge.middleware import PROFILE_VARIABLES, with_large_messages
    from semdepth_ros.cli.demo import free_domain
    variables = with_large_messages({k: v for k, v in os.environ.items() if k not in PROFILE_VARIABLES})
    os.environ.update(variables, ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST',
                      ROS_DOMAIN_ID=str(free_domain()))
    if (Path(sys.prefix) / 'share' / 'ament_index').is_dir():  # ROS 2 from wheels: the environment is the prefix
        prefixes = [sys.prefix, *filter(None, [os.environ.get('AMENT_PREFIX_PATH')])]
        os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join(dict.fromkeys(prefixes))


@cache
def speaks_ros(path: Path) -> bool:
    """Return whether a file of tests speaks of rclpy or starts a node."""
    text = path.read_text(encoding='utf-8')
    return any(word in text for word in ROS_WORDS)


def pytest_collection_modifyitems(items):
    """Mark as ros every test of a file that speaks of rclpy or starts a node."""
    for item in items:
        if speaks_ros(item.path):
            item.add_marker(pytest.mark.ros)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let one worker take all tests on a ROS graph, one after the other, and the others what is left, file by file."""
    from xdist.scheduler import LoadFileScheduling

    class OneGraph(LoadFileScheduling):
        """Files of tests, those on a ROS graph as if they were one."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split('::')[0]
            return 'ros' if speaks_ros(config.rootpath / file) else file

    return OneGraph(config, log)


def has_ros() -> bool:
    """Return whether there is a ROS 2 in this environment."""
    try:
        return find_spec('rclpy') is not None
    except (ImportError, ValueError):  # hidden on purpose
        return False


class TestFile(pytest.Module):
    """A file of tests; one that imports ROS 2 is skipped as a whole where there is none."""

    def collect(self):
        """Import the file and return its tests."""
        try:
            return super().collect()
        except self.CollectError as error:
            missing = getattr(error.__cause__, 'name', None) or ''
            if ROS_PACKAGE.match(missing) and not has_ros():
                pytest.skip('no ROS 2 in this environment', allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path, parent):
    """Collect test files as TestFile does."""
    return TestFile.from_parent(parent, path=module_path)


@pytest.fixture
def processes(tmp_path):
    """Start children with processes.start(*command) or processes.python(*arguments); all are ended afterwards."""
    from child_processes import ChildProcesses
    children = ChildProcesses(tmp_path)
    yield children
    children.end()


@pytest.fixture(scope='module')
def graph():
    """Return a ROS graph in the test's own process."""
    from ros_graph import Graph
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Return the folder of real driving sequences beside the repository, or skip."""
    folder = Path(os.environ.get('SEMDEPTH_TEST_DATA', ROOT.parent / 'shared' / 'data'))
    if not folder.is_dir():
        pytest.skip('no real driving sequences beside the repository (../shared/data)')
    return folder


@pytest.fixture(scope='session')
def overlays() -> dict[str, str]:
    """Make vision_msgs and tf2_msgs importable here and in child processes; return the variables that do so.

    Import them inside the test: until this fixture has run they do not exist.
    """
    pytest.importorskip('rosidl_generator_py', reason='no ROS 2 in this environment')
    from message_overlays import overlay_environment
    variables = overlay_environment()
    os.environ.update(variables)
    sys.path[:0] = [p for p in variables['PYTHONPATH'].split(os.pathsep) if p and p not in sys.path]
    return variables


def allowed_skips() -> list[str]:
    """Return the test ids and files of test/ALLOWED_SKIPS; a line is an id, a colon, a space and a reason."""
    lines = ALLOWED_SKIPS.read_text(encoding='utf-8').splitlines()
    return [line.split(': ', 1)[0].strip() for line in lines if line.strip() and not line.startswith('#')]


def forbidden_skips(skipped: list[str], allowed: list[str]) -> list[str]:
    """Return the ids of skipped tests that no allowed id, file or test without its parameters covers."""
    def covered(nodeid: str) -> bool:
        names = {nodeid, nodeid.split('::')[0], nodeid.split('[')[0]}
        return bool(names & set(allowed))
    return sorted({s for s in skipped if not covered(s)})


def pytest_sessionfinish(session):
    """Count a skip that nobody has allowed as a failure."""
    reporter = session.config.pluginmanager.get_plugin('terminalreporter')
    skipped = [r.nodeid for r in (reporter.stats.get('skipped', []) if reporter else [])]
    session.config.forbidden_skips = forbidden_skips(skipped, allowed_skips())
    harmless = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if session.config.forbidden_skips and session.exitstatus in harmless:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Name the skips that made the run fail."""
    for nodeid in getattr(config, 'forbidden_skips', []):
        terminalreporter.write_line(f'FAILED {nodeid}: skipped, and not listed in test/ALLOWED_SKIPS', red=True)
