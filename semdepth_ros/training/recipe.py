"""A recipe: everything that decides what a training run does."""
from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from semdepth_ros.networks.architecture import least_side
from semdepth_ros.networks.gradient_balance import Balance
from semdepth_ros.settings import SettingsError, between, one_of, positive
from semdepth_ros.training.objective import Losses, terms_of
from semdepth_ros.training.terms import TERMS

LABELS = ('true', 'noisy', 'none')
CACHES = ('ram', 'device', 'none')
PRECISIONS = ('32-true', 'bf16-mixed', '16-mixed')
OPTIMISERS = ('adam', 'adamw')
SCHEDULES = ('cosine', 'steps')
# the longest smear that the kernels of training/effects/sharpness.py hold
MOST_MOTION_PX = 8


class RecipeError(SettingsError):
    """A recipe that cannot be followed; the message is one line."""


@dataclass(frozen=True)
class DataEntry:
    """One source of training or validation frames.

    :param source: what `open_data` takes, or a pattern (`drives/*`) of such paths
    :param weight: how often it is drawn, relative to the others
    :param labels: which labels teach the classes: 'true', 'noisy' or 'none'
    :param strides: frames between a target and its neighbours; one is drawn for every triplet. 0 takes frames without
        neighbours, for terms that look at one frame only
    :param min_distance_m: triplets whose camera moved less to either side, where that is known, are left out
    :param cache: 'ram' reads every frame once at the start; 'device' too, and keeps and cuts them where the network
        trains, which a fast GPU wants; 'none' reads them again every time
    :param filter: a list of flagged images, as `semdepth filter` writes it: they are no targets. None leaves none out
    :param options: further keyword arguments of `open_data`
    """

    source: str
    weight: float = 1.0
    labels: str = 'true'
    strides: tuple[int, ...] = (1,)
    min_distance_m: float = 0.05
    cache: str = 'ram'
    filter: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, 'labels', {True: 'true', False: 'none', None: 'none'}.get(self.labels, self.labels))
        one_of('labels', self.labels, LABELS)
        one_of('cache', self.cache, CACHES)
        positive('weight', self.weight)
        between(self, 0, math.inf, 'min_distance_m')
        if not self.strides or any(stride < 0 for stride in self.strides):
            raise RecipeError(f'strides is {list(self.strides)}, expected frame counts from 0')


@dataclass(frozen=True)
class Optimisation:
    """How the weights move.

    :param optimiser: 'adam' or 'adamw'
    :param learning_rate: at the top of the schedule
    :param schedule: 'cosine' falls along half a cosine; 'steps' falls at milestones
    :param final_fraction: share of the learning rate left at the last step of a cosine
    :param milestones, factor: steps from which on the learning rate is multiplied by factor once more
    :param warmup_steps: linear rise at the start
    :param encoder_rate: share of the learning rate that the encoder learns at
    :param freeze_encoder_norm: whether the encoder's batch normalisation keeps its weights and statistics
    :param clip_norm: largest gradient norm; 0 leaves gradients alone, as long as they are finite
    :param ema: decay of the averaged weights, which are those validated and exported; 0 switches averaging off
    """

    optimiser: str = 'adamw'
    learning_rate: float = 1e-4
    schedule: str = 'cosine'
    final_fraction: float = 0.01
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    warmup_steps: int = 0
    encoder_rate: float = 1.0
    freeze_encoder_norm: bool = False
    weight_decay: float = 1e-2
    clip_norm: float = 0.0
    ema: float = 0.0

    def __post_init__(self):
        one_of('optimiser', self.optimiser, OPTIMISERS)
        positive('learning_rate', self.learning_rate)
        one_of('schedule', self.schedule, SCHEDULES)
        between(self, 0, 1, 'final_fraction', 'factor', 'encoder_rate')
        if (self.schedule == 'steps') != bool(self.milestones) or any(step < 1 for step in self.milestones):
            raise RecipeError(f'milestones is {list(self.milestones)} in the schedule {self.schedule}, expected '
                              f'positive numbers for steps, none for cosine')
        between(self, 0, math.inf, 'warmup_steps', 'weight_decay', 'clip_norm')
        if not 0 <= self.ema < 1:
            raise RecipeError(f'ema is {self.ema}, expected 0 <= ema < 1')


