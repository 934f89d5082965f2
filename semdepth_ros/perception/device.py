"""Where and in what precision a network runs."""
from __future__ import annotations

import logging
from functools import cache

import torch

from semdepth_ros.processor import bfloat16_flag

LOGGER = logging.getLogger('semdepth_ros.perception')
PRECISIONS = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


def choose_device(requested: str = 'auto') -> torch.device:
    """Return the device: 'auto' is the first CUDA device, or the CPU with one warning that says why there is no CUDA.

    :param requested: 'auto', 'cpu', 'cuda' or 'cuda:N'
    :raises ValueError: another name, or a CUDA device that is asked for and not there
    """
    if requested == 'cpu':
        return torch.device('cpu')
    if requested == 'auto':
        reason = why_no_cuda()
        if not reason:
            return torch.device('cuda:0')
        _warn_once(f'running on the CPU instead of CUDA: {reason}')
        return torch.device('cpu')
    kind, _, index = requested.partition(':')
    if kind != 'cuda' or not (index.isdecimal() or requested == 'cuda'):
        raise ValueError(f'device is {requested!r}, expected auto, cpu, cuda or cuda:N')
    reason = why_no_cuda()
    if reason:
        raise ValueError(f'device {requested} is asked for, but {reason}')
    number = int(index or 0)
    if number >= torch.cuda.device_count():
        raise ValueError(f'device {requested} is asked for, but there are {torch.cuda.device_count()} CUDA devices')
    return torch.device('cuda', number)


def why_no_cuda() -> str:
    """Return why CUDA cannot be used, empty where it can."""
    if torch.cuda.is_available():
        return ''
    if torch.version.cuda is None:
        return f'torch {torch.__version__} is built without it'
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().splitlines()[0]
    return f'torch {torch.__version__} finds no CUDA device'


def choose_precision(device: torch.device, requested: str = 'auto') -> torch.dtype:
    """Return the type the network computes in.

    'auto' is float16 on CUDA; on the CPU bfloat16 where the processor multiplies it (avx512_bf16, amx_bf16, or bf16 on
    Arm), else float32.

    :raises ValueError: an unknown precision, or float16 on the CPU, which has no kernels worth having
    """
    if requested == 'auto':
        if device.type == 'cuda':
            return torch.float16
        return torch.bfloat16 if bfloat16_flag() else torch.float32
    if requested not in PRECISIONS:
        raise ValueError(f'precision is {requested!r}, expected auto or one of {sorted(PRECISIONS)}')
    if device.type == 'cpu' and requested == 'float16':
        raise ValueError('precision is float16 on the CPU, expected float32 or bfloat16')
    return PRECISIONS[requested]


@cache
def _warn_once(message: str) -> None:
    LOGGER.warning(message)
