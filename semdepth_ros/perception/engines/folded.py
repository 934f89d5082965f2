"""The network made fast: folded, in the device's best precision and layout, its weights replaceable while it stands."""
from __future__ import annotations

from collections import OrderedDict
import copy

import torch
from torch import Tensor, nn

from semdepth_ros.networks import JointNetwork, Prediction, fold_batch_norm
from semdepth_ros.perception.device import LOGGER, choose_device, choose_precision
from semdepth_ros.perception.engines.engine import IN_PLACE, REPLACED
from semdepth_ros.perception.engines.packed_convolution import SingleConvolution, pack_convolutions

_SIZES = 8   # of inputs that stay packed
_CUDA_BATCH = 8
_CPU_BATCH, _CPU_BATCH_PIXELS = 4, 4 * 320 * 96  # larger images gain little together: docs/PERFORMANCE.md
_SCALES = 2  # the second disparity is what sigma is made from


class FoldedEngine:
    """Batch normalisation folded, channels last, half precision where it pays; on the CPU with packed convolutions.

    The image is normalised in float32, and disparities come from heads that stay in it.

    :param network: on the CPU, float32; it is copied
    :param largest_batch: how many images it is said to run well together; None for what was measured on such devices
    """

    devices = ('auto', 'cpu', 'cuda')

    def __init__(self, network: JointNetwork, device: torch.device, dtype: torch.dtype,
                 largest_batch: int | None = None):
        on_cuda = device.type == 'cuda'
        self.tensor_device, self.dtype = device, dtype
        self.device, self.precision = str(device), str(dtype).removeprefix('torch.')
        self._largest_batch = largest_batch
        self.capturable, self.exchange = on_cuda, IN_PLACE if on_cuda else REPLACED
        self._network = _prepared(network, device, dtype)
        self._packed: OrderedDict[tuple[int, int], JointNetwork] = OrderedDict()

    @classmethod
    def on(cls, network: JointNetwork, device: str, precision: str) -> FoldedEngine:
        """Return an engine on 'auto', 'cpu', 'cuda' or 'cuda:N'.

        :raises ValueError: as choose_device and choose_precision have it
        """
        where = choose_device(device)
        return cls(network, where, choose_precision(where, precision))

    def largest_batch(self, width: int, height: int) -> int:
        """Return how many images of this size [px] run in clearly less time together than one after the other."""
        if self._largest_batch:
            return self._largest_batch
        if self.capturable:
            return _CUDA_BATCH
        return max(1, min(_CPU_BATCH, _CPU_BATCH_PIXELS // (width * height)))

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Prediction:
        """Return disparities of two scales (float32) and class scores of rgb images [B, 3, H, W], float32 in 0..1."""
        network = self._network if self.exchange == IN_PLACE else self._packed_for(tuple(images.shape[2:]))
        return network(images.to(self.tensor_device, torch.float32))

    def twin(self, network: JointNetwork) -> FoldedEngine:
        """Return an engine of the same kind with this network's weights, ready for the same sizes."""
        twin = FoldedEngine(network, self.tensor_device, self.dtype, self._largest_batch)
        for size in list(self._packed):
            twin._packed_for(size)
        return twin

    @torch.inference_mode()
    def take(self, twin: FoldedEngine) -> None:
        """Replace all weights by those of a twin; on CUDA where they lie, since captured graphs read them there."""
        if self.exchange == REPLACED:
            self._network, self._packed = twin._network, twin._packed
            return
        for mine, theirs in zip(self._network.state_dict().values(), twin._network.state_dict().values(), strict=True):
            mine.copy_(theirs)
        torch.cuda.synchronize(self.tensor_device)

    def _packed_for(self, size: tuple[int, int]) -> JointNetwork:
        """Return the network packed for images of this height and width, however many are run together.

        Packed for others it can take thrice as long.
        """
        if size not in self._packed:
            self._packed[size] = _packed(self._network, torch.zeros(1, 3, *size))
            while len(self._packed) > _SIZES:
                self._packed.popitem(last=False)
        self._packed.move_to_end(size)
        return self._packed[size]


@torch.inference_mode(False)
def _packed(network: JointNetwork, example: Tensor) -> JointNetwork:
    packed = copy.deepcopy(network)
    heads = packed.depth_decoder.heads
    for i, head in enumerate(heads):
        if head.out_channels == 1:
            heads[i] = SingleConvolution(head)
    try:
        pack_convolutions(packed, example)
    except (RuntimeError, AttributeError) as error:
        LOGGER.warning('running plain convolutions instead of packed ones: %s', str(error).strip().splitlines()[0])
        return network
    return packed


def _prepared(network: JointNetwork, device: torch.device, dtype: torch.dtype) -> JointNetwork:
    network = fold_batch_norm(network)
    network.pose_network = nn.Identity()
    network.returned_scales = _SCALES
    network = network.to(device, dtype, memory_format=torch.channels_last)
    network.normalisation.register_forward_hook(
        lambda module, inputs, image: image.to(dtype, memory_format=torch.channels_last))
    return network
