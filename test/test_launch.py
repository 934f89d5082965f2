"""The launch file and the configurations of RViz and Nav2, held against the node as it runs."""
import ast
import importlib.util
import json
import os
from pathlib import Path
import shutil
import signal
import sys
import time

import pytest
import yaml

from random_model import write_random_model
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.bridge.perception_parameters import PERCEPTION
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.live.launching import expect_program, given_parameters, log_level, node_program
from semdepth_ros.recordings.sequence_bag import write_sequence_bag

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ROOT / 'launch' / 'perception.launch.py'
EVALUATION = ROOT / 'launch' / 'evaluation.launch.py'
ADAPTATION = ROOT / 'launch' / 'adaptation.launch.py'
RVIZ_TYPES = {'rviz_default_plugins/Image': 'sensor_msgs/msg/Image',
              'rviz_default_plugins/PointCloud2': 'sensor_msgs/msg/PointCloud2'}
LAUNCHER = '''
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService(noninteractive=True)
arguments = [tuple(a.split(":=", 1)) for a in sys.argv[2:]]
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)]))
sys.exit(service.run())
'''


def rviz_displays(file='semdepth.rviz'):
    """Return (class, topic, quality) of every display that has a topic."""
    config = yaml.safe_load((ROOT / 'config' / file).read_text())
    displays = [d for d in config['Visualization Manager']['Displays'] if 'Topic' in d]
    return [(d['Class'], d['Topic']['Value'], d['Topic']) for d in displays]


def nav2_layers():
    """Return the parameters of the local costmap."""
    config = yaml.safe_load((ROOT / 'config' / 'nav2_costmap.yaml').read_text())
    return config['local_costmap']['local_costmap']['ros__parameters']


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp('model') / 'random.safetensors')


def test_the_launch_file_compiles_and_its_arguments_are_those_it_promises():
    tree = ast.parse(LAUNCH.read_text(), str(LAUNCH))
    compile(tree, str(LAUNCH), 'exec')
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == 'ARGUMENTS')
    names = [row.elts[0].value for row in table.elts]
    assert names == ['camera', 'cameras', 'model', 'stride', 'scale_source', 'camera_height_m', 'odometry', 'params_file',
                     'namespace', 'name', 'log_level', 'rviz', 'bagfile', 'use_sim_time', 'autostart']


def test_every_class_has_one_cost_in_the_semantic_layer():
    camera = nav2_layers()['semantic_layer']['camera']
    listed = [name for kind in camera['class_types'] for name in camera[kind]['classes']]
    assert sorted(listed) == sorted(c.name for c in CITYSCAPES)
    assert (camera['drivable']['base_cost'], camera['drivable']['max_cost']) == (0, 0)
    assert set(nav2_layers()['plugins']) <= set(nav2_layers())


def test_rviz_shows_image_depth_overlay_and_cloud():
    assert {topic for _, topic, _ in rviz_displays()} == {'/image', '/depth/image', '/semantic_color/image', '/points'}
    for kind, topic, _ in rviz_displays():
        if topic != '/image':
            assert RVIZ_TYPES[kind] == TOPICS[topic[1:]]


def test_rviz_shows_depth_before_and_after_and_a_second_perception_makes_that_before():
    shown = {topic: kind for kind, topic, _ in rviz_displays('adaptation.rviz')}
    assert set(shown) == {'/image', '/depth/image', '/frozen/depth/image', '/points', '/frozen/points', '/semantic_color/image'}
    for topic, kind in shown.items():
        if topic != '/image':
            assert RVIZ_TYPES[kind] == TOPICS[topic.removeprefix('/frozen')[1:]]
    tree = ast.parse(ADAPTATION.read_text(), str(ADAPTATION))
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == 'ARGUMENTS')
    names = [row.elts[0].value for row in table.elts]
    assert names == ['camera', 'odometry', 'mode', 'model', 'camera_in_base', 'weights_dir', 'params_file',
                     'perception_params_file', 'compare', 'rviz', 'bagfile', 'use_sim_time']


def test_the_page_on_nav2_names_real_parameters():
    page = (ROOT / 'docs' / 'NAV2.md').read_text()
    for name in ('stride', 'cloud_max_range_m', 'min_confidence', 'base_frame'):
        assert f'`{name}' in page and name in {p.name for p in PERCEPTION}


