"""The package's own messages and services: built for Python, C and C++, registered, hashed as everybody hashes, and sent
around."""
from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
import time

import pytest
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message, serialize_message

from semdepth_ros import msg, srv
from semdepth_ros.message_build.compilation import LIBRARIES
from semdepth_ros.message_build.generation import (
    compilers, generate, has_ros, MessageBuildError, MessagePackage, MODULES, require_tools, ros_prefixes, snake_case)

ROOT = Path(__file__).resolve().parent.parent
DEFINITIONS = sorted((ROOT / 'msg').glob('*.msg'))
NAMES = [p.stem for p in DEFINITIONS]
SERVICES = sorted((ROOT / 'srv').glob('*.srv'))
PARTS = ('Request', 'Response', 'Event')
# (kind, folder, type) of everything that has type support
TYPES = [('message', 'msg', name) for name in NAMES] + [('service', 'srv', p.stem) for p in SERVICES] + [
    ('message', 'srv', f'{p.stem}_{part}') for p in SERVICES for part in PARTS]
SUPPORTS = [name for name in LIBRARIES if '_typesupport_' in name]
# as ROS 2's own packages have them
KNOWN_HASHES = {'LabelInfo': 'RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
                'VisionClass': 'RIHS01_1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a',
                'TFMessage': 'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087'}
VALUES = {'string': 'Straße', 'float': 0.5, 'double': 0.1, 'boolean': True, 'uint8': 3, 'uint32': 2 ** 31,
          'uint64': 2 ** 63, 'sequence<string>': ['a', ''], 'sequence<float>': [0.5, -0.0],
          'sequence<boolean>': [True, False], 'sequence<uint64>': [0, 2 ** 63], 'sequence<double>': [0.1, float('inf')]}
# opens every library with nothing else loaded, takes each type's support from it and asks it for another one
OPEN_LIBRARIES = """
import ctypes, json, sys
folder, types, supports = json.loads(sys.argv[1])
found = {}
for support in supports:
    library = ctypes.CDLL(f'{folder}/libsemdepth_ros__{support}.so')
    for sort, kind, name in types:
        get = getattr(library, f'{support}__get_{sort}_type_support_handle__semdepth_ros__{kind}__{name}')
        get.restype = ctypes.POINTER(ctypes.c_void_p)
        handle = get()
        identifier = ctypes.cast(handle[0], ctypes.c_char_p).value.decode()
        choose = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(handle[2])
        language = support.rsplit('_', 1)[1]
        others = [f'rosidl_typesupport_{kind}_{language}' for kind in ('fastrtps', 'introspection')]
        chosen = [bool(choose(ctypes.cast(handle, ctypes.c_void_p), o.encode())) for o in others]
        found[f'{support} {name}'] = [identifier, chosen]
print(json.dumps(found))
"""
USE_FROM_CPP = """
#include <cstdio>
#include <semdepth_ros/msg/adaptation_status.hpp>
#include <semdepth_ros/msg/model_info.hpp>
#include <semdepth_ros/srv/calibrate.hpp>
#include <rosidl_typesupport_cpp/message_type_support.hpp>
#include <rosidl_typesupport_cpp/service_type_support.hpp>
int main()
{
  semdepth_ros::msg::ModelInfo info;
  info.version = semdepth_ros::msg::AdaptationStatus::STATE_TRIAL;
  auto support = rosidl_typesupport_cpp::get_message_type_support_handle<semdepth_ros::msg::ModelInfo>();
  semdepth_ros::srv::Calibrate::Request request;
  request.method = semdepth_ros::srv::Calibrate::Request::ODOMETRY;
  auto service = rosidl_typesupport_cpp::get_service_type_support_handle<semdepth_ros::srv::Calibrate>();
  std::printf("%s %u %s %u", support->typesupport_identifier, info.version, service->typesupport_identifier,
    request.method);
}
"""
PUBLISH = """
import sys, rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from semdepth_ros.msg import AdaptationStatus
rclpy.init()
node = rclpy.create_node('status_publisher')
qos = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
publisher = node.create_publisher(AdaptationStatus, 'status', qos)
for i in range(5):
    status = AdaptationStatus(state=AdaptationStatus.STATE_HELD, reason=f'gate {i}: Stra\\u00dfe')
    status.frames_seen = 2 ** 40 + i
    status.header.frame_id, status.header.stamp.nanosec = 'camera', i
    status.gate_names, status.gate_open = ['motion', 'texture'], [False, True]
    status.gate_values = [0.125, float('nan')]
    publisher.publish(status)
print('published', flush=True)
rclpy.spin(node)
"""
SERVE = """
import rclpy
from semdepth_ros.srv import {name}
rclpy.init()
node = rclpy.create_node('server')

def serve(request, response):
    print('asked', repr(request), flush=True)
    for name, value in {fields}.items():
        setattr(response, name, value)
    return response

service = node.create_service({name}, '{name}_of_another', serve)
print('serving', flush=True)
rclpy.spin(node)
"""


