"""Perceive one camera: `ros2 launch semdepth_ros perception.launch.py camera:=/camera/image_raw rviz:=true`."""
import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node
from semdepth_ros.bridge.middleware import PROFILE_VARIABLES, with_large_messages
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.bridge.perception_parameters import PERCEPTION
from semdepth_ros.live.launching import (ended_with_launch, expect_program, given_parameters, is_true, log_level,
                                         node_program, player_command)

# Of the installation or the source tree: config/ beside launch/. colcon's --symlink-install links to files, not folders.
SHARE = Path(os.path.abspath(__file__)).parents[1]
ARGUMENTS = (  # these are the ones to change; everything else is in config/perception.yaml
    ('camera', 'image', 'image topic, raw or .../compressed; its camera_info is the one beside it. With cameras: the '
                        'name that it has below each of them'),
    ('cameras', '', 'name prefixes of several cameras, such as front,left; empty: as params_file says'),
    ('model', '', 'model file; empty: as params_file says'),
    ('stride', '', 'every how many pixels mask and cloud are sent; empty: as params_file says'),
    ('scale_source', '', 'none, fixed, camera_height, stored or adaptation; empty: as params_file says'),
    ('camera_height_m', '', 'height of the lens above the road [m]; empty: as params_file says'),
    ('odometry', 'odometry', 'nav_msgs/Odometry of the base, listened to while ~/calibrate asks for it'),
    ('params_file', str(SHARE / 'config' / 'perception.yaml'), 'parameters of the node'),
    ('namespace', '', 'namespace of the node and of all its topics'),
    ('name', 'perception', 'name of the node'),
    ('log_level', '', 'debug, info, warn, error or fatal, or such as perception:=debug for the node alone'),
    ('rviz', 'false', 'show image, depth, classes and cloud in RViz'),
    ('bagfile', '', 'play this bag as the camera'),
    ('use_sim_time', '', 'true: time comes from /clock; empty: true with a bagfile'),
    ('autostart', '', 'false: a lifecycle manager configures and activates the node; empty: as params_file says'),
)


def generate_launch_description():
    """Return the launch description."""
    environ = with_large_messages(os.environ)
    profiles = [SetEnvironmentVariable(name, environ[name]) for name in PROFILE_VARIABLES if name in environ]
    arguments = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    return LaunchDescription([*profiles, *arguments, OpaqueFunction(function=start)])


def start(context):
    """Return what to start for the arguments as they are."""
    given = {name: context.launch_configurations[name] for name, _, _ in ARGUMENTS}
    sim_time = {'use_sim_time': is_true(given['use_sim_time'] or str(bool(given['bagfile'])))}
    image = given['camera'].removesuffix('/compressed')
    chosen = {**sim_time, **given_parameters(PERCEPTION, given),
              **({'image_transport': 'compressed'} if image != given['camera'] else {})}
    cameras = chosen.get('cameras', [])
    # what will be started, before anything is
    if not os.path.isfile(given['params_file']):
        raise ValueError(f'params_file is {given["params_file"]!r}, expected a file')
    if given['bagfile'] and not os.path.exists(given['bagfile']):
        raise ValueError(f'bagfile is {given["bagfile"]!r}, expected one that exists')
    if cameras and image.startswith('/'):
        raise ValueError(f'camera is {given["camera"]!r}, expected a name below each of cameras, such as image_raw')
    if is_true(given['rviz']):
        expect_program('rviz2', 'rviz2', 'rviz:=true')

    info = '/'.join([*image.split('/')[:-1], 'camera_info'])
    remapped = [(f'{prefix}{name}', f'{prefix}{topic}') for prefix in [f'{c}/' for c in cameras] or ['']
                for name, topic in (('image', image), ('camera_info', info))] + [('odometry', given['odometry'])]
    actions = [Node(
        **node_program(SHARE, 'perception'), name=given['name'], namespace=given['namespace'], output='screen',
        parameters=[given['params_file'], chosen], remappings=remapped, ros_arguments=log_level(given['log_level']))]
    if given['bagfile']:
        actions.append(ExecuteProcess(cmd=player_command(given['bagfile']), output='screen'))
    if is_true(given['rviz']):
        # its configuration names the topics of one camera without a namespace
        place = '/'.join(['', *filter(None, [given['namespace'].strip('/'), *cameras[:1]]), ''])
        shown = [('/image', image if image.startswith('/') else f'{place}{image}')]
        shown += [(f'/{topic}', f'{place}{topic}') for topic in TOPICS]
        actions.append(Node(package='rviz2', executable='rviz2', parameters=[sim_time], remappings=shown,
                            arguments=['-d', str(SHARE / 'config' / 'semdepth.rviz')]))
    return [*ended_with_launch(actions), *actions]
