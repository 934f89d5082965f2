"""``semdepth evaluate``: a model against the truth, in figures and pictures."""
from __future__ import annotations

import argparse
from collections.abc import Iterable
import json
import math
from pathlib import Path
import sys

from semdepth_ros.bags.bag_path import is_bag
from semdepth_ros.cli.outputs import expect_folder, expect_writable
from semdepth_ros.data import open_data
from semdepth_ros.evaluation import (Album, check_baseline, evaluate, evaluate_sequence, fit_baseline, with_truth,
                                     write_report)
from semdepth_ros.evaluation.protocol import PROTOCOL

BASELINE = 'baseline:'


def add_parser(subparsers) -> None:
    """Describe the command's arguments."""
    parser = subparsers.add_parser('evaluate', help='compare a model with the truth; figures and a report',
                                   description='Perceive sequences and compare with their true depth and classes.')
    parser.add_argument('--model', default='default',
                        help='a model file, default, baseline:constant or baseline:row (default: %(default)s)')
    parser.add_argument('--data', nargs='+', required=True, action='extend', metavar='SPEC',
                        help='world:PRESET[:SEED[:FRAMES]], folder sequences, bags, videos')
    parser.add_argument('--json', type=Path, metavar='F', help='write the figures here')
    parser.add_argument('--report', type=Path, metavar='DIR', help='write report.html and pictures/ here')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: %(default)s)')
    parser.add_argument('--input-pixels', type=int, default=0, metavar='N',
                        help="budget of the network's input; 0 leaves it to the model (default)")
    parser.add_argument('--max-frames', type=_positive, metavar='N', help='at most N frames a sequence, spread evenly')
    parser.add_argument('--camera', type=Path, metavar='FILE', help='a calibration in place of what the data has')
    parser.add_argument('--image-topic', metavar='TOPIC', help='which camera of a bag that has several')
    parser.add_argument('--image-bits', type=int, default=0, metavar='N',
                        help='how many of 16 bits the images of bags and folders use; default: told by the first')
    parser.add_argument('--fit', nargs='+', action='extend', metavar='SPEC',
                        help='data that a baseline is fitted on; without it, on all the other --data')
    parser.add_argument('--pictures', type=_not_negative, default=3, metavar='N',
                        help='frames a sequence in the report')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print a table, and write what was asked for."""
    if args.model.startswith(BASELINE):
        check_baseline(args.model.removeprefix(BASELINE))
    sequences = _unique(_opened(args.data, args))
    expect_writable(args.json)
    expect_folder(args.report)
    album = Album(args.pictures if args.report else 0)
    if args.model.startswith(BASELINE):
        result = _evaluate_baseline(args, sequences, album)
    else:
        from semdepth_ros.perception import Perceptor
        perceptor = Perceptor.from_file(args.model, device=args.device, max_range_m=math.inf,
                                        input_pixels=args.input_pixels)
        result = evaluate(perceptor, sequences, args.model, args.max_frames, album, _show_progress)
    print(summary(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2, allow_nan=False) + '\n')
    if args.report:
        print(f'report: {write_report(args.report, result, album.pages)}')
    return 0


def summary(result: dict) -> str:
    """Return a table of a result's main figures, in plain text."""
    lines = [f'{"sequence":36} {"frames":>6}  {"Abs Rel: unscaled":>17} {"one scale":>9} {"median":>7} {"mIoU":>6} '
             f'{"p50 ms":>8}']
    for sequence in result['sequences']:
        depth, classes = sequence.get('depth', {}), sequence.get('semantics', {})
        figures = [depth.get(name, {}).get('abs_rel') for name in ('unscaled', 'one_scale', 'median_scaled')]
        remarks = [f' {word}{with_truth(part)}' for word, part in (('depth', depth), ('classes', classes))
                   if part.get('frames', sequence['frames']) < sequence['frames']]
        cells = [_cell(value, width) for value, width in zip([*figures, classes.get('miou')], (17, 9, 7, 6))]
        lines.append(f'{sequence["name"]:36} {sequence["frames"]:6}  {" ".join(cells)} '
                     f'{sequence["latency_ms"]["p50"]:8.1f}' + ','.join(remarks))
        lines += [f'  {count} left out: {reason}' for reason, count in sequence.get('left_out', {}).items()]
    return '\n'.join(lines)


def _evaluate_baseline(args: argparse.Namespace, sequences: list, album: Album) -> dict:
    kind = args.model.removeprefix(BASELINE)
    fit = _opened(args.fit or (), args)
    if not fit and len(sequences) < 2:
        raise ValueError(f'{args.model} has nothing to be fitted on: name data with --fit, or several with --data')
    results = [evaluate_sequence(fit_baseline(kind, fit or [s for s in sequences if s is not sequence]), sequence,
                                 args.max_frames, album, _show_progress) for sequence in sequences]
    return {'model': args.model, 'protocol': PROTOCOL, 'sequences': results}


def _opened(specs: Iterable[str], args: argparse.Namespace) -> list:
    return [sequence for spec in specs for sequence in open_data(spec, camera=args.camera, **_options(spec, args))]


def _options(spec: str, args: argparse.Namespace) -> dict:
    """Return what the reader of this data is told of its images: folders have one camera, worlds and videos bytes."""
    known = {'image_topic': args.image_topic, 'image_bits': args.image_bits}
    takes = known if is_bag(spec) else ('image_bits',) if Path(spec).expanduser().is_dir() else ()
    return {name: known[name] for name in takes if known[name]}


def _unique(sequences: list) -> list:
    """Number the names that several sequences share: a name is how tables, pictures and links tell them apart."""
    seen: dict[str, int] = {}
    for sequence in sequences:
        seen[sequence.name] = seen.get(sequence.name, 0) + 1
        if seen[sequence.name] > 1:
            sequence.name += f'_{seen[sequence.name]}'
    return sequences


def _show_progress(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f'\r{name}: {done}/{total}', end='' if done < total else '\n', file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a positive number')
    return int(text)


def _not_negative(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f'{text!r} is not zero or a positive number')
    return int(text)


def _cell(value: float | None, width: int) -> str:
    return f'{value:{width}.3f}' if value is not None else ' ' * (width - 1) + '-'
