"""Learning from the drive itself: gates, replay memory, trial weights, promotion, rollback, journal."""
from semdepth_ros.adaptation.adapter import Adapter, Observation
from semdepth_ros.adaptation.errors import AdaptationError
from semdepth_ros.adaptation.journal import Journal, read_journal
from semdepth_ros.adaptation.odometry import OdometryTrack, camera_motion
from semdepth_ros.adaptation.settings import AdapterSettings
from semdepth_ros.adaptation.status import GateState, Status, status_of
from semdepth_ros.adaptation.versions import Version, Versions

__all__ = ['AdaptationError', 'Adapter', 'AdapterSettings', 'GateState', 'Journal', 'Observation', 'OdometryTrack',
           'Status', 'Version', 'Versions', 'camera_motion', 'read_journal', 'status_of']
