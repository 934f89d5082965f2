"""What came of a drive that was learned from: frozen and served weights side by side, and who answered which frame."""
from __future__ import annotations

from collections import Counter
from html import escape
import json
from pathlib import Path

import numpy as np

from semdepth_ros.adaptation import read_journal
from semdepth_ros.bit_depth import AUTOMATIC
from semdepth_ros.bridge.outputs import OutputSettings
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.evaluation import write_report
from semdepth_ros.evaluation.side_by_side import side_by_side
from semdepth_ros.experiments.adaptation_page import sections
from semdepth_ros.experiments.adaptation_run import held_out
from semdepth_ros.experiments.adaptation_words import what_came_of
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.live.adaptation_run import Turn
from semdepth_ros.live.arrivals import NEEDED
from semdepth_ros.live.control import RunControl
from semdepth_ros.live.demo import Demo
from semdepth_ros.perception import Perceptor
from semdepth_ros.recordings.evaluation import evaluate_bags
from semdepth_ros.recordings.perceived_frames import perceived_frames
from semdepth_ros.recordings.replay import ReplayOptions, replay, replayed_model
from semdepth_ros.recordings.served_versions import answered_by, beside_changes, nearest_version

PICTURES = 4
TITLE = 'A drive that was learned from: frozen and adapted weights'
JOURNAL = 'journal.jsonl'
PARTS = {'all': 'first way', 'last_third': 'its last third', 'seen_again': 'later ways',
         'after_promotion': 'all since a promotion'}


def report_on(demo: Demo, sequence: BagSequence, turns: list[Turn], weights: Path, frozen: Path, control: RunControl,
              blocks: int = 6) -> dict:
    """Compare, check, draw report.html and write metrics.json; return what is written there.

    `sequences` holds the drive by the frozen weights and then each way through it as it was published. `adaptation` has
    `outcome`, one plain sentence; `versions_checked`, another; `frames_of_another_version`, how many frames look as if
    other weights had answered them than those that were said to, or what was said cannot be; `by_version`, frames of
    each way by version; `held_out`, as in adapt.json; `learner_frames`, images that the learner received, and those that a newer
    one replaced before it had looked.

    :param weights: folder of promoted weights and the journal
    :param frozen: bag to write, of the drive by the frozen weights
    :param blocks: that a trial takes
    """
    perceptor = Perceptor.from_file(demo.model, device=demo.device)
    replay(sequence.path, frozen, replayed_model(perceptor, demo.model, OutputSettings()),
           ReplayOptions(NEEDED, image_topic=sequence.topics.image, image_bits=demo.image_bits, replace=True),
           control.counting('frames by the frozen weights'))
    published = _Published(demo, sequence, turns)
    lines = list(read_journal(weights / JOURNAL))
    checked = published.check(weights, perceptor)
    result = published.results(frozen)
    steps = sum(line.get('taken', 0) for line in lines)
    events = Counter(line['event'] for line in lines)
    result |= {'promotions': events['promotion'], 'rollbacks': events['rollback'], 'steps_kept': steps,
               'playback_rate': float(np.mean([turn.run.rate for turn in turns]))}
    result['adaptation'] = {
        'turns': len(turns), 'learner_frames': list(turns[-1].learner_frames), 'outcome': what_came_of(lines, blocks), **checked,
        'by_version': [dict(sorted(Counter(versions.values()).items())) for versions in published.versions],
        'held_out': held_out(weights / JOURNAL, len(sequence))}
    (demo.out / 'metrics.json').write_text(json.dumps(result, indent=1, allow_nan=False) + '\n', encoding='utf-8')
    control.say('drawing')
    pages = {result['sequences'][-1]['name']: published.pictures(frozen)}
    write_report(demo.out / 'report.html', result, pages, TITLE, lead(result['adaptation']) + sections(lines))
    return result