def registered_prefix() -> Path:
    """Return the installation prefix the messages are registered in."""
    for folder in ros_prefixes():
        if (folder / 'share/ament_index/resource_index/rosidl_interfaces/semdepth_ros').is_file():
            return folder
    raise AssertionError(f'semdepth_ros is registered in none of {ros_prefixes()}')


@pytest.fixture
def node():
    """Return a node on the tests' own graph."""
    rclpy.init()
    node = rclpy.create_node('test_messages')
    yield node
    node.destroy_node()
    rclpy.shutdown()


def announced_hash(node, message_type) -> str:
    """Return the type hash that other participants of the graph are told."""
    topic = f'/hash_of_{message_type.__name__}'
    publisher = node.create_publisher(message_type, topic, 1)
    infos = wait_until(lambda: node.get_publishers_info_by_topic(topic))
    node.destroy_publisher(publisher)
    return str(infos[0].topic_type_hash)


def wait_until(happened, timeout_s: float = 20.0):
    """Return the first true value of happened()."""
    deadline = time.monotonic() + timeout_s
    while not (value := happened()):
        assert time.monotonic() < deadline, 'it did not happen in time'
        time.sleep(0.02)
    return value


def rosbags_hash(definitions: dict[str, str], name: str) -> str:
    """Return the type hash that rosbags computes from the text of the definitions."""
    typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    types = {}
    for type_name, text in definitions.items():
        types.update(typesys.get_types_from_msg(text, type_name))
    store.register({k: v for k, v in types.items() if k not in store.types})
    return store.hash_rihs01(name)


@pytest.mark.parametrize('name', NAMES)
def test_a_message_keeps_its_values_through_serialisation(name):
    message_type = getattr(msg, name)
    message = message_type()
    message.header.frame_id = 'camera'
    for field, kind in message_type.get_fields_and_field_types().items():
        if kind in VALUES:
            setattr(message, field, VALUES[kind])
    assert deserialize_message(serialize_message(message), message_type) == message


@pytest.mark.parametrize('path', DEFINITIONS, ids=NAMES)
def test_the_announced_type_hash_is_the_one_rosbags_computes_from_the_text(node, path):
    type_name = f'semdepth_ros/msg/{path.stem}'
    expected = rosbags_hash({type_name: path.read_text()}, type_name)
    assert announced_hash(node, getattr(msg, path.stem)) == expected


def test_the_ament_index_and_share_hold_every_message_and_its_definitions():
    share = registered_prefix() / 'share'
    marker = (share / 'ament_index/resource_index/rosidl_interfaces/semdepth_ros').read_text().split()
    assert marker == sorted(f'{path.parent.name}/{path.stem}.{suffix}' for path in DEFINITIONS + SERVICES
                            for suffix in ('idl', path.parent.name))
    assert (share / 'ament_index/resource_index/packages/semdepth_ros').is_file()
    assert (share / 'semdepth_ros/package.xml').read_text() == (ROOT / 'package.xml').read_text()
    for path in DEFINITIONS:
        assert (share / 'semdepth_ros' / 'msg' / path.name).read_text() == path.read_text()
        description = json.loads((share / 'semdepth_ros' / 'msg' / f'{path.stem}.json').read_text())
        assert description['type_description_msg']['type_description']['type_name'] == f'semdepth_ros/msg/{path.stem}'
    for path in SERVICES:
        assert (share / 'semdepth_ros' / 'srv' / path.name).read_text() == path.read_text()
        assert f'semdepth_ros/srv/{path.stem}_Request' in (share / 'semdepth_ros' / 'srv' / f'{path.stem}.json').read_text()


