"""What an engine says of itself, for those that stand in for a network on the CPU."""
import torch

from semdepth_ros.perception.engines.engine import REPLACED


class StandInEngine:
    """Derive from it and define __call__(images)."""

    devices, device, precision, tensor_device = ('cpu',), 'cpu', 'float32', torch.device('cpu')
    capturable, exchange = False, REPLACED

    def largest_batch(self, width, height):
        return 4