class _Published:
    """What was recorded of the ways through a drive.

    `versions` has the version by stamp of each, empty where what was said cannot be, which `problems` tells.
    """

    def __init__(self, demo: Demo, sequence: BagSequence, turns: list[Turn]):
        self._demo, self._sequence, self._turns = demo, sequence, turns
        self._results, self.versions, self.problems = [], [], []
        self._index = {stamp_ns: index for index, stamp_ns in enumerate(sequence.stamps_ns)}
        for number, turn in enumerate(turns, 1):
            stamps = set()
            self._results.append(self._evaluated(turn.perceived, f'way {number}, as served', turn.run.latencies_ms,
                                                 lambda i, n, sample, seen: stamps.add(seen.stamp_ns)))
            try:
                self.versions.append(answered_by(stamps, turn.told, turn.before))
            except ValueError as error:
                self.versions.append({})
                self.problems.append(f'way {number}: {error}')
        self._shown = max(range(len(turns)), key=lambda i: (max(self.versions[i].values(), default=0), i))

    def results(self, frozen: Path) -> dict:
        """Return the evaluation contract: the frozen weights, and each way through the drive."""
        first = self._evaluated(frozen, 'frozen weights')
        sums = {key: sum(r[key] for r in self._results) for key in ('frames_in', 'frames_perceived', 'frames_dropped')}
        return {'model': self._demo.model, 'protocol': self._results[0]['protocol'],
                'sequences': [first['sequences'][0], *(r['sequences'][0] for r in self._results)], **sums}

    def check(self, weights: Path, frozen: Perceptor) -> dict:
        """Hold frames beside every change, and some others, against the weights that are said to have answered them."""
        known, looked, wrong = {0: frozen}, 0, len(self.problems)
        for version in sorted({v for versions in self.versions for v in versions.values()} - {0}):
            files = sorted(weights.glob(f'v{version:06d}.safetensors*'))
            if files:
                known[version] = Perceptor.from_file(files[0], device=self._demo.device)
        for turn, versions in zip(self._turns, self.versions):
            stamps = {*beside_changes(versions), *list(versions)[:1], *list(versions)[-1:]}
            for stamp_ns, perception in self._perceptions(turn.perceived, stamps).items():
                if versions[stamp_ns] in known:
                    looked += 1
                    wrong += nearest_version(self._frame(stamp_ns), perception, known)[0] != versions[stamp_ns]
        frames = sum(len(versions) for versions in self.versions)
        changes = sum(len(beside_changes(versions)) // 2 for versions in self.versions)
        words = (f'{frames} published frames, each from one version by its stamp and model_info, with {changes} '
                 f'change{"s" if changes != 1 else ""} on the way; {looked} of them, those beside every change among them, were perceived again with the '
                 f'file of that version: {wrong} look like another')
        return {'versions_checked': '; '.join([words, *self.problems]), 'frames_of_another_version': wrong}

    def pictures(self, frozen: Path) -> dict[str, np.ndarray]:
        """Return some frames of the way that the newest version answered, by both weights; by caption."""
        turn, versions = self._turns[self._shown], self.versions[self._shown]
        newest = max(versions.values(), default=0)
        stamps = [stamp for stamp in sorted(versions) if versions[stamp] == newest]
        truth = [stamp for stamp in stamps if self._index[stamp] in set(self._sequence.frames_with_truth)]
        places = np.linspace(0, 1, PICTURES // 2 + 2)[1:-1]
        chosen = {of[round(place * (len(of) - 1))] for of in (truth, stamps) if of for place in places}
        served, fixed = (self._perceptions(path, chosen) for path in (turn.perceived, frozen))
        names = 'frozen', f'version {newest}' if newest else 'as served (nothing was promoted)'
        return {f'frame {self._index[stamp]}, way {self._shown + 1}': side_by_side(
            self._sequence[self._index[stamp]], fixed[stamp], served[stamp], names)
            for stamp in sorted(chosen) if stamp in served and stamp in fixed}

    def _evaluated(self, perceived: Path, name: str, latencies_ms=None, see=None) -> dict:
        result = evaluate_bags(self._sequence.path, perceived, self._demo.model, self._sequence.topics.image,
                               latencies_ms, see, self._demo.image_bits or AUTOMATIC)
        result['sequences'][0]['name'] = name
        return result

    def _perceptions(self, path: Path, stamps: set[int]) -> dict[int, Perception]:
        return {p.stamp_ns: p for p in perceived_frames(path) if p.stamp_ns in stamps}

    def _frame(self, stamp_ns: int) -> Frame:
        sample = self._sequence[self._index[stamp_ns]]
        return Frame(sample.image, 'rgb', sample.camera, stamp_ns)


def lead(adaptation: dict) -> str:
    """Return what a learner did as HTML: the plain sentence, versions by way, held-out errors."""
    rows = ''.join(
        f'<tr><td>way {number}</td><td>' + ', '.join(f'{"frozen" if not int(v) else f"version {v}"}: {count}'
                                                     for v, count in versions.items()) + '</td></tr>'
        for number, versions in enumerate(adaptation['by_version'], 1))
    errors = ''.join(
        f'<tr><td>{PARTS[name]}</td><td>{e["blocks"]}</td><td>{e["frozen"]:.4f}</td>'
        f'<td>{e["served"]:.4f}</td><td>{100 * (e["served_over_frozen"] - 1):+.1f} %</td></tr>'
        for name, e in adaptation['held_out'].items())
    table = _table(('Held-out blocks', 'Blocks', 'Frozen', 'Served', 'Change'), errors) if errors else ''
    return (f'<section id="adaptation"><h2>What the learner did</h2><div class="part"><p><strong>'
            f'{escape(adaptation["outcome"])}</strong></p><p>{escape(adaptation["versions_checked"])}.</p>'
            f'<p>The learner received {adaptation["learner_frames"][0]} images and missed {adaptation["learner_frames"][1]} '
            f'of them.</p>'
            f'{_table(("Frames answered by", ""), rows)}</div>'
            + (f'<div class="part"><h3>Photometric error on frames that were not learned from</h3>{table}</div>'
               if table else '') + '</section>')


def _table(heads: tuple[str, ...], rows: str) -> str:
    head = ''.join(f'<th>{name}</th>' for name in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
