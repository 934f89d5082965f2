"""The learner: frames in; weights out that have proved better, and a reason for everything."""
from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from semdepth_ros.adaptation.anchors import knows_the_world, world_anchors
from semdepth_ros.adaptation.comparison import compare
from semdepth_ros.adaptation.evidence import Evidence
from semdepth_ros.adaptation.factory import FactoryModel, Seen
from semdepth_ros.adaptation.gates import GateKeeper, Verdict
from semdepth_ros.adaptation.held_out import HeldOut
from semdepth_ros.adaptation.journal import Journal
from semdepth_ros.adaptation.learner import Learner
from semdepth_ros.adaptation.network_frame import FrameReader, NetworkFrame
from semdepth_ros.adaptation.odometry_scale import OdometryScale
from semdepth_ros.adaptation.profiles import find_profile
from semdepth_ros.adaptation.replay import ReplayMemory
from semdepth_ros.adaptation.road_plane import RoadPlaneMemory
from semdepth_ros.adaptation.settings import AdapterSettings
from semdepth_ros.adaptation.trial import TrialReport, blocks_error, hold_trial
from semdepth_ros.adaptation.triplet import Triplet, batch_of, triplet_of
from semdepth_ros.adaptation.versions import Version, Versions
from semdepth_ros.adaptation.watch import Probation
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.model_card import ModelCard
from semdepth_ros.model_file import tensor_hash
from semdepth_ros.networks import JointNetwork

