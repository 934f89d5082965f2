"""The learner: frames in; weights out that have proved better, and a reason for everything."""
from __future__ import annotations

import copy
import os
from collections import Counter, deque
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from semdepth_ros.adaptation.anchors import world_anchors
from semdepth_ros.adaptation.continuity import AGAIN, NEW_CAMERA, break_before, cut_before
from semdepth_ros.adaptation.evidence import Evidence
from semdepth_ros.adaptation.factory import FactoryModel, Seen, predict
from semdepth_ros.adaptation.flicker import Flicker, scale_change
from semdepth_ros.adaptation.gates import DISTRUSTED, GateKeeper, Verdict
from semdepth_ros.adaptation.held_out import HeldOut
from semdepth_ros.adaptation.journal import Journal
from semdepth_ros.adaptation.learner import Learner
from semdepth_ros.adaptation.lessons import Lessons, Render
from semdepth_ros.adaptation.metric_scale import MetricScale
from semdepth_ros.adaptation.network_frame import FrameReader, NetworkFrame
from semdepth_ros.adaptation.odometry_scale import OdometryScale
from semdepth_ros.adaptation.profiles import find_profile
from semdepth_ros.adaptation.serving import Serving
from semdepth_ros.adaptation.settings import AdapterSettings
from semdepth_ros.adaptation.stride import FrameStride, moved
from semdepth_ros.adaptation.trial import TrialReport, block_errors, hold_trial
from semdepth_ros.adaptation.triplet import Triplet, triplet_of
from semdepth_ros.adaptation.versions import Version, Versions
from semdepth_ros.frame import Frame
from semdepth_ros.model_card import ModelCard
from semdepth_ros.model_file import ModelFileError, tensor_hash
from semdepth_ros.networks import JointNetwork, save_network


@dataclass(frozen=True)
class Observation:
    """What came of one frame.

    :param number: of the frame, from 0
    :param gate: the gate that is closed; empty where the triplet passed, or none was asked
    :param reason: one line
    :param stepped: how many steps were taken and stand
    :param event: `promoted`, `rolled back`, `reset`, `trial failed`, `would promote`; empty for none
    """

    number: int
    gate: str = ''
    reason: str = ''
    stepped: int = 0
    event: str = ''