@dataclass(frozen=True)
class Augmentation:
    """What is varied from frame to frame.

    :param flip: probability of mirroring left to right
    :param zoom: smallest share of the widest window that a crop may have, in width; 1 always takes the widest
    :param shift: share of the room around the window that its place is drawn from; 0 stays centred
    :param stretch: largest ratio of the two focal lengths of the network's input
    :param padded: probability that a part of the input is padding, as it is for cameras of another shape
    :param padding: largest share of the width or height that is padding then
    :param colour: probability of the colour changes below
    :param brightness, contrast, saturation: largest relative change
    :param hue: largest turn of the hue, 1 is all the way round
    :param gamma: largest relative change of the exponent
    :param blur: largest share of a 3x3 mean mixed in
    :param noise: largest standard deviation of added noise, image in 0..1
    :param grey: probability of no colour; each of the following is one too, with what it varies by beside it
    :param white_balance: spread is the standard deviation of the channels' ln gain
    :param curve: largest steepness of an S; largest share of the range that turns white; black, a third of it
    :param haze: largest share of an even light grey
    :param shadow: largest change of a band across the image; brighter by up to 0.7 of it
    :param vignetting: largest loss at the corners
    :param exposure: largest change of a triplet, and of a frame beyond it [stops]
    :param defocus: largest standard deviation of a Gaussian [px of the input]
    :param motion_blur: largest length of the smear [px of the input]
    :param sharpening: largest amount added of what a Gaussian takes away
    :param resolution: largest factor that resolution falls by
    :param sensor_noise: largest standard deviation of shot noise on white, of read noise anywhere
    :param jpeg: lowest quality of compression
    :param amplitude_mix: largest share of another picture's Fourier amplitudes
    :param random_convolution: largest share of the convolved image
    """

    flip: float = 0.5
    zoom: float = 1.0
    shift: float = 1.0
    stretch: float = 1.0
    padded: float = 0.0
    padding: float = 0.25
    colour: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.1
    gamma: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    grey: float = 0.0
    white_balance: float = 0.0
    white_balance_spread: float = 0.1
    curve: float = 0.0
    curve_steepness: float = 0.8
    curve_clip: float = 0.3
    haze: float = 0.0
    haze_share: float = 0.4
    shadow: float = 0.0
    shadow_depth: float = 0.6
    vignetting: float = 0.0
    vignetting_corner: float = 0.5
    exposure: float = 0.0
    exposure_stops: float = 0.7
    exposure_jump: float = 0.15
    defocus: float = 0.0
    defocus_px: float = 1.2
    motion_blur: float = 0.0
    motion_px: float = 5.0
    sharpening: float = 0.0
    sharpening_amount: float = 1.5
    resolution: float = 0.0
    resolution_factor: float = 2.0
    sensor_noise: float = 0.0
    shot_noise: float = 0.05
    read_noise: float = 0.02
    jpeg: float = 0.0
    jpeg_quality: float = 30.0
    amplitude_mix: float = 0.0
    amplitude_share: float = 0.5
    random_convolution: float = 0.0
    convolution_share: float = 0.5

    def __post_init__(self):
        if not 0 < self.zoom <= 1:
            raise RecipeError(f'zoom is {self.zoom}, expected 0 < zoom <= 1')
        between(self, 1, 2, 'stretch')
        between(self, 0, 1, 'flip', 'shift', 'padded', 'colour', 'brightness', 'contrast', 'saturation', 'hue',
                'gamma', 'blur', 'noise')
        between(self, 0, 1, 'grey', 'white_balance', 'white_balance_spread', 'curve', 'curve_steepness')
        between(self, 0, 0.4, 'curve_clip')
        between(self, 0, 1, 'haze', 'haze_share', 'shadow', 'shadow_depth', 'vignetting', 'exposure')
        between(self, 0, 0.9, 'vignetting_corner')
        between(self, 0, 3, 'exposure_stops', 'exposure_jump')
        between(self, 0, 1, 'defocus', 'motion_blur', 'sharpening', 'resolution')
        between(self, 0.1, 2, 'defocus_px')
        between(self, 1, MOST_MOTION_PX, 'motion_px')
        between(self, 0, 3, 'sharpening_amount')
        between(self, 1, 4, 'resolution_factor')
        between(self, 0, 1, 'sensor_noise', 'shot_noise', 'read_noise')
        between(self, 0, 1, 'jpeg')
        between(self, 1, 95, 'jpeg_quality')
        between(self, 0, 1, 'amplitude_mix', 'amplitude_share', 'random_convolution', 'convolution_share')
        if not 0 <= self.padding < 1:
            raise RecipeError(f'padding is {self.padding}, expected 0 <= padding < 1')


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run does.

    :param architecture: what `build_network` takes
    :param focal_px: focal length [px] that canonical depth is said for
    :param sizes: network inputs (width, height) [px], multiples of 32, from 64 with Monodepth2's decoders; one is
        drawn for every batch, the first is validated at
    :param scales: how many of the disparity scales are trained
    :param data, validation: the frames; may be given on the command line instead
    :param balance: how the gradients of depth and classes are balanced where the decoders part; None leaves them as
        they are
    :param batch: triplets a step and process
    :param precision: 'bf16-mixed' and '16-mixed' run the network at half width, the losses never
    :param workers: processes that read and crop frames; 0 does it in the loop
    :param validation_frames: at most so many of each validation sequence, evenly spread
    """

    architecture: dict[str, Any]
    focal_px: float
    sizes: tuple[tuple[int, int], ...] = ((640, 192),)
    scales: int = 4
    name: str = 'unnamed'
    data: tuple[DataEntry, ...] = ()
    validation: tuple[DataEntry, ...] = ()
    losses: Losses = Losses()
    optimisation: Optimisation = Optimisation()
    augmentation: Augmentation = Augmentation()
    balance: Balance | None = None
    batch: int = 12
    steps: int = 100_000
    seed: int = 1
    precision: str = '32-true'
    channels_last: bool = True
    workers: int = 0
    log_every: int = 20
    validate_every: int = 2000
    validation_frames: int = 100
    checkpoint_every: int = 1000

    def __post_init__(self):
        one_of('precision', self.precision, PRECISIONS)
        for name in ('focal_px', 'batch', 'steps', 'log_every', 'validate_every', 'checkpoint_every'):
            positive(name, getattr(self, name))
        between(self, 1, 4, 'scales')
        between(self, 0, math.inf, 'seed', 'workers', 'validation_frames')
        self._check_sizes()
        self._check_neighbours()
        for entry in self.validation:
            if entry.filter is not None:
                raise RecipeError(f'validation {entry.source!r} has the filter {entry.filter!r}, which is for data that is '
                                  f'learned from')

    def _check_sizes(self) -> None:
        try:
            least = least_side(self.architecture)
        except ValueError as error:
            raise RecipeError(str(error)) from None
        if not self.sizes:
            raise RecipeError('sizes is [], expected at least one [width, height]')
        for size in self.sizes:
            if len(size) != 2 or any(side < least or side % 32 for side in size):
                raise RecipeError(f'sizes holds {list(size)}, expected [width, height] in multiples of 32 from {least}')

    def _check_neighbours(self) -> None:
        looking = [name for name in terms_of(self.losses) if TERMS[name].neighbours]
        for entry in self.data:
            if 0 in entry.strides and looking:
                raise RecipeError(f'strides of {entry.source!r} is {list(entry.strides)}, expected positive ones where '
                                  f'{" and ".join(looking)} look at neighbours')

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain lists, dicts and numbers: what recipe_from takes, and JSON and YAML can hold."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