HOUR_NS = 3_600_000_000_000
# gates that close where something is wrong with camera, clock or odometry, not where a drive merely has nothing to teach
DISTRUSTED = ('camera', 'stamps', 'exposure', 'tracks', 'motion', 'odometry')


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
    """Learns from consecutive frames of one camera at a time. It reads no clock and starts no thread: the same frames
    make the same weights.

    :param network: the factory weights, in evaluation mode on the CPU; not changed
    :param card: of these weights
    :param camera_in_base: the camera's optical frame in the frame whose odometry is told (the lever arm), float64 [4, 4]
    :param folder: of weights_dir: promoted weights as files, rendered anchors; None keeps all in memory
    :param journal: file of decisions; None writes none
    :param resume: whether to start from the newest weights in the folder that were learned under the same camera
    :param input_pixels: budget of the network's input [px]; 0 leaves it to the card
    :param anchors: gives the triplets that hold the weights, of (camera, seen, count, factory)
    :raises AdaptationError: a model that cannot be adapted, in one line
    """

    def __init__(self, network: JointNetwork, card: ModelCard, settings: AdapterSettings = AdapterSettings(), *,
                 camera_in_base: np.ndarray | None = None, folder: str | os.PathLike | None = None,
                 journal: str | os.PathLike | None = None, resume: bool = False, device: torch.device | str = 'cpu',
                 input_pixels: int = 0, anchors: Callable[..., list[Triplet]] | None = None):
        card = card if card.factory else replace(card, factory=tensor_hash(network.state_dict()))
        self.settings, self.mode, self.device = settings, settings.mode, torch.device(device)
        self.profile = find_profile(network, settings.step.profile)
        self.factory = FactoryModel(network, card)
        self.reader = FrameReader(card.input.on(self.device.type, input_pixels), camera_in_base)
        self.folder = None if folder is None else Path(folder)
        self.versions = None if folder is None else Versions(folder, card, settings.keep_versions)
        self.journal, self._resume = Journal(journal), resume
        self._factory_version = Version(self.factory.network, card)
        self._served, self.previous = self._factory_version, None
        self.learner = Learner(self.factory.network, self._served.network, self.profile, settings, card.focal_px, device)
        self.gates, self.held_out = GateKeeper(settings.gates), HeldOut(settings.trial)
        self.replay, self.road = ReplayMemory(settings.memory), RoadPlaneMemory()
        self.scale = OdometryScale(settings.reset.scale_frames)
        self.counts: Counter[str] = Counter()
        self.number, self.paused, self.last_verdict, self.last_losses = -1, False, '', {}
        self._render_anchors, self._anchors = anchors or self._world_anchors, {}
        self._window: deque[tuple[NetworkFrame, Seen]] = deque(maxlen=3)
        self._probation: Probation | None = None
        self._promoted_ns: deque[int] = deque()
        self._settled_at, self._disagreements, self._distrusted, self._spikes, self._failures = 0, 0, 0, 0, 0
        self._steps_at_trial, self._asked, self._accepted = 0, 0, 0

    @property
    def served(self) -> Version:
        """The weights that are to be served."""
        if self.settings.trial.serve == 'latest' and self.learner.steps:
            return Version(self.learner.network, replace(self._factory_version.card, version=self.learner.steps, parent=0))
        return self._served

    @property
    def camera(self) -> Camera | None:
        """The camera that is being learned from."""
        return self._window[-1][0].source if self._window else None

    @property
    def watching(self) -> bool:
        """Whether promoted weights are on probation."""
        return self._probation is not None

    def observe(self, frame: Frame, odometry: np.ndarray | None = None, may_step: bool = True) -> Observation:
        """Take the next frame.

        :param odometry: pose of the base in odometry's frame at the frame's stamp, float64 [4, 4] m; None unknown. See
            OdometryTrack for poses told at other times
        :param may_step: whether there is time for a step
        """
        self.number += 1
        self.counts['frames'] += 1
        if self.mode == 'off' or self.paused:
            return Observation(self.number, reason='paused' if self.paused else 'mode is off')
        try:
            taken = self.reader.read(frame, odometry)
        except ValueError as error:
            return self._closed('camera', Verdict(False, reason=str(error)))
        broken = self._broken(taken)
        if broken == 'again':
            return self._closed('stamps', Verdict(False, 0.0, 0.0, 'the stamp is that of the frame before'))
        seen = self.factory.look(taken)
        if not broken and self._window:
            similarity = float(self._window[-1][1].features @ seen.features)
            if similarity < self.settings.reset.least_similarity:
                broken = f'scene cut: features are {similarity:.2f} alike'
        if broken:
            self._reset(broken, taken.stamp_ns, new_camera=broken.startswith('new camera'))
        self._window.append((taken, seen))
        self._finish_block(taken.stamp_ns)
        observation = self._triplet(may_step) if len(self._window) == 3 else Observation(self.number)
        if not observation.event and self._trial_is_due(taken.stamp_ns):
            observation = replace(observation, event=self._hold_trial(taken))
        return replace(observation, event=observation.event or ('reset' if broken else ''))

    def pause(self) -> None:
        """Take no notice of frames until resume."""
        self.paused = True
        self._window.clear()

    def resume(self) -> None:
        """Go on after pause."""
        self.paused = False

    def reset(self, reason: str = 'asked for') -> None:
        """Drop the trial weights, all evidence and what is known of odometry's scale; what is served stays."""
        self.scale.clear()
        self._reset(reason, self._window[-1][0].stamp_ns if self._window else 0, new_camera=True)

    def rollback(self, reason: str = 'asked for') -> Version:
        """Serve the weights before the last promotion; return them.

        :raises ValueError: there are none
        """
        if self.previous is None:
            raise ValueError('no earlier weights to go back to')
        withdrawn, self._served, self.previous = self._served, self.previous, None
        self._probation = None
        if self.versions is not None:
            self.versions.withdraw(withdrawn)
        self.counts['rollbacks'] += 1
        self.last_verdict = f'version {withdrawn.number} rolled back to {self._served.number}: {reason}'
        self._write('rollback', version=withdrawn.number, to=self._served.number, reason=reason)
        self._restart(self._served)
        self.learner.slow_down()
        return self._served

    def believe(self, number: int) -> None:
        """Take it from whoever serves that it is this version.

        :raises ValueError: a version that is not known here; nothing changes then
        """
        if number == self._served.number:
            return
        known = [v for v in (self.previous, self._factory_version) if v is not None and v.number == number]
        if not known and self.versions is None:
            raise ValueError(f'version {number} is said to be served, which is not known here')
        self._served, self.previous = known[0] if known else self.versions.read(number), None
        self._probation = None
        self._write('believed', version=number)
        self._restart(self._served)

    def _broken(self, taken: NetworkFrame) -> str:
        """Return why a frame does not follow the one before; `again` where it is that very one."""
        if not self._window:
            if self._resume and self.versions is not None:
                self._resume = False
                self._start_from(self.versions.newest(taken.source))
            return ''
        before = self._window[-1][0]
        if taken.source != before.source:
            return 'new camera'
        elapsed_s = (taken.stamp_ns - before.stamp_ns) / 1e9
        if elapsed_s == 0:
            return 'again'
        if elapsed_s < 0:
            return f'the stamp went back by {-elapsed_s:.3f} s'
        return f'gap of {elapsed_s:.1f} s' if elapsed_s > self.settings.reset.longest_gap_s else ''

    def _start_from(self, version: Version | None) -> None:
        if version is not None:
            self._served = version
            self.learner.begin(version.network)
            self._write('resumed', version=version.number)

    def _reset(self, reason: str, stamp_ns: int, new_camera: bool = False) -> None:
        """Drop trial weights and evidence, and let some frames pass."""
        self._window.clear()
        if new_camera:
            self.scale.clear()
            self.road.clear()
        self.counts['resets'] += 1
        self._write('reset', stamp_ns=stamp_ns, reason=reason)
        self._restart(self._factory_version if new_camera else self._served)
        self._settled_at = self.number + self.settings.reset.settle

    def _restart(self, version: Version) -> None:
        self.learner.begin(version.network)
        self.learner.watch = type(self.learner.watch)(self.settings.gates.loss_memory)
        self._drop_evidence()
        self._failures = self._spikes = 0

    def _drop_evidence(self) -> None:
        self.held_out.clear()
        self._steps_at_trial, self._asked, self._accepted = self.learner.steps, 0, 0

    def _triplet(self, may_step: bool) -> Observation:
        target = self.number - 1
        kind = self.held_out.kind(target)
        if kind == 'between':
            return Observation(self.number, reason='between held-out and other frames')
        if self.number < self._settled_at:
            return self._closed('settling', Verdict(False, self._settled_at - self.number, 0, 'soon after a reset or a pause'))
        frames = tuple(frame for frame, _ in self._window)
        evidence = Evidence(frames, self._window[1][1], self.factory.classes, self.scale, self.settings.gates.texture_step)
        self._asked += 1
        closed = self.gates.ask(evidence)
        self._learn_scale(evidence, closed)
        if closed is not None:
            observation = self._turned_away(*closed, distrust=self._is_wrong(closed[0], evidence))
            found = min(tracks.found for tracks in evidence.tracks) if closed[0] == 'tracks' else 1.0
            if found < self.settings.reset.least_found:
                self._reset(f'scene cut: {100 * found:.0f} % of the corners were found again', frames[-1].stamp_ns)
                return replace(observation, event='reset')
            return observation
        self._accepted += 1
        self._distrusted = 0
        self.counts['accepted'] += 1
        triplet = triplet_of(evidence, target)
        self.road.take(triplet.factory_depth, np.isin(triplet.labels, self.factory.classes.road) & triplet.seen.numpy(),
                       triplet.camera)
        event = self._on_probation(triplet)
        if kind == 'held':
            self.counts['held_out'] += 1
            self.held_out.add(triplet)
            self._write('held', target=target)
            return Observation(self.number, event=event)
        if not may_step:
            return replace(self._closed('budget', Verdict(False, reason='there is no time for a step')), event=event)
        return replace(self._learn(triplet), event=event)

    def _learn_scale(self, evidence: Evidence, closed: tuple[str, Verdict] | None) -> None:
        """Take what the triplet says of odometry's scale; seek it anew where odometry has contradicted images for long."""
        if not evidence.has_odometry or (closed is not None and closed[0] not in ('odometry', 'auto_mask')):
            return
        disagrees = closed is not None and closed[0] == 'odometry'
        starting = disagrees and closed[1].value == len(self.scale) < self.scale.least
        if not disagrees or starting:
            self._disagreements = 0
            self.scale.take(evidence.log_scales)
            return
        self._disagreements += 1
        if self._disagreements >= self.settings.reset.disagreements:
            self._disagreements = 0
            self.scale.clear()
            self._reset('odometry has contradicted the images for long', evidence.target.stamp_ns)

    def _learn(self, triplet: Triplet) -> Observation:
        """Take steps on a triplet, and keep it if it is new."""
        taken, outcome = 0, None
        for k in range(self.settings.step.steps):
            outcome = self.learner.step(self._batch(triplet, k))
            if outcome.closed:
                self.counts['undone'] += 1
                break
            taken += 1
        self.last_losses = outcome.losses
        self.replay.offer(triplet)
        self.counts['steps'] += taken
        self._write('step', target=triplet.number, taken=taken, closed=outcome.closed, losses=outcome.losses,
                    change=self.learner.change(), rate=self.learner.learning_rate, scale=self.scale.value,
                    replay=len(self.replay))
        if not outcome.closed:
            self._spikes = 0
            return Observation(self.number, stepped=taken)
        words = f'{outcome.closed.replace("_", " ")} is {outcome.value:.3g}'
        self.gates.close(outcome.closed, Verdict(False, outcome.value, outcome.limit, words))
        self._spikes += outcome.closed == 'loss'
        if self._spikes >= self.settings.reset.spikes:
            self._spikes = 0
            self._settled_at = self.number + self.settings.reset.pause
            self.learner.begin_optimiser()
            self.learner.watch = type(self.learner.watch)(self.settings.gates.loss_memory)
            self._write('pause', frames=self.settings.reset.pause, reason='the loss was out of bounds again and again')
        return Observation(self.number, outcome.closed, words, taken)

    def _batch(self, triplet: Triplet, draw: int):
        rng = np.random.default_rng([self.settings.seed, triplet.number, draw])
        replayed = self.replay.draw(triplet.camera, self.settings.step.replay, rng)
        anchors = self._anchors_of(triplet)[0] if self.settings.step.anchors else []
        held = [anchors[i] for i in rng.permutation(len(anchors))[:self.settings.step.anchors]]
        held = [t if t.depth is not None else replace(t, depth=t.factory_depth) for t in held]
        triplets = [triplet, *replayed, *held]
        logits = None
        if not self.profile.semantics_fixed:
            logits = self.factory.predict(torch.stack([t.images[0] for t in triplets]), triplet.camera.fx)[1]
        return batch_of(triplets, self.factory.classes, self.settings.gates.texture_step, self.road.plane, logits,
                        self.device)

    def _anchors_of(self, triplet: Triplet) -> tuple[list[Triplet], list[Triplet]]:
        """Return anchors to learn from, and others to judge by."""
        source, camera = self.settings.step.anchors_from, triplet.camera
        if source == 'none':
            return [], []
        if camera not in self._anchors:
            found = [] if source == 'stored' else self._render_anchors(camera, triplet.seen,
                                                                      self.settings.memory.anchor_frames, self.factory)
            known = source == 'world' or knows_the_world(found)
            self._anchors[camera] = found if known else None
            self._write('anchors', kind='world' if known else 'stored', frames=len(found))
        found = self._anchors[camera]
        if found is None:
            found = self.replay.first(camera, self.settings.memory.anchor_frames)
            return found, found
        half = (len(found) + 1) // 2                          # both halves have frames of day, night, fog ...
        return found[:half], found[half:] or found

    def _world_anchors(self, camera: Camera, seen, count: int, factory: FactoryModel) -> list[Triplet]:
        return world_anchors(camera, seen, count, factory, None if self.folder is None else self.folder / 'anchors')

    def _finish_block(self, stamp_ns: int) -> None:
        block = self.held_out.close(self.number)
        if block is None:
            return
        networks = {'factory': self.factory.network, 'served': self.served.network}
        errors = blocks_error(block, networks, self.factory.network, self.factory.classes, self.learner.focal_px)
        self._write('block', first=block.first, triplets=len(block.stored), version=self.served.number, errors=errors,
                    stamp_ns=stamp_ns)

    def _trial_is_due(self, stamp_ns: int) -> bool:
        trial = self.settings.trial
        if trial.serve != 'promoted' or self.watching or len(self.held_out.fresh) < trial.blocks:
            return False
        if self.learner.steps - self._steps_at_trial < trial.steps or self._accepted < trial.least_accepted * self._asked:
            return False
        while self._promoted_ns and abs(stamp_ns - self._promoted_ns[0]) > HOUR_NS:
            self._promoted_ns.popleft()
        return len(self._promoted_ns) < trial.promotions_per_hour

    def _hold_trial(self, taken: NetworkFrame) -> str:
        """Hold the candidate against what is served; return the event."""
        blocks, candidate = self.held_out.take(), self.learner.candidate()
        first = blocks[0].triplets[0]
        _, anchors = self._anchors_of(first)
        report = hold_trial(blocks, candidate, self._served.network, self.factory.network, anchors, self.factory.classes,
                            self.learner.focal_px, self.settings.trial, self.profile.semantics_fixed)
        self._steps_at_trial, self._asked, self._accepted = self.learner.steps, 0, 0
        self.counts['trials'] += 1
        self._write('trial', stamp_ns=taken.stamp_ns, steps=self.learner.steps, **report.as_json())
        if not report.passed:
            return self._trial_failed(report)
        self._failures = 0
        if self.mode == 'shadow':
            self.counts['would_promote'] += 1
            self.last_verdict = f'would be promoted: {report.reason}'
            return 'would promote'
        return self._promote(candidate, report, taken, first)

    def _trial_failed(self, report: TrialReport) -> str:
        self.counts['rejections'] += 1
        self._failures += 1
        self.last_verdict = f'not promoted: {report.reason}'
        self.learner.slow_down()
        if self._failures >= self.settings.trial.failures:
            self._write('reset', reason=f'{self._failures} trials in a row have failed')
            self.counts['resets'] += 1
            self._restart(self._served)
        return 'trial failed'

    def _promote(self, candidate: JointNetwork, report: TrialReport, taken: NetworkFrame, shown: Triplet) -> str:
        parent = self._served
        if self.versions is None:
            number = max(parent.number, self.counts['highest_version']) + 1
            version = Version(candidate, replace(self._factory_version.card, version=number, parent=parent.number))
        else:
            probes = [image.permute(1, 2, 0).numpy() for image in (shown.images[0], taken.image)]
            metrics = report.as_json() | {'steps': self.learner.steps}
            try:
                version = self.versions.write(candidate, parent, probes, taken.source, metrics)
            except OSError as error:
                self.last_verdict = f'not promoted: the file cannot be written: {error}'
                self._write('fault', reason=self.last_verdict)
                return 'trial failed'
        self._served, self.previous, self._probation = version, parent, Probation(self.settings.watch)
        self._promoted_ns.append(taken.stamp_ns)
        self.counts['promotions'] += 1
        self.counts['highest_version'] = version.number
        self.last_verdict = f'version {version.number} promoted: {report.reason}'
        self._write('promotion', version=version.number, parent=parent.number, reason=report.reason, stamp_ns=taken.stamp_ns,
                    file='' if version.path is None else version.path.name, sha256=version.sha256)
        return 'promoted'

    def _on_probation(self, triplet: Triplet) -> str:
        """Let the previous weights see a frame now and then; return the event."""
        if self._probation is None or self.previous is None:
            return ''
        errors = None
        if self._probation.wants:
            errors = compare(triplet, self._served.network, self.previous.network, self.factory.classes,
                             self.learner.focal_px).errors
        report = self._probation.take(errors)
        if errors is not None:
            self._write('watch', version=self._served.number, errors=errors, loss=report.loss, p=report.p)
        if report.regressed:
            self.rollback(report.words)
            return 'rolled back'
        if report.over:
            self._probation = None
            self._write('confirmed', version=self._served.number, reason=report.words)
        return ''

    def _turned_away(self, name: str, verdict: Verdict, distrust: bool) -> Observation:
        self.counts['rejected'] += 1
        self._write('gate', gate=name, value=verdict.value, limit=verdict.limit, reason=verdict.reason)
        if distrust:
            self._distrusted += 1
            if self._distrusted == self.settings.reset.distrust:
                self._write('distrust', reason=f'{name} has turned away {self._distrusted} frames in a row')
                self._drop_evidence()
        return Observation(self.number, name, verdict.reason)

    def _is_wrong(self, gate: str, evidence: Evidence) -> bool:
        """Return whether a closed gate means that something is wrong, not merely that there is nothing to learn."""
        if gate == 'parallax':
            return evidence.has_odometry                     # which says that the camera has moved
        return gate in DISTRUSTED and (gate != 'odometry' or self.scale.ready)

    def _closed(self, name: str, verdict: Verdict) -> Observation:
        self.gates.close(name, verdict)
        return self._turned_away(name, verdict, name in DISTRUSTED)

    def _write(self, event: str, **values) -> None:
        self.journal.write(event, frame=self.number, **values)