def test_every_c_and_cpp_library_opens_by_itself_and_gives_type_support_for_every_type():
    arguments = json.dumps([str(registered_prefix() / 'lib'), TYPES, SUPPORTS])
    done = subprocess.run([sys.executable, '-c', OPEN_LIBRARIES, arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {f'{support} {name}' for support in SUPPORTS for _, _, name in TYPES}
    for key, (identifier, chosen) in found.items():
        support = key.split()[0]
        assert identifier == support
        kinds = [any(k in support for k in (kind, 'typesupport_c')) for kind in ('fastrtps', 'introspection')]
        assert chosen == kinds, f'{key} chose {chosen}'


def test_a_cpp_program_compiles_and_links_against_the_installed_headers_and_libraries(tmp_path):
    prefix, source, program = registered_prefix(), tmp_path / 'use.cpp', tmp_path / 'use'
    source.write_text(USE_FROM_CPP)
    include = [str(f) for p in ros_prefixes() for f in (p / 'include').iterdir() if f.is_dir()]
    folders = [f for p in ros_prefixes() for f in (f'-L{p}/lib', f'-Wl,-rpath,{p}/lib')]
    names = ['semdepth_ros__rosidl_typesupport_cpp', 'rosidl_typesupport_cpp', 'rosidl_runtime_c']
    subprocess.run([compilers()[1], '-std=c++17', str(source), '-o', str(program), f'-I{prefix}/include/semdepth_ros',
                    *(f'-I{i}' for i in include), *folders, *(f'-l{n}' for n in names)], check=True)
    assert subprocess.run([program], capture_output=True, text=True).stdout == (
        'rosidl_typesupport_cpp 4 rosidl_typesupport_cpp 4')


def test_messages_of_another_process_arrive_whole_and_latched(node, processes):
    publisher = processes.python('-c', PUBLISH)
    publisher.wait_for('published')
    received = []
    qos = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_subscription(msg.AdaptationStatus, 'status', received.append, qos)
    wait_until(lambda: rclpy.spin_once(node, timeout_sec=0.1) or len(received) == 5)
    assert [r.reason for r in received] == [f'gate {i}: Straße' for i in range(5)]
    last = received[-1]
    assert (last.header.frame_id, last.header.stamp.nanosec, last.frames_seen) == ('camera', 4, 2 ** 40 + 4)
    assert last.state == msg.AdaptationStatus.STATE_HELD
    assert list(last.gate_names) == ['motion', 'texture'] and list(last.gate_open) == [False, True]
    assert last.gate_values[0] == 0.125 and last.gate_values[1] != last.gate_values[1]


@pytest.mark.parametrize('path', SERVICES, ids=[p.stem for p in SERVICES])
def test_a_service_is_asked_and_answered_by_another_process(node, processes, path):
    """Every field of the answer is what the other process was asked to put there, as text."""
    kind = getattr(srv, path.stem)
    fields = {name: VALUES[of] for name, of in kind.Response.get_fields_and_field_types().items()}
    server = processes.python('-c', SERVE.format(name=path.stem, fields=repr(fields).replace('inf', "float('inf')")))
    client = node.create_client(kind, f'{path.stem}_of_another')
    server.wait_for('serving')
    assert client.wait_for_service(20.0)
    request = kind.Request(**{name: VALUES[of] for name, of in kind.Request.get_fields_and_field_types().items()})
    assert deserialize_message(serialize_message(request), kind.Request) == request
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=20.0)
    assert future.result() == kind.Response(**fields)
    server.wait_for(f'asked {request!r}')


def test_every_field_of_every_message_has_a_comment():
    for path in DEFINITIONS + SERVICES:
        commented = False
        for line in path.read_text().splitlines():
            if line == '---':
                continue
            own = '#' in line
            commented = bool(line.strip()) and (own or commented)  # a blank line ends what a comment speaks for
            assert not line.strip() or commented, f'{path.name}: {line!r}'


def test_overlays_have_the_type_hashes_of_the_real_packages(node, overlays):
    from tf2_msgs.msg import TFMessage
    from vision_msgs.msg import LabelInfo, VisionClass
    for message_type in (LabelInfo, VisionClass, TFMessage):
        assert announced_hash(node, message_type) == KNOWN_HASHES[message_type.__name__]


def test_overlays_are_found_by_child_processes_and_the_ament_index(overlays):
    code = ("from vision_msgs.msg import LabelInfo, VisionClass;"
            "from rclpy.serialization import serialize_message as s;"
            "print(len(s(LabelInfo(class_map=[VisionClass(class_id=1, class_name='sidewalk')]))))")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env={**os.environ, **overlays})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > len('sidewalk')
    folders = [Path(p) for p in overlays['AMENT_PREFIX_PATH'].split(os.pathsep)]
    for name in ('vision_msgs', 'tf2_msgs'):
        assert any((f / 'share/ament_index/resource_index/rosidl_interfaces' / name).is_file() for f in folders)


