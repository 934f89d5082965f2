"""`semdepth filter DATA... --model M --out FILE`: which training images a model sees through the ground in."""
from __future__ import annotations

import argparse
from pathlib import Path

from semdepth_ros.cli.outputs import expect_folder, expect_writable
from semdepth_ros.cli.progress import Progress
from semdepth_ros.settings import settings_of

LABELS = ('model', 'true', 'noisy')


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('filter', help='list training images with holes in the road', description=(
        'Find the images in which a model puts much below the plane of the road, as it does with vehicles that drive '
        'ahead at the own speed and that it takes to be infinitely far away. A training leaves out what the list '
        'names: filter: FILE beside the data in a recipe. The same command goes on after Ctrl-C.'))
    parser.add_argument('data', nargs='+', metavar='DATA', help="as in a recipe's data: a folder sequence, a folder of "
                        'them, a pattern of such paths in quotes, a bag, world:PRESET[:SEED[:FRAMES]]')
    parser.add_argument('--model', default='default', metavar='FILE', help='a model file, or default')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE', help='the list, JSON')
    parser.add_argument('--labels', choices=LABELS, default='model', help="whose classes say where road is, and what "
                        "can count: the model's (default), or the data's true or noisy ones")
    parser.add_argument('--set', nargs='+', default=[], metavar='KEY=VALUE', dest='settings', help='what is too much: '
                        'below [heights of the lens], share (of the pixels), within (movable, labelled, all), reach '
                        '[heights], inliers, lean_deg')
    parser.add_argument('--pictures', type=Path, metavar='DIR', help='where a picture of every flagged image, and a '
                        'table of them, goes; default: FILE without its suffix, and _flagged')
    parser.add_argument('--no-pictures', action='store_true', help='make none')
    parser.add_argument('--split', default='train', help='of worlds; default train')
    parser.add_argument('--camera', type=Path, metavar='FILE', help='a calibration in place of what the data has')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: %(default)s)')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Look at all images, write the list and pictures, print a table.

    :raises ValueError: data, a model or a setting that cannot be used, in one line
    """
    from semdepth_ros.experiments.depth_perceptor import perceiver
    from semdepth_ros.settings import build
    from semdepth_ros.training.filtering.rule import FilterRule
    from semdepth_ros.training.filtering.survey import FilterSource, find_flagged
    from semdepth_ros.training.filtering.table import summary
    from semdepth_ros.training.recipe import DataEntry
    rule = build(FilterRule, settings_of(args.settings), '--set')
    pictures = None if args.no_pictures else args.pictures or args.out.with_name(f'{args.out.stem}_flagged')
    expect_writable(args.out)
    expect_folder(pictures)
    sources = [FilterSource(DataEntry(spec, options=_options(spec, args)), args.labels) for spec in args.data]
    perceive, model = perceiver(args.model, args.device)
    with Progress('images') as progress:
        flags = find_flagged(sources, perceive, rule, args.out, model, pictures, progress=progress)
    print(summary(flags))
    print(f'list: {args.out}' + (f'\npictures: {pictures}' if pictures else ''))


def _options(spec: str, args: argparse.Namespace) -> dict:
    world = {'split': args.split} if spec.startswith('world:') else {}
    return world | ({'camera': str(args.camera)} if args.camera else {})