def test_rviz_and_nav2_find_their_topics_on_the_live_graph(overlays, model, processes):
    pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
    from ros_graph import Graph, wait_until
    camera = nav2_layers()['semantic_layer']['camera']
    expected = {topic: (RVIZ_TYPES[kind], quality['Reliability Policy'], quality['Durability Policy'])
                for kind, topic, quality in rviz_displays() if topic != '/image'}
    nav2 = {camera['segmentation_topic']: 'sensor_msgs/msg/Image', camera['confidence_topic']: 'sensor_msgs/msg/Image',
            camera['pointcloud_topic']: 'sensor_msgs/msg/PointCloud2',
            nav2_layers()['voxel_layer']['camera']['topic']: 'sensor_msgs/msg/PointCloud2'}
    expected |= {topic: (kind, 'Best Effort', 'Volatile') for topic, kind in nav2.items()}
    expected[camera['labels_topic']] = ('vision_msgs/msg/LabelInfo', 'Reliable', 'Transient Local')
    child = processes.python('-m', 'semdepth_ros.nodes.perception', '--ros-args', '-p', f'model:={model}', env=overlays)
    graph = Graph()
    try:
        node = graph.node('looker')
        child.wait_for('active', 60)
        for topic, (kind, reliability, durability) in expected.items():
            found = wait_until(lambda: node.get_publishers_info_by_topic(topic), 20, topic)
            asked = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper().replace(' ', '_')],
                               durability=DurabilityPolicy[durability.upper().replace(' ', '_')])
            assert [p.topic_type for p in found] == [kind], topic
            assert qos_check_compatible(found[0].qos_profile, asked)[0] != QoSCompatibility.ERROR, topic
    finally:
        graph.close()


def launched(processes, *arguments, file=LAUNCH):
    for package in ('launch', 'launch_ros'):
        pytest.importorskip(package, reason='launch comes with a ROS installation, not from PyPI')
    return processes.python('-c', LAUNCHER, file, *arguments, env={'ROS_LOG_DIR': str(processes.folder)})


def test_the_launch_file_perceives_a_bag(model, tmp_path, processes):
    from plane_world import Corridor
    write_sequence_bag(tmp_path / 'drive.mcap', Corridor(30))
    child = launched(processes, f'bagfile:={tmp_path / "drive.mcap"}', f'model:={model}')
    from ros_graph import Graph, wait_until
    from sensor_msgs.msg import Image
    graph, seen = Graph(), []
    try:
        graph.node('looker').create_subscription(Image, '/depth/image', seen.append, 10)
        wait_until(lambda: seen, 90, child.output)
    finally:
        graph.close()
    assert (seen[0].encoding, seen[0].width, seen[0].height) == ('32FC1', 96, 64)
    child.interrupt()
    assert child.wait() in (0, 1) and 'Traceback' not in child.output


def test_the_launch_file_of_the_evaluation_ends_with_a_report_on_the_bag(model, tmp_path, processes):
    from plane_world import Corridor
    write_sequence_bag(tmp_path / 'drive.mcap', Corridor(20))
    child = launched(processes, f'bagfile:={tmp_path / "drive.mcap"}', f'model:={model}', f'report_dir:={tmp_path / "out"}',
                     file=EVALUATION)
    assert child.wait(120.0) == 0 and 'Traceback' not in child.output
    result = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert result['frames_perceived'] >= 15 and 'unscaled' in result['sequences'][0]['depth']
    assert (tmp_path / 'out' / 'report.html').is_file()


def test_the_launch_file_of_the_evaluation_wants_a_bag(processes):
    child = launched(processes, 'bagfile:=/nowhere.mcap', file=EVALUATION)
    assert child.wait() != 0 and "bagfile is '/nowhere.mcap', expected one that exists" in child.output


def test_the_launch_file_of_the_adaptation_learns_beside_perception(model, tmp_path, processes):
    from plane_world import Corridor
    write_sequence_bag(tmp_path / 'drive.mcap', Corridor(30))
    child = launched(processes, f'bagfile:={tmp_path / "drive.mcap"}', f'model:={model}', 'mode:=on',
                     f'weights_dir:={tmp_path / "weights"}', file=ADAPTATION)
    from ros_graph import Graph, wait_until
    from semdepth_ros.msg import AdaptationStatus
    graph, seen = Graph(), []
    try:
        graph.node('looker').create_subscription(AdaptationStatus, '/adaptation/status', seen.append, 10)
        wait_until(lambda: seen and seen[-1].frames_seen > 3, 90, child.output)
    finally:
        graph.close()
    assert seen[-1].served_version == 0 and seen[-1].state in range(7)
    child.interrupt()
    assert child.wait() in (0, 1) and 'Traceback' not in child.output


@pytest.mark.parametrize('argument, words', [('mode:=perhaps', "mode is 'perhaps', expected off, shadow or on"),
                                             ('bagfile:=/nowhere.mcap', "bagfile is '/nowhere.mcap'")])
