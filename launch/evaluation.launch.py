"""Evaluate a model on a bag: `ros2 launch semdepth_ros evaluation.launch.py bagfile:=drive.mcap report_dir:=report`."""
import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import (DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, RegisterEventHandler,
                            SetEnvironmentVariable, Shutdown, TimerAction)
from launch.event_handlers import OnProcessExit
from launch_ros.actions import Node
from semdepth_ros.bridge.middleware import PROFILE_VARIABLES, with_large_messages
from semdepth_ros.live.launching import ended_with_launch, node_program, player_command

SHARE = Path(os.path.abspath(__file__)).parents[1]
ARGUMENTS = (
    ('bagfile', '', 'bag with a camera and its truth; it is played once'),
    ('model', 'default', 'model file'),
    ('camera', 'image', 'image topic, raw or .../compressed; its camera_info is the one beside it'),
    ('truth_depth', 'truth/depth/image', 'topic of true depth images'),
    ('truth_semantic', 'truth/semantic/image', 'topic of true classes'),
    ('lidar', 'lidar/points', 'topic of scans, which count where there is no true depth image'),
    ('lidar_transform', '', "pose of the scanner in the camera's optical frame, x y z qx qy qz qw; empty: from TF"),
    ('report_dir', 'evaluation', 'folder for metrics.json and report.html'),
    ('rate', '1.0', 'speed of playing; less than 1 where this machine cannot keep up'),
    ('params_file', str(SHARE / 'config' / 'evaluation.yaml'), 'parameters of the evaluation node'),
)
LAST_FRAMES_S = 3.0  # after the bag's end
REPORT_S = '60'      # for the report, before a signal that cannot be caught


def generate_launch_description():
    """Return the launch description."""
    environ = with_large_messages(os.environ)
    profiles = [SetEnvironmentVariable(name, environ[name]) for name in PROFILE_VARIABLES if name in environ]
    arguments = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    return LaunchDescription([*profiles, *arguments, OpaqueFunction(function=start)])


def start(context):
    """Return what to start for the arguments as they are."""
    given = {name: context.launch_configurations[name] for name, _, _ in ARGUMENTS}
    for name in ('bagfile', 'params_file'):
        if not os.path.exists(given[name]):
            raise ValueError(f'{name} is {given[name]!r}, expected one that exists')
    image = given['camera'].removesuffix('/compressed')
    transport = {'image_transport': 'raw' if image == given['camera'] else 'compressed', 'use_sim_time': True}
    camera = [('image', image), ('camera_info', '/'.join([*image.split('/')[:-1], 'camera_info']))]
    truth = [('truth/depth/image', given['truth_depth']), ('truth/semantic/image', given['truth_semantic']),
             ('lidar/points', given['lidar'])]
    # As `semdepth evaluate`: what lies beyond a range would count as the farthest depth in figures that are scaled.
    perception = Node(**node_program(SHARE, 'perception'), name='perception', output='screen', remappings=camera,
                      parameters=[{'model': given['model'], 'max_range_m': 1000.0, **transport}])
    evaluation = Node(
        **node_program(SHARE, 'evaluation'), name='evaluation', output='screen', remappings=[*camera, *truth],
        parameters=[given['params_file'], {
            'report_dir': os.path.abspath(given['report_dir']), 'lidar_transform': given['lidar_transform'],
            'name': Path(given['bagfile']).stem, **transport}],
        sigterm_timeout=REPORT_S, sigkill_timeout=REPORT_S)
    player = ExecuteProcess(cmd=player_command(given['bagfile'], float(given['rate'])), output='screen')
    end = TimerAction(period=LAST_FRAMES_S, actions=[Shutdown(reason='the bag is over')])
    return [*ended_with_launch([perception, evaluation, player]), perception, evaluation,
            RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[end])), player]
