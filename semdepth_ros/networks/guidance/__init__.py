"""How classes may guide depth: one file a method, a row each in table.py."""
from semdepth_ros.networks.guidance.guide import DecoderLevels, Guide, GuidedParts, Semantics
from semdepth_ros.networks.guidance.table import GUIDANCES, Guidance, build_guidance, complete_guidance

__all__ = [
    'DecoderLevels', 'GUIDANCES', 'Guidance', 'Guide', 'GuidedParts', 'Semantics', 'build_guidance', 'complete_guidance',
]