def test_the_launch_file_of_the_adaptation_refuses_what_cannot_be(processes, argument, words):
    child = launched(processes, argument, file=ADAPTATION)
    assert child.wait() != 0 and words in child.output and 'process started' not in child.output


def test_the_launch_file_remaps_the_camera_and_hands_parameters_on(model, processes):
    child = launched(processes, 'camera:=/front/color/image_raw/compressed', f'model:={model}', 'use_sim_time:=true')
    from rclpy.parameter_client import AsyncParameterClient
    from ros_graph import Graph, wait_until
    child.wait_for('active: perceives /front/color/image_raw/compressed', 60)
    graph = Graph()
    try:
        client = AsyncParameterClient(graph.node('asker'), '/perception')
        assert client.wait_for_services(20.0)
        answer = client.get_parameters(['use_sim_time', 'image_transport', 'model'])
        wait_until(answer.done, 20)
        sim_time, transport, used = answer.result().values
        assert sim_time.bool_value and (transport.string_value, used.string_value) == ('compressed', str(model))
    finally:
        graph.close()


@pytest.mark.parametrize('argument, words', [
    ('rviz:=perhaps', "launch argument is 'perhaps', expected true or false"),
    ('params_file:=/nowhere.yaml', "params_file is '/nowhere.yaml', expected a file"),
    ('bagfile:=/nowhere.mcap', "bagfile is '/nowhere.mcap', expected one that exists"),
    ('stride:=0', 'stride is 0, expected 1 to 16'),
    ('rviz:=true', 'rviz:=true needs rviz2, which is not installed; nothing has been started')])
def test_the_launch_file_refuses_what_cannot_be(processes, argument, words):
    if argument == 'rviz:=true' and shutil.which('rviz2'):
        return  # it is, here
    child = launched(processes, argument)
    assert child.wait() != 0
    assert words in child.output and 'process started' not in child.output


def test_the_launch_file_leaves_the_start_to_a_manager(model, processes):
    child = launched(processes, 'autostart:=false', f'model:={model}')
    from lifecycle_msgs.srv import GetState
    from ros_graph import Graph, wait_until
    graph = Graph()
    try:
        client = graph.node('manager').create_client(GetState, '/perception/get_state')
        assert client.wait_for_service(60.0)
        time.sleep(1.0)
        answer = client.call_async(GetState.Request())
        wait_until(answer.done, 20)
        assert answer.result().current_state.label == 'unconfigured'
    finally:
        graph.close()


def launch_module(path):
    """Return a launch file as a module."""
    pytest.importorskip('launch_ros', reason='launch comes with a ROS installation, not from PyPI')
    spec = importlib.util.spec_from_file_location('perception_launch', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('link', [False, True], ids=['copied', 'symlinked'])
def test_the_launch_file_finds_the_program_that_colcon_installed_beside_it(tmp_path, link):
    share, program = tmp_path / 'share' / 'semdepth_ros', tmp_path / 'lib' / 'semdepth_ros' / 'perception'
    for path in (share / 'launch' / LAUNCH.name, program):
        path.parent.mkdir(parents=True)
    program.touch()
    (os.symlink if link else shutil.copy)(LAUNCH, share / 'launch' / LAUNCH.name)
    module = launch_module(share / 'launch' / LAUNCH.name)
    assert module.SHARE == share
    assert node_program(module.SHARE, 'perception') == {'package': 'semdepth_ros', 'executable': 'perception'}


def test_a_node_that_pip_installed_is_started_as_a_module(tmp_path):
    share = tmp_path / 'share' / 'semdepth_ros'
    expected = {'executable': sys.executable, 'arguments': ['-m', 'semdepth_ros.nodes.start', 'evaluation']}
    assert node_program(share, 'evaluation') == expected
    (tmp_path / 'lib' / 'semdepth_ros').mkdir(parents=True)
    (tmp_path / 'lib' / 'semdepth_ros' / 'evaluation').touch()
    assert node_program(share, 'evaluation') == {'package': 'semdepth_ros', 'executable': 'evaluation'}


@pytest.fixture
def rviz_installed(tmp_path, monkeypatch):
    """Install a program of rviz2's name for ROS to find."""
    program = tmp_path / 'ros' / 'lib' / 'rviz2' / 'rviz2'
    marker = tmp_path / 'ros' / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'rviz2'
    for path in (program, marker):
        path.parent.mkdir(parents=True)
        path.touch(0o755)
    prefixes = [str(tmp_path / 'ros'), *filter(None, [os.environ.get('AMENT_PREFIX_PATH')])]
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(prefixes))


