"""Perceive and learn: `ros2 launch semdepth_ros adaptation.launch.py camera:=/camera/image_raw odometry:=/odom mode:=on`."""
import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node
from semdepth_ros.bridge.middleware import PROFILE_VARIABLES, with_large_messages
from semdepth_ros.live.launching import ended_with_launch, expect_program, is_true, node_program, player_command

SHARE = Path(os.path.abspath(__file__)).parents[1]
ARGUMENTS = (
    ('camera', 'image', 'image topic, raw or .../compressed; its camera_info is the one beside it'),
    ('odometry', 'odometry', 'nav_msgs/Odometry of the base; without, images alone tell how the camera moves'),
    ('mode', 'shadow', 'shadow: learn and report; on: serve what has proved better; off'),
    ('model', 'default', 'model file of both nodes'),
    ('camera_in_base', '', "pose of the camera in odometry's child frame, x y z qx qy qz qw; empty: from TF"),
    ('weights_dir', '', 'folder of promoted weights; empty: $ROS_HOME/semdepth_ros/weights'),
    ('params_file', str(SHARE / 'config' / 'adaptation.yaml'), 'parameters of the adaptation node'),
    ('perception_params_file', str(SHARE / 'config' / 'perception.yaml'), 'parameters of the perception node'),
    ('compare', '', 'a second perception that goes on with the model as it is, its outputs below frozen/; empty: as rviz'),
    ('rviz', 'false', 'show image, depth by the frozen and by the served weights, and the cloud in RViz'),
    ('bagfile', '', 'play this bag as the camera'),
    ('use_sim_time', '', 'true: time comes from /clock; empty: true with a bagfile'),
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
    for name in ('params_file', 'perception_params_file'):
        if not os.path.isfile(given[name]):
            raise ValueError(f'{name} is {given[name]!r}, expected a file')
    if given['bagfile'] and not os.path.exists(given['bagfile']):
        raise ValueError(f'bagfile is {given["bagfile"]!r}, expected one that exists')
    if given['mode'] not in ('off', 'shadow', 'on'):
        raise ValueError(f'mode is {given["mode"]!r}, expected off, shadow or on')
    if is_true(given['rviz']):
        expect_program('rviz2', 'rviz2', 'rviz:=true')
    image = given['camera'].removesuffix('/compressed')
    both = {'use_sim_time': is_true(given['use_sim_time'] or str(bool(given['bagfile']))), 'model': given['model'],
            'weights_dir': given['weights_dir'],
            **({'image_transport': 'compressed'} if image != given['camera'] else {})}
    camera = [('image', image), ('camera_info', '/'.join([*image.split('/')[:-1], 'camera_info'])),
              ('odometry', given['odometry'])]
    actions = [
        Node(**node_program(SHARE, 'perception'), name='perception', output='screen', remappings=camera,
             parameters=[given['perception_params_file'], both]),
        Node(**node_program(SHARE, 'adaptation'), name='adaptation', output='screen',
             remappings=camera,
             parameters=[given['params_file'], {**both, 'mode': given['mode'],
                                                'camera_in_base': given['camera_in_base']}])]
    if is_true(given['compare'] or given['rviz']):
        # nobody announces weights below frozen/, so it serves the model for good
        actions.append(Node(**node_program(SHARE, 'perception'), name='perception', namespace='frozen', output='screen',
                            remappings=[(name, f'/{topic.lstrip("/")}') for name, topic in camera],
                            parameters=[given['perception_params_file'], both]))
    if given['bagfile']:
        actions.append(ExecuteProcess(cmd=player_command(given['bagfile']), output='screen'))
    if is_true(given['rviz']):
        actions.append(Node(package='rviz2', executable='rviz2', remappings=[('/image', f'/{image.lstrip("/")}')],
                            parameters=[{'use_sim_time': both['use_sim_time']}],
                            arguments=['-d', str(SHARE / 'config' / 'adaptation.rviz')]))
    return [*ended_with_launch(actions), *actions]
