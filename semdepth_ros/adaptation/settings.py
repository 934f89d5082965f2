"""Everything that decides what the learner does, with its start values."""
from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from semdepth_ros.adaptation.terms import AdaptationLosses
from semdepth_ros.settings import between, one_of, positive

MODES = ('off', 'shadow', 'on')
PROFILES = ('depth', 'low_rank', 'batch_norm', 'all')
ANCHORS = ('auto', 'world', 'stored', 'none')
SERVING = ('promoted', 'latest')
MOTIONS = ('reference', 'network')
# gates that may be turned off: those of the table in gates.py, and the one that looks at a step's loss
GATE_NAMES = ('stamps', 'exposure', 'texture', 'tracks', 'translation', 'parallax', 'movable', 'motion', 'rotation', 'odometry',
              'auto_mask', 'loss')


@dataclass(frozen=True)
class Gates:
    """What a triplet must be to be learned from. A gate named in `off` is always open.

    :param least_travel_m, most_travel_m: of each pair, by odometry
    :param least_flow_px: median way of tracked points, where there is no odometry [px of the input]
    :param least_parallax_px: median way of tracked points that no turn explains, of each pair
    :param most_turn_deg: of each pair
    :param stamp_irregularity: by how much the two intervals may differ, of the shorter one
    :param least_mean, most_mean: of grey, 0 to 255
    :param least_deviation: of grey
    :param most_saturated: share of pixels that are black or white
    :param least_texture: share of pixels whose gradient is above texture_step
    :param texture_step: [grey levels]
    :param least_sharpness: variance of the Laplacian
    :param least_found: share of corners that are found again, and least_tracks, how many
    :param least_inliers: share of tracks that one motion explains
    :param most_movable: share of pixels of movable classes
    :param most_direction_deg: between the translations of odometry and of tracked points
    :param length_ratio: of these two lengths, once the scale is taken out
    :param least_survivors: share of pixels that the motion explains better than standing still
    :param most_deviations: of the loss from its running mean
    :param loss_memory: over how many steps that mean reaches
    :param off: names of gates that are not asked
    """

    least_travel_m: float = 0.2
    most_travel_m: float = 3.0
    least_flow_px: float = 1.0
    least_parallax_px: float = 0.5
    most_turn_deg: float = 5.0
    stamp_irregularity: float = 0.3
    least_mean: float = 8.0
    most_mean: float = 240.0
    least_deviation: float = 6.0
    most_saturated: float = 0.5
    least_texture: float = 0.05
    texture_step: float = 4.0
    least_sharpness: float = 10.0
    least_found: float = 0.3
    least_tracks: int = 30
    least_inliers: float = 0.5
    most_movable: float = 0.4
    most_direction_deg: float = 15.0
    length_ratio: tuple[float, float] = (0.7, 1.4)
    least_survivors: float = 0.2
    most_deviations: float = 3.0
    loss_memory: int = 50
    off: tuple[str, ...] = ()

    def __post_init__(self):
        between(self, 0, math.inf, *(f.name for f in fields(self) if f.name not in ('length_ratio', 'off')))
        for name in self.off:
            one_of('off', name, GATE_NAMES)


@dataclass(frozen=True)
class Stride:
    """How far apart the frames of a triplet are: farther where the camera hardly moves from one to the next.

    :param most: frames from one to the next at most; 1 looks at every frame
    :param longest_s: from one to the next at most
    :param aim: how far they are to be apart then, over the least that the gates `translation` and `parallax` ask for
    """

    most: int = 8
    longest_s: float = 0.4
    aim: float = 1.5

    def __post_init__(self):
        between(self, 1, 100, 'most')
        between(self, 1, 10, 'aim')
        positive('longest_s', self.longest_s)


@dataclass(frozen=True)
class Step:
    """How the trial weights move.

    :param profile: which weights are trained, see profiles.py
    :param rank: of the low-rank profile
    :param learning_rate: of Adam
    :param warmup: steps over which it rises, whenever the optimiser begins anew
    :param encoder_rate: share of it for the encoder, where that is trained
    :param steps: gradient steps for each accepted triplet
    :param replay, anchors: triplets of either kind beside the live one
    :param scales: of disparity that are learned from
    :param clip_norm: largest norm of the gradient
    :param average: decay of the averaged weights that are the candidate
    :param most_change: largest change of a tensor, relative to its norm, from the factory's
    :param least_rms: a tensor counts as having at least this root mean square, so that what is 0 may move
    :param motion: what images are warped by: the `reference` (odometry, tracked points), or the pose `network`'s
    :param anchors_from: frames that hold the weights: the `world`'s, `stored` ones of the drive, `auto` for the world's
        where the factory weights know it, or `none`
    """

    profile: str = 'depth'
    rank: int = 4
    learning_rate: float = 3e-4
    warmup: int = 10
    encoder_rate: float = 0.1
    steps: int = 1
    replay: int = 1
    anchors: int = 1
    scales: int = 2
    clip_norm: float = 5.0
    average: float = 0.98
    most_change: float = 0.05
    least_rms: float = 0.02
    motion: str = 'reference'
    anchors_from: str = 'auto'

    def __post_init__(self):
        one_of('profile', self.profile, PROFILES)
        one_of('motion', self.motion, MOTIONS)
        one_of('anchors_from', self.anchors_from, ANCHORS)
        positive('learning_rate', self.learning_rate)
        between(self, 1, 64, 'rank', 'steps')
        between(self, 0, 64, 'replay', 'anchors')
        between(self, 0, 10_000, 'warmup')
        between(self, 2, 4, 'scales')
        between(self, 0, math.inf, 'clip_norm', 'most_change', 'least_rms', 'encoder_rate')
        between(self, 0, 0.9999, 'average')