class Adapter:
    """Learns from consecutive frames of one camera at a time.

    It reads no clock and starts no thread: the same frames make the same weights.

    :param network: the factory weights, in evaluation mode on the CPU; not changed
    :param card: of these weights
    :param camera_in_base: the camera's optical frame in the frame whose odometry is told (lever arm), float64 [4, 4]
    :param folder: of promoted weights as files and of rendered anchors; None keeps all in memory
    :param journal: file of decisions; None writes none
    :param resume: whether to start from the folder's newest weights that were learned under the same camera
    :param device: where steps are taken and the factory weights look; trials compare on the CPU
    :param input_pixels: budget of the network's input [px]; 0 leaves it to the card
    :param anchors: gives the triplets that hold the weights; by default world_anchors
    :raises AdaptationError: a model that cannot be adapted, in one line
    """

    def __init__(self, network: JointNetwork, card: ModelCard, settings: AdapterSettings = AdapterSettings(), *,
                 camera_in_base: np.ndarray | None = None, folder: str | os.PathLike | None = None,
                 journal: str | os.PathLike | None = None, resume: bool = False, device: torch.device | str = 'cpu',
                 input_pixels: int = 0, anchors: Render | None = None):
        network, device = copy.deepcopy(network).eval(), torch.device(device)
        card = card if card.factory else replace(card, factory=tensor_hash(network.state_dict()))
        cache = None if folder is None else Path(folder) / 'anchors'
        self.settings, self.mode, self._resume = settings, settings.mode, resume
        self.profile = find_profile(network, settings.step.profile)
        self.factory = FactoryModel(network, card, device)
        self.reader = FrameReader(card.input.on(device.type, input_pixels), camera_in_base)
        self.versions = None if folder is None else Versions(folder, card, settings.keep_versions)
        self.serving = Serving(Version(network.requires_grad_(False), card), self.versions, settings)
        self.learner = Learner(network, network, self.profile, settings, card.focal_px, device)
        self.lessons = Lessons(self.factory, settings, anchors or (lambda *asked: world_anchors(*asked, cache)))
        self.gates, self.held_out = GateKeeper(settings.gates), HeldOut(settings.trial)
        self.scale, self.journal = OdometryScale(settings.reset.scale_frames), Journal(journal)
        self.metric, self.flicker = MetricScale(card.classes), Flicker()
        self.stride = FrameStride(settings.stride)
        self.counts: Counter[str] = Counter()
        self.number, self.paused, self.last_verdict, self.last_losses = -1, False, '', {}
        self.last_report: TrialReport | None = None
        self._window: deque[tuple[NetworkFrame, Seen]] = deque(maxlen=3)
        self._before: tuple[NetworkFrame, Seen] | None = None       # what was looked at last, though the window was left
        self._stamp_ns: int | None = None                           # of the last frame, looked at or passed over
        self._index, self._numbers = -1, deque(maxlen=2 * settings.trial.period)    # of the frames not passed over
        self._settled_at = self._disagreements = self._distrusted = self._spikes = self._failures = 0
        self._steps_at_trial = self._asked = self._accepted = 0
        self._was_metric = False

    @property
    def served(self) -> Version:
        """The weights that are to be served."""
        if self.settings.trial.serve == 'latest' and self.learner.steps:
            card = replace(self.serving.factory.card, version=self.learner.steps, parent=0)
            return Version(self.learner.network, card)
        return self.serving.served

    @property
    def watching(self) -> bool:
        """Whether promoted weights are on probation."""
        return self.serving.probation is not None

    def observe(self, frame: Frame, odometry: np.ndarray | None = None, may_step: bool = True,
                follows_ns: int | None = None) -> Observation:
        """Take the next frame.

        :param odometry: pose of the base in odometry's frame at the frame's stamp, float64 [4, 4] m; None unknown. See
            OdometryTrack for poses told at other times
        :param may_step: whether there is time for a step
        :param follows_ns: the stamp of the frame that came right before this one, where a busy caller may have left some
            out: frames that nobody looked at are no gap, but triplets do not reach across them. None: none was left out
        """
        self.number += 1
        self.counts['frames'] += 1
        if self.mode == 'off' or self.paused:
            return Observation(self.number, reason='paused' if self.paused else 'mode is off')
        left_out = None not in (follows_ns, self._stamp_ns) and follows_ns != self._stamp_ns
        self._stamp_ns = frame.stamp_ns
        if left_out:
            self._leave_window()
        if self.stride.passes_over():
            return Observation(self.number, reason='passed over: the camera hardly moves from frame to frame')
        try:
            taken = self.reader.read(frame, odometry)
        except ValueError as error:
            return self._close('camera', str(error))
        self._resume_from(taken)
        before = self._before
        broken = break_before(before[0], taken, self.settings.reset, follows_ns if left_out else None) if before else ''
        if broken == AGAIN:
            return self._close('stamps', 'the stamp is that of the frame before')
        self._index += 1                                            # a frame that comes twice has one number
        self._numbers.append(self.number)
        seen = self.factory.look(taken)
        if before and not broken and not left_out:
            broken = cut_before(before[1], seen, self.settings.reset)
        if broken:
            self._drop_everything(broken, taken.stamp_ns)
        self._measure(taken, seen)
        self._before = taken, seen
        self._window.append(self._before)
        self._finish_block(taken.stamp_ns)
        if len(self._window) < 3:
            return Observation(self.number, event='reset' if broken else '')
        observation = self._triplet(may_step)
        passed = not (observation.event or observation.gate or observation.reason)
        if passed and self._trial_is_due(taken.stamp_ns):           # no trial on a frame that nothing speaks for
            observation = replace(observation, event=self._hold_trial(taken))
        return observation

    def pause(self) -> None:
        """Take no notice of frames until resume."""
        self.paused = True
        self._leave_window()
        self._before = None

    def resume(self) -> None:
        """Go on after pause."""
        self.paused = False

    def reset(self) -> None:
        """Begin anew from the factory weights, with no evidence and no scale of odometry; what is served stays."""
        self._drop_everything('asked for', self._window[-1][0].stamp_ns if self._window else 0, anew=True)

    def rollback(self, reason: str = 'asked for') -> Version:
        """Serve the weights before the last promotion; return them.

        :raises ValueError: there are none
        """
        withdrawn, served = self.serving.rollback(), self.serving.served
        self.counts['rollbacks'] += 1
        self.last_verdict = f'version {withdrawn.number} rolled back to {served.number}: {reason}'
        self._write('rollback', version=withdrawn.number, to=served.number, reason=reason)
        self._begin(served)
        self.learner.slow_down()
        return served

    def believe(self, number: int) -> None:
        """Take it from whoever serves that it is this version.

        :raises ValueError: a version that is not known here; nothing changes then
        """
        if self.serving.believe(number):
            self._write('believed', version=number)
            self._begin(self.serving.served)

    def promote(self) -> TrialReport:
        """Hold a trial at once, on the blocks that are fresh; return its report. The criteria are the same.

        :raises ValueError: fewer blocks are fresh than a trial takes, promoted weights are on probation, no frame has come
            since a pause, the hour has no room for another promotion, or too few triplets passed the gates
        """
        fresh, least = len(self.held_out.fresh), self.settings.trial.blocks
        if fresh < least:
            raise ValueError(f'{fresh} held-out blocks are fresh, expected {least}')
        if self.watching:
            raise ValueError(f'version {self.served.number} is on probation')
        if not self._window:
            raise ValueError('no frame has come since the pause, expected one')
        trial, newest = self.settings.trial, self._window[-1][0]
        if not self.serving.may_promote(newest.stamp_ns):
            raise ValueError(f'{trial.promotions_per_hour} versions were promoted within an hour, expected less')
        if self._accepted < trial.least_accepted * self._asked:
            raise ValueError(f'{self._accepted} of {self._asked} triplets since the last trial passed the gates, expected a '
                             f'share of {trial.least_accepted:g}')
        self._hold_trial(newest)
        return self.last_report

    def save(self, path: str | os.PathLike) -> ModelCard:
        """Write the candidate as a model file that nobody serves; return its card.

        :raises ValueError: fewer than two frames have come, for a file needs two of them
        :raises OSError, ModelFileError: the file cannot be written
        """
        if len(self._window) < 2:
            raise ValueError('no frames have come yet, expected two: a model file holds two frames to be tried with')
        served = self.serving.served.card
        card = replace(served, version=served.version + 1, parent=served.version)
        probes = [frame.image.permute(1, 2, 0).numpy() for frame, _ in list(self._window)[-2:]]
        return save_network(path, self.learner.candidate(), card, probes)

    def _resume_from(self, taken: NetworkFrame) -> None:
        if self._resume and self.versions is not None:
            self._resume, version = False, self.versions.newest(taken.source)
            if version is not None:
                self.serving.start_from(version)
                self._write('resumed', version=version.number)
                self._begin(version)

    def _drop_everything(self, reason: str, stamp_ns: int, anew: bool = False) -> None:
        """Drop trial weights and evidence, and let some frames pass."""
        anew = anew or reason == NEW_CAMERA
        self._leave_window()
        self._before = None
        self.stride.begin()
        if anew:
            self.metric.clear()
            self.flicker.clear()
            self.scale.clear()
            self.lessons.road.clear()
        self.counts['resets'] += 1
        self._begin(self.serving.factory if anew else self.serving.served)
        self._settled_at = self.number + self.settings.reset.settle
        self._write('reset', stamp_ns=stamp_ns, reason=reason)      # last: a full disk must not keep evidence alive

    def _leave_window(self) -> None:
        """Take it that the next frame does not follow right on the last one."""
        self._window.clear()
        self.metric.cut()
        self.stride.restart()

    def _begin(self, version: Version) -> None:
        self.learner.begin(version.network)
        self._drop_evidence()
        self._failures = self._spikes = 0

    def _drop_evidence(self) -> None:
        self.held_out.clear()
        self._count_anew()

    def _count_anew(self) -> None:
        self._steps_at_trial, self._asked, self._accepted = self.learner.steps, 0, 0

    def _triplet(self, may_step: bool) -> Observation:
        target, frames = self._index - 1, tuple(frame for frame, _ in self._window)
        kind = self.held_out.kind(target)
        if kind == 'between':
            return Observation(self.number, reason='between held-out and other frames')
        if self.number < self._settled_at:
            return self._close('settling', 'soon after a reset or a pause')
        evidence = Evidence(frames, self._window[1][1], self.factory.classes, self.scale,
                            self.settings.gates.texture_step)
        self._asked += 1
        closed = self.gates.ask(evidence)
        self._learn_scale(evidence, closed)
        if closed is None or closed[0] not in DISTRUSTED:
            self.flicker.take(scale_change(evidence.tracks[1], evidence.tracked[1], self._window[1][1].depth,
                                           self._window[2][1].depth, frames[1].intrinsics, evidence.still))
        self._keep_pace(evidence, '' if closed is None else closed[0])
        if closed is not None:
            return self._rejected(*closed, evidence)
        self._accepted += 1
        self._distrusted = 0
        self.counts['accepted'] += 1
        triplet = triplet_of(evidence, target)
        self.lessons.look(triplet)
        event = self._watch(triplet)
        if kind == 'held':
            self.counts['held_out'] += 1
            self.held_out.add(triplet)
            self._write('held', target=self._frame_of(target))
            return Observation(self.number, event=event)
        observation = self._learn(triplet) if may_step else self._close('budget', 'there is no time for a step')
        return replace(observation, event=event)

    def _measure(self, taken: NetworkFrame, seen: Seen) -> None:
        """Let the metric scale look at a frame, and write down when it becomes metric or ceases to be."""
        self.metric.frame(taken, seen)
        served = self.serving.served
        if self.metric.is_due(served.number, self._index):
            depth, _ = predict(served.network, taken.image[None], taken.camera.fx / self.learner.focal_px)
            self.metric.look(seen.depth, depth[0, 0].cpu().numpy())
        scale, fused = self.metric.scale, self.metric.fused
        if scale.metric != self._was_metric:
            self._was_metric = scale.metric
            self._write('metric', metric=scale.metric, scale=scale.value, sigma=scale.sigma / scale.value,
                        sources=list(fused.sources), reason=self.metric.doubt)

    def _keep_pace(self, evidence: Evidence, closed: str) -> None:
        """Look at frames farther apart where these are too near to each other, and nearer where they need not be."""
        way = moved(evidence, closed, self.gates.last.get('parallax'), self.settings.gates)
        interval_s = (evidence.following.stamp_ns - evidence.target.stamp_ns) / 1e9
        if way is not None and self.stride.take(way, interval_s):
            newest = self._window[-1]
            self._window.clear()
            self._window.append(newest)
            self._write('stride', frames=self.stride.length, moved=way)

    def _frame_of(self, index: int) -> int:
        """Return the number of a frame that was not passed over, by its number among these."""
        return self._numbers[max(index - self._index - 1, -len(self._numbers))]

    def _learn_scale(self, evidence: Evidence, closed: tuple[str, Verdict] | None) -> None:
        """Take what the triplet says of odometry's scale; seek it anew where odometry has contradicted images long."""
        gate = '' if closed is None else closed[0]
        if not evidence.has_odometry or gate not in ('', 'odometry', 'auto_mask'):
            return
        self.metric.triplet(evidence.target.stamp_ns, evidence.log_scales)
        starting = gate == 'odometry' and closed[1].value == len(self.scale) < self.scale.least
        if gate != 'odometry' or starting:
            self._disagreements = 0
            self.scale.take(evidence.log_scales)
            return
        self._disagreements += 1
        if self._disagreements >= self.settings.reset.disagreements:
            self._disagreements = 0
            self.scale.clear()
            self._drop_everything('odometry has contradicted the images for long', evidence.target.stamp_ns)

    def _rejected(self, name: str, verdict: Verdict, evidence: Evidence) -> Observation:
        """Tell a triplet that has nothing to teach from one that shows that something is wrong."""
        wrong = name in DISTRUSTED and (name != 'odometry' or self.scale.ready)
        observation = self._turned_away(name, verdict, wrong or (name == 'parallax' and evidence.has_odometry))
        found = min(tracks.found for tracks in evidence.tracks) if name == 'tracks' else 1.0
        if found >= self.settings.reset.least_found:
            return observation
        self._drop_everything(f'scene cut: {100 * found:.0f} % of the corners were found', evidence.following.stamp_ns)
        return replace(observation, event='reset')

    def _learn(self, triplet: Triplet) -> Observation:
        taken, outcome = self.lessons.teach(self.learner, triplet)
        self.last_losses = outcome.losses
        self.counts['steps'] += taken
        self.counts['undone'] += bool(outcome.closed)
        self._write('step', target=self._frame_of(triplet.number), taken=taken, closed=outcome.closed,
                    losses=outcome.losses, change=self.learner.change(), rate=self.learner.learning_rate,
                    scale=self.scale.value, replay=len(self.lessons.replay))
        if not outcome.closed:
            self._spikes = 0
            return Observation(self.number, stepped=taken)
        words = f'{outcome.closed.replace("_", " ")} is {outcome.value:.3g}'
        self.gates.close(outcome.closed, Verdict(False, outcome.value, outcome.limit, words))
        self._spikes += outcome.closed == 'loss'
        if self._spikes >= self.settings.reset.spikes:
            self._spikes, self._settled_at = 0, self.number + self.settings.reset.pause
            self.learner.begin_optimiser()
            self._write('pause', frames=self.settings.reset.pause, reason='the loss was out of bounds again and again')
        return Observation(self.number, outcome.closed, words, taken)

    def _finish_block(self, stamp_ns: int) -> None:
        block = self.held_out.close(self._index, self._frame_of)
        if block is not None:
            errors = block_errors(block, self.served.network, self.serving.factory.network, self.factory.classes,
                                  self.learner.focal_px)
            self._write('block', first=block.first, triplets=len(block.stored), version=self.served.number,
                        errors=errors, stamp_ns=stamp_ns)

    def _trial_is_due(self, stamp_ns: int) -> bool:
        trial = self.settings.trial
        enough = (len(self.held_out.fresh) >= trial.blocks and self.learner.steps - self._steps_at_trial >= trial.steps
                  and self._accepted >= trial.least_accepted * self._asked)
        return trial.serve == 'promoted' and enough and self.serving.may_promote(stamp_ns)

    def _hold_trial(self, taken: NetworkFrame) -> str:
        """Hold the candidate against what is served; return the event."""
        blocks, candidate = self.held_out.take(), self.learner.candidate()
        shown = blocks[0].triplets[0]
        report = hold_trial(blocks, candidate, self.serving.served.network, self.serving.factory.network,
                            self.lessons.anchors(shown)[1], self.factory.classes, self.learner.focal_px,
                            self.settings.trial, self.profile.semantics_fixed)
        self._count_anew()
        self.last_report = report
        self.counts['trials'] += 1
        self._write('trial', stamp_ns=taken.stamp_ns, steps=self.learner.steps, **report.as_json())
        if not report.passed:
            return self._fail(report.reason)
        self._failures = 0
        if self.mode == 'shadow':
            self.counts['would_promote'] += 1
            self.last_verdict = f'would be promoted: {report.reason}'
            return 'would promote'
        return self._promote(candidate, report, taken, shown)

    def _fail(self, reason: str) -> str:
        self.counts['rejections'] += 1
        self._failures += 1
        self.last_verdict = f'not promoted: {reason}'
        self.learner.slow_down()
        if self._failures >= self.settings.trial.failures:
            self._write('reset', reason=f'{self._failures} trials in a row have failed')
            self.counts['resets'] += 1
            self._begin(self.serving.served)
        return 'trial failed'

    def _promote(self, candidate: JointNetwork, report: TrialReport, taken: NetworkFrame, shown: Triplet) -> str:
        probes = [image.permute(1, 2, 0).numpy() for image in (shown.images[0], taken.image)]
        metrics = report.as_json() | {'steps': self.learner.steps}
        try:
            version = self.serving.promote(candidate, probes, taken.source, metrics, taken.stamp_ns)
        except (OSError, ModelFileError) as error:
            self._write('fault', reason=str(error))
            return self._fail(f'the file cannot be written: {error}')
        self.counts['promotions'] += 1
        self.last_verdict = f'version {version.number} promoted: {report.reason}'
        self._write('promotion', version=version.number, parent=version.card.parent, reason=report.reason,
                    stamp_ns=taken.stamp_ns, file='' if version.path is None else version.path.name,
                    sha256=version.sha256)
        return 'promoted'

    def _watch(self, triplet: Triplet) -> str:
        """Let the previous weights see a frame now and then; return the event."""
        watched = self.serving.watch(triplet, self.factory.classes, self.learner.focal_px)
        if watched is None:
            return ''
        report, errors = watched
        if errors is not None:
            self._write('watch', version=self.served.number, errors=errors, loss=report.loss, p=report.p)
        if report.over:
            self._write('confirmed', version=self.served.number, reason=report.words)
        if report.regressed:
            self.rollback(report.words)
        return 'rolled back' if report.regressed else ''

    def _close(self, name: str, reason: str) -> Observation:
        """Turn a frame away at a gate that is not in the table."""
        self.gates.close(name, Verdict(False, reason=reason))
        return self._turned_away(name, self.gates.last[name], name in DISTRUSTED)

    def _turned_away(self, name: str, verdict: Verdict, wrong: bool) -> Observation:
        self.counts['rejected'] += 1
        self._write('gate', gate=name, value=verdict.value, limit=verdict.limit, reason=verdict.reason)
        self._distrusted += wrong
        if wrong and self._distrusted == self.settings.reset.distrust:
            self._write('distrust', reason=f'{name} has turned away the last of {self._distrusted} frames')
            self._drop_evidence()
        return Observation(self.number, name, verdict.reason)

    def _write(self, event: str, **values) -> None:
        self.journal.write(event, frame=self.number, **values)
