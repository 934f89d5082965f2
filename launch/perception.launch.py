"""Perceive one camera: `ros2 launch semdepth_ros perception.launch.py camera:=/camera/image_raw rviz:=true`."""
import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node
from semdepth_ros.bridge.middleware import PROFILE_VARIABLES, with_large_messages
from semdepth_ros.live.launching import is_true, node_program, player_command

# Of the installation or the source tree: config/ beside launch/. colcon's --symlink-install links to files, not folders.
SHARE = Path(os.path.abspath(__file__)).parents[1]
ARGUMENTS = (  # these are the ones to change; everything else is in config/perception.yaml
    ('camera', 'image', 'image topic, raw or .../compressed; its camera_info is the one beside it'),
    ('model', '', 'model file; empty: as params_file says'),
    ('params_file', str(SHARE / 'config' / 'perception.yaml'), 'parameters of the node'),
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
    if not os.path.isfile(given['params_file']):
        raise ValueError(f'params_file is {given["params_file"]!r}, expected a file')
    chosen = {**sim_time, **({'model': given['model']} if given['model'] else {}),
              **({'autostart': is_true(given['autostart'])} if given['autostart'] else {}),
              **({'image_transport': 'compressed'} if image != given['camera'] else {})}
    actions = [Node(
        **node_program(SHARE, 'perception'), name='perception', output='screen',
        parameters=[given['params_file'], chosen],
        remappings=[('image', image), ('camera_info', '/'.join([*image.split('/')[:-1], 'camera_info']))])]
    if given['bagfile']:
        actions.append(ExecuteProcess(cmd=player_command(given['bagfile']), output='screen'))
    if is_true(given['rviz']):
        actions.append(Node(package='rviz2', executable='rviz2', parameters=[sim_time], remappings=[('image', image)],
                            arguments=['-d', str(SHARE / 'config' / 'semdepth.rviz')]))
    return actions
