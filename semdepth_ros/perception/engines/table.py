"""Which engine runs on which device."""
from __future__ import annotations

from semdepth_ros.networks import JointNetwork
from semdepth_ros.perception.engines.engine import Engine
from semdepth_ros.perception.engines.folded import FoldedEngine

# Of those that know a device the first one runs on it.
ENGINES: dict[str, type[Engine]] = {'folded': FoldedEngine}


def make_engine(network: JointNetwork, device: str = 'auto', precision: str = 'auto') -> Engine:
    """Return an engine that runs a network on a device.

    :param network: in evaluation mode, on the CPU; it is not changed
    :raises ValueError: no engine knows the device, it is not there, or it does not compute in this precision
    """
    kind = device.partition(':')[0]
    for engine in ENGINES.values():
        if kind in engine.devices:
            return engine.on(network, device, precision)
    known = dict.fromkeys(kind for engine in ENGINES.values() for kind in engine.devices)
    raise ValueError(f'device is {device!r}, expected one of {", ".join(known)}, or one of several such as cuda:1')
