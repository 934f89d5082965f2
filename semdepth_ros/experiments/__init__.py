"""Declared experiments: arms trained under an equal budget, measured in the same towns, and judged."""
from semdepth_ros.experiments.arm_filter import ArmFilter
from semdepth_ros.experiments.declaration import (Arm, Experiment, FleetOfDrives, Hypothesis, Start, Towns,
                                                  TrainingData)
from semdepth_ros.experiments.declaration_file import known_experiments, read_experiment

__all__ = ['Arm', 'ArmFilter', 'Experiment', 'FleetOfDrives', 'Hypothesis', 'Start', 'Towns', 'TrainingData',
           'known_experiments', 'read_experiment']
