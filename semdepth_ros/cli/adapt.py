"""`semdepth adapt`: let the learner take a recorded drive; draw what it did."""
from __future__ import annotations

import argparse
from pathlib import Path
import shutil

from semdepth_ros.cli import adapt_study
from semdepth_ros.cli.outputs import expect_folder

MODES, BASELINES = ('off', 'shadow', 'on'), ('naive', 'comoda', 'covio')
SCALES = ('auto', 'fused', 'odometry', 'camera_height', 'none')


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    text = ('semdepth adapt DRIVE --out DIR: every frame of a drive through the learner, in order; each is judged by '
            'the weights that were served before it came. DIR gets adapt.json, a journal, the promoted weights and '
            'report.html. semdepth adapt report DIR draws that report again from the journal. semdepth adapt branch '
            'MODEL FILE gives a model whose decoders share all their convolutions a branch on its depth side that can '
            'be adapted. semdepth adapt study CONFIG --out DIR runs what is missing of a declared study, a small file '
            'for each run, and writes its page.')
    parser = subparsers.add_parser('adapt', help='let a model learn from a drive, and serve only what is better',
                                   description=text)
    parser.add_argument('what', nargs='+', metavar='DRIVE | report DIR | branch MODEL FILE | study CONFIG',
                        help='world:PRESET[:SEED[:FRAMES]], a folder sequence, a bag or a video; or: report DIR; or: '
                             'branch MODEL FILE; or: study CONFIG')
    parser.add_argument('--model', default='default', metavar='FILE', help='the factory weights (default: %(default)s)')
    parser.add_argument('--out', type=Path, metavar='DIR', help='where adapt.json, journal and weights go')
    parser.add_argument('--force', action='store_true', help='replace the run that DIR holds')
    parser.add_argument('--mode', choices=MODES, help='shadow learns and never serves (default: on)')
    parser.add_argument('--baseline', choices=BASELINES, help='a published way to adapt instead of ours, without trial')
    parser.add_argument('--set', nargs='+', default=[], action='extend', metavar='KEY=VALUE', dest='settings',
                        help='settings of the learner, such as gates.least_travel_m=0.3')
    parser.add_argument('--no-odometry', action='store_true', help="do not tell the drive's poses")
    parser.add_argument('--scale', choices=SCALES, default='auto',
                        help='where the scaled columns have their scale from')
    parser.add_argument('--frames', type=int, metavar='N', help='at most so many of the drive')
    parser.add_argument('--passes', type=int, default=1, metavar='N', help='how often the drive is taken')
    parser.add_argument('--camera', metavar='FILE', help='a calibration in place of what the data has')
    parser.add_argument('--image-topic', metavar='TOPIC', help='which camera of a bag that has several')
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: %(default)s)')
    parser.add_argument('--input-pixels', type=int, default=0, metavar='N',
                        help="budget of the network's input; 0 leaves it to the model (default)")
    parser.add_argument('--after', action='append', default=[], metavar='DATA',
                        help='drives that the weights served at the end are judged on, without learning: what was forgotten')
    adapt_study.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Adapt and report, or report alone.

    :raises ValueError: an argument, drive, model or folder that cannot be used
    """
    if args.what[0] == 'branch':
        return _branch(args.what[1:])
    if args.what[0] == 'study':
        return adapt_study.run(args)
    from semdepth_ros.experiments.adaptation_page import write_page
    if args.what[0] == 'report':
        if len(args.what) != 2:
            raise ValueError(f'report takes one folder, got {args.what[1:]}')
        print(write_page(Path(args.what[1])))
        return 0
    if len(args.what) != 1 or args.out is None:
        raise ValueError(f'expected one drive and --out DIR, got {args.what} and --out {args.out}')
    for name in ('passes', 'frames'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise ValueError(f'--{name} is {getattr(args, name)}, expected at least 1')
    return _adapt(args, write_page)


def settings_from(texts: list[str], mode: str | None = None, baseline: str | None = None):
    """Return the learner's settings: a baseline's where one is named, then KEY=VALUE texts, then the mode.

    :raises ValueError: a key or value that is unknown, naming what was expected
    """
    from semdepth_ros.adaptation import AdapterSettings
    from semdepth_ros.experiments.adaptation_baselines import baseline as baseline_settings
    from semdepth_ros.settings import build, merged, nested, settings_of
    content = merged(baseline_settings(baseline) if baseline else {}, nested(settings_of(texts)))
    return build(AdapterSettings, content | ({'mode': mode} if mode else {}), 'adaptation')


def _branch(files: list[str]) -> int:
    from semdepth_ros.adaptation.branch import with_branch
    from semdepth_ros.cli.outputs import expect_writable
    from semdepth_ros.model_file import find_model, read_model
    from semdepth_ros.networks import network_of, save_network
    if len(files) != 2:
        raise ValueError(f'branch takes a model and the file to write, got {files}')
    expect_writable(files[1])
    tensors, card = read_model(find_model(files[0]))
    probes = [tensors[f'probe.{i}.image'].numpy() for i in range(2)]
    network, card = with_branch(network_of(tensors, card), card)
    save_network(files[1], network, card, probes)
    print(f'{files[1]}: as {files[0]}, with a branch on its depth side')
    return 0


def _adapt(args: argparse.Namespace, write_page) -> int:
    from semdepth_ros.cli.progress import Progress
    from semdepth_ros.data import open_data
    from semdepth_ros.experiments.adaptation_run import JOURNAL, DriveRun, adapt_drive
    from semdepth_ros.networks import load_network
    settings = settings_from(args.settings, args.mode, args.baseline)
    options = {'image_topic': args.image_topic} if args.image_topic else {}
    sequences = open_data(args.what[0], camera=args.camera, **options)
    if len(sequences) != 1:
        raise ValueError(f'{args.what[0]!r} has {len(sequences)} sequences, expected one drive')
    after = [sequence for spec in args.after for sequence in open_data(spec)]
    expect_folder(args.out)
    if (args.out / JOURNAL).exists():
        if not args.force:
            raise ValueError(f'{args.out} holds a run already: name another folder, or --force')
        for old in (*args.out.glob(f'{JOURNAL}*'), *(args.out / 'weights').glob('v*')):
            old.unlink() if old.is_file() else shutil.rmtree(old)
    network, card = load_network(args.model)
    how = DriveRun(not args.no_odometry, args.scale, args.passes, args.frames)
    with Progress('frames') as progress:
        result = adapt_drive(sequences[0], network, card, settings, args.out, how, args.device, args.input_pixels,
                             args.baseline or str(args.model), progress, after)
    print(summary(result))
    print(write_page(args.out))
    return 0


def summary(result: dict) -> str:
    """Return what came of a run in a few lines."""
    lines = [f'{result["drive"]}: {result["frames"]} frames, {result["accepted_steps"]} of {result["steps"]} steps '
             f'kept, {result["promotions"]} promotions, {result["rejections"]} rejected, {result["rollbacks"]} rolled '
             'back']
    if result['gates']:
        lines.append('turned away: ' + ', '.join(f'{name} {count}' for name, count in sorted(
            result['gates'].items(), key=lambda item: -item[1])))
    for part, errors in result['held_out'].items():
        lines.append(f'held-out photometric error, {part.replace("_", " ")}: {errors["frozen"]:.4f} frozen, '
                     f'{errors["served"]:.4f} served ({100 * (errors["served_over_frozen"] - 1):+.1f} %) on '
                     f'{errors["blocks"]} blocks')
    for name in ('frozen', 'scale_only', 'weights_only', 'adapted'):
        depth = result[name]['sequences'][0].get('depth', {})
        if 'unscaled' in depth:
            lines.append(f'{name}: Abs Rel {depth["unscaled"]["abs_rel"]:.3f} unscaled, '
                         f'{depth["median_scaled"]["abs_rel"]:.3f} median-scaled')
    said = result['metric_scale']['served']
    if 'metric' in said:
        lines.append(f'metric scale: off by {100 * said["error"]:.1f} % in the median of {said["frames"]} frames, said to be '
                     f'metric in {100 * said["metric"]:.0f} %'
                     + (f': off by {100 * said["metric_error"]:.1f} %, at worst {100 * said["metric_worst"]:.1f} %'
                        if said['metric'] else ''))
    for pair in zip(*(result.get('after', {}).get(name, {}).get('sequences', ()) for name in ('frozen', 'served'))):
        scaled = [one.get('depth', {}).get('median_scaled') for one in pair]
        if None not in scaled:
            lines.append(f'{pair[0]["name"]} afterwards: Abs Rel {scaled[0]["abs_rel"]:.3f} frozen, '
                         f'{scaled[1]["abs_rel"]:.3f} served, median-scaled')
    return '\n'.join([*lines, *([result['last_verdict']] if result['last_verdict'] else [])])