@dataclass(frozen=True)
class Memory:
    """What is kept of the drive.

    :param triplets: most that are kept for replay
    :param similar: a triplet whose features are at least as similar to a kept one's is not kept
    :param jpeg_quality: of kept images
    :param anchor_frames: most anchors; the first half is learned from, the other judges: 24 have every light in either
    """

    triplets: int = 100
    similar: float = 0.95
    jpeg_quality: int = 95
    anchor_frames: int = 24

    def __post_init__(self):
        between(self, 0, 10_000, 'triplets', 'anchor_frames')
        between(self, 0, 1, 'similar')
        between(self, 1, 100, 'jpeg_quality')


@dataclass(frozen=True)
class Trial:
    """When and how the candidate is held against the served weights.

    :param serve: `promoted` weights only, or always the `latest`, which the baselines do
    :param period, block: of `period` frames the last `block` are held out
    :param blocks: fresh blocks that a trial takes
    :param steps: accepted steps since the last trial that it takes
    :param most_blocks: kept; the oldest are dropped
    :param level: of the one-sided signed-rank test
    :param least_gain: median relative gain of photometric error
    :param most_forgetting: Abs Rel on anchors, over the factory weights' own
    :param most_log_change: mean |ln depth - ln factory depth| on stored frames, of a model that does not know the world
    :param most_scale_change: of depth and of the road's height, relative to the served weights
    :param least_spread: standard deviation of disparity, relative to the served weights
    :param least_accepted: share of the triplets since the first fresh block that passed all gates
    :param least_agreement, least_class_agreement: of labels with the factory's, where classes can change
    :param promotions_per_hour: most, by the frames' stamps
    :param failures: failed trials in a row after which the trial weights begin anew
    """

    serve: str = 'promoted'
    period: int = 25
    block: int = 5
    blocks: int = 6
    steps: int = 50
    most_blocks: int = 40
    level: float = 0.05
    least_gain: float = 0.005
    most_forgetting: float = 1.02
    most_log_change: float = 0.05
    most_scale_change: float = 0.05
    least_spread: float = 0.5
    least_accepted: float = 0.3
    least_agreement: float = 0.99
    least_class_agreement: float = 0.97
    promotions_per_hour: int = 20
    failures: int = 3

    def __post_init__(self):
        one_of('serve', self.serve, SERVING)
        between(self, 3, self.period, 'block')
        between(self, 1, self.most_blocks, 'blocks')
        between(self, 0, 1, 'level', 'least_gain', 'least_spread', 'least_accepted', 'least_agreement',
                'least_class_agreement')
        between(self, 0, math.inf, 'most_forgetting', 'most_log_change', 'most_scale_change', 'promotions_per_hour')


@dataclass(frozen=True)
class Watch:
    """How promoted weights are watched.

    :param frames: accepted triplets after a promotion
    :param every: of those one in so many is seen by the previous weights too
    :param least: comparisons before anything is decided
    :param level: of the one-sided signed-rank test that the promoted weights are worse
    :param most_loss: median relative loss of photometric error that is borne
    """

    frames: int = 100
    every: int = 10
    least: int = 5
    level: float = 0.05
    most_loss: float = 0.01

    def __post_init__(self):
        between(self, 1, math.inf, 'frames', 'every', 'least')


@dataclass(frozen=True)
class Reset:
    """When the trial weights, and all evidence not yet used, are dropped.

    :param longest_gap_s: between two frames
    :param least_similarity: of consecutive frames' features; less is a cut
    :param least_found: share of a frame's corners that are found in the next; less is a cut
    :param settle: frames after that which are not learned from
    :param spikes: losses in a row beyond the gate after which the optimiser begins anew
    :param pause: frames of a pause then
    :param distrust: frames in a row that a gate of gates.DISTRUSTED has turned away, after which the evidence collected
        before is dropped: it does not speak for what comes after
    :param disagreements: frames in a row on which odometry contradicts the images, after which its scale is sought anew
    :param scale_frames: pairs of frames that tell the scale of odometry before anything is learned
    """

    longest_gap_s: float = 1.0
    least_similarity: float = 0.87
    least_found: float = 0.15
    settle: int = 10
    spikes: int = 3
    pause: int = 20
    distrust: int = 10
    disagreements: int = 150
    scale_frames: int = 8

    def __post_init__(self):
        between(self, 0, math.inf, *(f.name for f in fields(self)))


@dataclass(frozen=True)
class AdapterSettings:
    """All settings of the learner.

    :param mode: `off`; `shadow` learns and reports and never serves; `on`
    :param keep_versions: files of promoted weights that are kept, at least those served and those before them
    """

    mode: str = 'on'
    gates: Gates = Gates()
    stride: Stride = Stride()
    step: Step = Step()
    losses: AdaptationLosses = field(default_factory=AdaptationLosses)
    memory: Memory = Memory()
    trial: Trial = Trial()
    watch: Watch = Watch()
    reset: Reset = Reset()
    keep_versions: int = 5
    seed: int = 0

    def __post_init__(self):
        one_of('mode', self.mode, MODES)
        between(self, 2, 1000, 'keep_versions')