@pytest.mark.parametrize('missing', [*MODULES, 'numpy'])
def test_a_missing_generator_is_named_in_one_line_with_what_to_install(missing):
    with pytest.raises(MessageBuildError) as error:
        require_tools(has_module=lambda module: module != missing, found=('cc', 'c++'))
    assert '\n' not in str(error.value) and missing.lower() in str(error.value).lower()
    assert '(apt)' in str(error.value) and '(pip)' in str(error.value)


@pytest.mark.parametrize('found, named', [((None, 'c++'), 'C compiler'), (('cc', None), r'C\+\+ compiler')])
def test_a_missing_compiler_is_named_in_one_line_with_what_to_install(found, named):
    with pytest.raises(MessageBuildError, match=rf'^the messages need a {named}: install build-essential.*$'):
        require_tools(has_module=lambda module: True, found=found)


def test_a_missing_python_header_is_named_with_what_to_install(tmp_path):
    with pytest.raises(MessageBuildError, match=r'Python\.h: install python3-dev'):
        require_tools(lambda module: True, ('cc', 'c++'), tmp_path / 'Python.h')


def test_compilers_are_those_of_the_environment_before_the_usual_ones():
    paths = {'gcc': '/usr/bin/gcc', 'g++': '/usr/bin/g++', 'clang++': '/usr/bin/clang++'}
    assert compilers({}, paths.get) == ('/usr/bin/gcc', '/usr/bin/g++')
    assert compilers({'CXX': 'clang++ -pthread'}, paths.get) == ('/usr/bin/gcc', '/usr/bin/clang++')
    assert compilers({'CC': 'icc'}, paths.get) == (None, '/usr/bin/g++')


def test_a_prefix_that_holds_only_this_package_is_no_ros(tmp_path):
    (tmp_path / 'share' / 'ament_index').mkdir(parents=True)
    assert not has_ros([tmp_path])
    assert has_ros(ros_prefixes())


def test_file_names_follow_rosidl():
    assert [snake_case(n) for n in ('ModelInfo', 'TFMessage', 'Point2D')] == ['model_info', 'tf_message', 'point2_d']


@pytest.mark.parametrize('text, words', [
    ('int99 x', "msg/Odd.msg cannot be read"),
    ('geometry_msgs/Pose pose', 'Odd.msg uses geometry_msgs, expected only std_msgs')])
def test_a_message_that_cannot_be_generated_is_named_in_one_line(tmp_path, text, words):
    (tmp_path / 'msg').mkdir()
    (tmp_path / 'msg' / 'Odd.msg').write_text(text + '\n')
    package = MessagePackage.found_in(tmp_path, 'odd_msgs', ('std_msgs',))
    with pytest.raises(MessageBuildError) as error:
        generate(package, tmp_path / 'out', ros_prefixes())
    assert words in str(error.value) and '\n' not in str(error.value)


def test_a_service_brings_what_ros_itself_puts_into_it_and_is_named_where_it_cannot_be_read(tmp_path):
    (tmp_path / 'srv').mkdir()
    (tmp_path / 'srv' / 'Odd.srv').write_text('int32 x\n')                     # no ---
    package = MessagePackage.found_in(tmp_path, 'odd_srvs', ('std_msgs',))
    assert package.interfaces == ('srv/Odd.srv',) and package.kinds == ['srv']
    assert package.needed(ros_prefixes()) == ('std_msgs', 'service_msgs') and package.needed([tmp_path]) == ('std_msgs',)
    with pytest.raises(MessageBuildError, match='srv/Odd.srv cannot be read'):
        generate(package, tmp_path / 'out', ros_prefixes())
