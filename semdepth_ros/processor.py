"""What the processor can do."""
from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

_BFLOAT16_FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16'}


@cache
def bfloat16_flag() -> str:
    """Return the processor's flag for bfloat16 products, empty where it has none."""
    if not torch.backends.mkldnn.is_available():
        return ''
    try:
        text = Path('/proc/cpuinfo').read_text()
    except OSError:
        return ''
    for line in text.splitlines():
        name, _, flags = line.partition(':')
        if name.strip() in ('flags', 'Features'):
            return next(iter(sorted(_BFLOAT16_FLAGS & set(flags.split()))), '')
    return ''
