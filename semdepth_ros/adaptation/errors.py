"""What cannot be adapted."""
from semdepth_ros.settings import SettingsError


class AdaptationError(SettingsError):
    """A model, setting or folder that cannot be adapted or learned with; the message is one line."""
