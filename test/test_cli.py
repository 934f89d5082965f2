"""The semdepth program: quick help, one-line errors, nodes with room for images."""
from __future__ import annotations

import argparse
import os
from pathlib import Path
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import pytest

from semdepth_ros.bridge.middleware import (
    large_message_profile, PROFILE_VARIABLES, variables_read, with_large_messages)
from semdepth_ros.cli import main as program

ROOT = Path(__file__).resolve().parent.parent
CALL_NODE = """
import rclpy
from lifecycle_msgs.srv import GetState
rclpy.init()
node = rclpy.create_node('caller')
client = node.create_client(GetState, '/renamed/get_state')
assert client.wait_for_service(60.0), node.get_node_names()
"""


def run_semdepth(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the program in a process of its own."""
    return subprocess.run([sys.executable, '-m', 'semdepth_ros.cli.main', *arguments], capture_output=True, text=True,
                          **options)


def test_help_names_every_command_and_imports_none():
    code = ('import sys; from semdepth_ros.cli.main import build_parser; print(build_parser().format_help());'
            'print([m for m in ("torch", "numpy", "cv2", "rclpy") if m in sys.modules], file=sys.stderr)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert all(re.search(rf'^\s+{name}\b', done.stdout, re.MULTILINE) for name in program.COMMANDS)
    assert done.stderr.strip() == '[]'


@pytest.mark.parametrize('name', sorted(program.COMMANDS))
def test_every_command_has_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as end:
        program.main([name, '--help'])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: semdepth {name}')


@pytest.mark.parametrize('missing, extra', sorted(program.EXTRAS.items()))
def test_a_missing_package_is_named_in_one_line_with_the_extra_that_brings_it(missing, extra):
    line = program.missing_module(ModuleNotFoundError(f'No module named {missing!r}', name=missing))
    assert missing in line and ('source or install ROS 2' if extra == 'ros' else f"pip install '.[{extra}]'") in line
    assert f"'{extra}': " in (ROOT / 'setup.py').read_text()


def test_a_command_that_lacks_a_package_ends_with_one_line_and_status_2(monkeypatch, capsys):
    def importing(module):
        raise ModuleNotFoundError("No module named 'lightning'", name='lightning')
    monkeypatch.setattr(program, 'import_module', importing)
    assert program.main(['train', 'recipe']) == 2
    assert capsys.readouterr().err == ("semdepth train: the Python module lightning is missing: "
                                       "pip install '.[train]' in semdepth_ros's folder\n")


def test_a_fault_in_the_package_itself_is_not_taken_for_a_missing_one(monkeypatch):
    monkeypatch.setitem(program.COMMANDS, 'train', ('semdepth_ros.cli.no_such_command', ''))
    with pytest.raises(ModuleNotFoundError):
        program.main(['train'])


@pytest.mark.parametrize('error', [ValueError('depth is -1 m:\n expected more than 0'),
                                   FileNotFoundError(2, 'No such file', 'x.mcap')])
def test_errors_of_a_command_are_one_line_and_status_2(monkeypatch, capsys, error):
    def run(args):
        raise error
    parser = type('Parser', (), {'parse_args': lambda self, argv: type('Args', (), {'run': staticmethod(run)})})
    monkeypatch.setattr(program, 'build_parser', lambda name: parser())
    assert program.main(['bag']) == 2
    assert capsys.readouterr().err == f'semdepth bag: {" ".join(str(error).split())}\n'


def test_starting_nodes_does_not_load_torch():
    code = 'import semdepth_ros.cli.run, sys; print("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout == 'False\n'


def test_run_refuses_a_profile_that_is_not_there():
    done = run_semdepth('run', '--profile', '/no/such.xml', 'perception')
    assert (done.returncode, done.stderr) == (2, 'semdepth run: --profile /no/such.xml: no such file\n')


def test_run_becomes_the_node_with_room_for_images(processes):
    pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    env = {k: v for k, v in os.environ.items() if k not in PROFILE_VARIABLES}
    unset = [f'-u{v}' for v in PROFILE_VARIABLES]
    node = processes.start('env', *unset, sys.executable, '-m', 'semdepth_ros.cli.main', 'run', 'perception',
                           '--ros-args', '-r', '__node:=renamed')
    check = processes.python('-c', CALL_NODE)
    assert check.wait(120) == 0, check.output + node.output
    entries = Path(f'/proc/{node.process.pid}/environ').read_bytes().decode().split('\0')
    expected = {k: v for k, v in with_large_messages(env).items() if k in PROFILE_VARIABLES}
    assert expected and all(f'{name}={value}' in entries for name, value in expected.items())


def test_a_profile_of_the_users_own_stays():
    environ = {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml', 'HOME': '/home/me'}
    assert with_large_messages(environ) == environ
    asked = with_large_messages(environ, 'other.xml')
    assert asked.pop('HOME') == '/home/me' and set(asked.values()) == {'other.xml'}


@pytest.mark.parametrize('libraries, variables', [
    ((), PROFILE_VARIABLES), (('libfastrtps.so',), ('FASTRTPS_DEFAULT_PROFILES_FILE',)),
    (('libfastdds.so',), ('FASTDDS_DEFAULT_PROFILES_FILE',))])
def test_the_profile_is_named_as_the_installed_middleware_reads_it(tmp_path, libraries, variables):
    for name in libraries:
        (tmp_path / name).touch()
    assert variables_read([tmp_path / 'none', tmp_path]) == variables


@pytest.mark.parametrize('size', [None, (8 << 30, 8 << 30), (64 << 20, 60 << 20)], ids=['none', '8GB', '64MB'])
def test_the_profile_fits_four_processes_into_shared_memory(size):
    text = large_message_profile(size).read_text()
    segment = int(re.search(r'<segment_size>(\d+)<', text)[1])
    assert segment == 32 << 20 if size is None or size[0] > 1 << 30 else 8 << 20 < segment and 4 * segment < size[0]
    assert ElementTree.fromstring(text).tag.endswith('dds')


@pytest.mark.parametrize('size, segment', [(None, 128 << 20), ((8 << 30, 8 << 30), 128 << 20),
                                           ((256 << 20, 256 << 20), 60 << 20)], ids=['none', '8GB', '256MB'])
def test_more_room_is_given_as_far_as_there_is(size, segment):
    text = large_message_profile(size, 128 << 20).read_text()
    assert f'<segment_size>{segment}<' in text and f'<maxMessageSize>{segment // 2}<' in text


@pytest.mark.parametrize('arguments', [('world', '--help'), ('--version',)])
def test_a_reader_that_closes_its_pipe_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, '-m', 'semdepth_ros.cli.main', *arguments], stdout=writer,
                          stderr=subprocess.PIPE, text=True, env=os.environ | {'PYTHONUNBUFFERED': ''})
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, '')


def test_sigterm_leaves_nothing_half_written(processes, tmp_path):
    out = tmp_path / 'drives' / 'drive.mcap'
    out.parent.mkdir()
    child = processes.python('-m', 'semdepth_ros.cli.main', 'world', '--frames', '5000', '--size', '64x32',
                             '--out', str(out))
    deadline = time.monotonic() + 60.0
    while not list(out.parent.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [path.name for path in out.parent.iterdir()] != []
    child.process.terminate()
    assert child.wait(30.0) == 143
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize('arguments, words', [
    (('--ros-args', '--params-file', 'nowhere.yaml'), 'nowhere.yaml'),
    (('--ros-args', '-r', 'image:=/camera/'), '/camera/'),
    (('--modl', 'mine.safetensors'), '--modl')])
def test_a_node_names_arguments_that_cannot_be(processes, arguments, words):
    pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    child = processes.python('-m', 'semdepth_ros.cli.main', 'run', 'perception', *arguments)
    assert child.wait(60.0) == 2
    assert 'Traceback' not in child.output and words in child.output.strip().splitlines()[-1]


def test_a_node_has_help(processes):
    pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    child = processes.python('-m', 'semdepth_ros.nodes.start', 'perception', '--help')
    assert child.wait(60.0) == 0 and '--ros-args' in child.output


@pytest.mark.parametrize('file, words', [('.', 'is a folder'), ('/proc/model.safetensors', 'cannot be written')])
def test_a_model_that_cannot_be_written_is_refused_before_training(capsys, tmp_path, file, words):
    pytest.importorskip('lightning', reason='training needs lightning')
    assert program.main(['train', 'small_world', '--data', 'world:day', '--out', str(tmp_path / 'run'),
                         '--export', file]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / 'run').exists()


@pytest.mark.parametrize('arguments, words', [
    (('world', '--fleet', '0', '--out', 'fleet'), '--fleet is 0'),
    (('world', '--fleet', '2', '--out', 'fleet', '--preview', 'p.png'), '--preview shows one drive'),
    (('world', '--out', 'drive', '--force'), '--force replaces bags only'),
    (('world', '--preview', 'p.xyz'), 'ends in .png'),
    (('world', '--preview', '/proc/p.png'), '/proc/p.png cannot be written'),
    (('evaluate', '--model', 'baseline:foo', '--data', 'world:day'), "baseline is 'foo'"),
    (('evaluate', '--data', 'world:day', '--json', '/proc/f.json'), '/proc/f.json cannot be written'),
    (('evaluate', '--data', 'world:day', '--report', '/proc/report'), '/proc/report cannot be written'),
    (('replay', 'nowhere.mcap', '--out', 'o.mcap'), 'nowhere.mcap does not exist'),
    (('replay', __file__, '--out', '/proc/o.mcap'), '/proc cannot be written'),
    (('replay', __file__, '--out', 'o.mcap', '--scale', '0'), 'scale is 0.0, expected a positive number'),
    (('demo', '--out', '/proc/demo'), '/proc/demo cannot be written')])
def test_what_cannot_be_is_refused_before_the_work_begins(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert program.main(list(arguments)) == 2
    assert words in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_training_stays_out_of_the_towns_that_are_tested_on():
    from semdepth_ros.cli.train import _with_data
    from semdepth_ros.training.recipe_file import read_recipe
    args = argparse.Namespace(data=['world:day:1:200@2', 'drives/a'], val=['world:day:900:20', 'drives/b'], labels=None)
    recipe = _with_data(read_recipe('small_world'), args)
    assert [entry.options for entry in recipe.data] == [{'split': 'train'}, {}]
    assert [entry.options for entry in recipe.validation] == [{'split': 'val'}, {}]