def started(file=LAUNCH, **given):
    """Return what the launch file would start with these arguments: the remappings and commands of its programs."""
    module = launch_module(file)
    from launch import LaunchContext
    from launch_ros.actions import Node
    context = LaunchContext()
    context.launch_configurations.update({name: value for name, value, _ in module.ARGUMENTS}, **given)
    nodes = [action for action in module.start(context) if isinstance(action, Node)]
    for node in nodes:
        node._perform_substitutions(context)
    return nodes


def test_rviz_shows_the_camera_that_was_named(rviz_installed):
    for shown in started(camera='/front/image_raw/compressed', rviz='true'):
        remapped = dict(shown.expanded_remapping_rules)
        assert remapped.get('image', remapped.get('/image')) == '/front/image_raw'
    assert '/image' in {topic for _, topic, _ in rviz_displays()}


def test_rviz_shows_the_first_camera_of_the_namespace(rviz_installed):
    node, rviz = started(namespace='robot', name='eyes', cameras='front,left', camera='image_raw', rviz='true')
    remapped = dict(rviz.expanded_remapping_rules)
    for topic in ('/depth/image', '/semantic_color/image', '/points'):
        assert remapped[topic] == f'/robot/front{topic}'
    assert remapped['/image'] == '/robot/front/image_raw'
    assert ('odometry', 'odometry') in node.expanded_remapping_rules
    assert ('left/camera_info', 'left/camera_info') in node.expanded_remapping_rules
    assert ('left/image', 'left/image_raw') in node.expanded_remapping_rules and node.node_name == '/robot/eyes'


def test_the_launch_file_of_the_adaptation_shows_frozen_weights_beside_the_served_ones(rviz_installed):
    assert len(started(ADAPTATION)) == 2 and len(started(ADAPTATION, compare='true')) == 3
    perception, _, frozen, rviz = started(ADAPTATION, rviz='true', camera='front/image_raw')
    assert perception.node_name.endswith('/perception') and frozen.node_name == '/frozen/perception'
    assert dict(frozen.expanded_remapping_rules) == {'image': '/front/image_raw', 'camera_info': '/front/camera_info',
                                                      'odometry': '/odometry'}
    assert dict(rviz.expanded_remapping_rules) == {'/image': '/front/image_raw'}
    assert len(started(ADAPTATION, rviz='true', compare='false')) == 3


def test_launch_arguments_become_parameters_of_their_type():
    given = {'stride': '4', 'camera_height_m': '2', 'cameras': '[front, left/wide]', 'autostart': 'False', 'model': '',
             'scale_source': 'camera_height', 'camera': '/image'}
    assert given_parameters(PERCEPTION, given) == {
        'stride': 4, 'camera_height_m': 2.0, 'cameras': ['front', 'left/wide'], 'autostart': False,
        'scale_source': 'camera_height'}
    for name, value, words in (('stride', 'two', "stride is 'two', expected a whole number"), ('stride', '99', '1 to 16'),
                               ('cameras', '/front', 'different names'), ('camera_height_m', 'nan', 'finite')):
        with pytest.raises(ValueError, match=words):
            given_parameters(PERCEPTION, {name: value})


def test_a_log_level_is_one_that_ros_has():
    assert [log_level(text) for text in ('', 'debug', 'eyes:=WARN')] == [
        [], ['--log-level', 'debug'], ['--log-level', 'eyes:=WARN']]
    with pytest.raises(ValueError, match="log_level is 'eyes:=loud', expected one of debug, info"):
        log_level('eyes:=loud')


def test_a_program_that_is_not_installed_is_missed_before_anything_is_started(rviz_installed, monkeypatch):
    pytest.importorskip('ament_index_python', reason='no ROS 2 in this environment')
    expect_program('rviz2', 'rviz2', 'rviz:=true')
    with pytest.raises(ValueError, match='viewer:=true needs no_such_viewer, which is not installed; nothing has been'):
        expect_program('no_such_viewer', 'viewer', 'viewer:=true')


def test_a_terminated_launch_leaves_no_node(model, processes):
    child = launched(processes, f'model:={model}')
    child.wait_for('active: perceives', 60)
    pid = int(child.wait_for('process started with pid').split('[')[-1].rstrip(']\n'))
    child.process.send_signal(signal.SIGTERM)
    assert child.wait() == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_launch_file_hands_name_namespace_and_parameters_on(model, processes):
    child = launched(processes, f'model:={model}', 'namespace:=robot', 'name:=eyes', 'stride:=2', 'log_level:=eyes:=debug')
    child.wait_for('[robot.eyes]: active: perceives /robot/image', 60)
