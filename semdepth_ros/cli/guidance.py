"""`semdepth guidance MODEL DATA`: what the guidance of a model does to its depth, in figures and as a picture."""
from __future__ import annotations

import argparse
import json
from pathlib import Path

from semdepth_ros.cli.outputs import expect_writable
from semdepth_ros.cli.progress import Progress
from semdepth_ros.cli.world import PICTURE_SUFFIXES, parse_size

PLACES = ((0.75, 0.5), (0.5, 0.5), (0.5, 0.15))   # shares of height and width: road, ahead, a roadside


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('guidance', help='look at what guidance does to depth', description=(
        'Run a guided model with and without its guidance: how far features move at each level and depth in each part '
        'of the frames; with --picture also the maps of modulation, what attention looks at, and the edge points.'))
    parser.add_argument('model', metavar='MODEL', help='model file')
    parser.add_argument('data', nargs='+', metavar='DATA', help='as of evaluate: world:PRESET[:SEED[:FRAMES]] ...')
    parser.add_argument('--size', type=parse_size, metavar='WxH', help="what frames are cut to [px], multiples of 32; "
                        "default: the model's")
    parser.add_argument('--max-frames', type=int, default=10, metavar='N', help='at most N frames of each sequence, '
                        'spread evenly (default: %(default)s)')
    parser.add_argument('--given', action='store_true', help='give guidance the true labels, as in training')
    parser.add_argument('--picture', metavar='FILE.png', help='draw one frame')
    parser.add_argument('--frame', type=int, default=0, metavar='N', help='which of the frames looked at is drawn')
    parser.add_argument('--json', type=Path, metavar='F', help='write the figures here')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, print a table, and write what was asked for.

    :raises ValueError: a model without guidance, or data or a number that cannot be used
    """
    if args.picture and Path(args.picture).suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(f'--picture is {args.picture}, expected a name that ends in {" or ".join(PICTURE_SUFFIXES)}')
    expect_writable(args.picture, args.json)
    from semdepth_ros.networks import load_network
    from semdepth_ros.training.guidance_survey import guided, survey
    network, card = load_network(args.model)
    if card.architecture['guidance'] == {'kind': 'plain'}:
        raise ValueError(f'{args.model} has no guidance, expected a model that has one')
    frames = _frames(args, args.size or usual_size(card.input.pixels))
    if not 0 <= args.frame < len(frames):
        raise ValueError(f'--frame is {args.frame}, expected 0 to {len(frames) - 1}')
    if args.given and not all('true' in frame.labels for frame in frames):
        raise ValueError(f'{" ".join(args.data)}: not all frames have labels, and --given gives them')
    result = {'model': args.model, 'frames': len(frames), 'given': args.given,
              **survey(network, frames, card.depth_range_m, args.given)}
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, allow_nan=False) + '\n', encoding='utf-8')
    if args.picture:
        from semdepth_ros.data.pictures import write_picture
        from semdepth_ros.training.guidance_picture import guidance_sheet
        frame = frames[args.frame]
        height, width = frame.image.shape[-2:]
        places = tuple((int(height * down), int(width * right)) for down, right in PLACES)
        seen = guided(network, frame, card.depth_range_m, args.given, places)
        write_picture(Path(args.picture), guidance_sheet(frame, seen))
        print(args.picture)


def usual_size(pixels: int) -> tuple[int, int]:
    """Return width and height of an input of about so many pixels, multiples of 32, wide as a road: 640x192, 416x128."""
    height = max(round((0.3 * pixels) ** 0.5 / 32), 1) * 32
    return max(round(pixels / height / 32), 1) * 32, height


def table(result: dict) -> str:
    """Return the figures of a survey in plain text."""
    parts = list(result['depth'])
    lines = [f'{result["frames"]} frames; mean |ln(depth with / without guidance)|, and |change| / |features| of levels',
             f'{"":32}' + ''.join(f'{part:>12}' for part in parts)]
    for name, row in {'depth': result['depth'], **result['levels']}.items():
        cells = ''.join(f'{"-" if value is None else format(value, ".4f"):>12}' for value in row.values())
        alpha = f'   alpha {result["attention"][name]:.4f}' if name in result['attention'] else ''
        lines.append(f'{name:32}{cells}{alpha}')
    return '\n'.join(lines)


def _frames(args: argparse.Namespace, size: tuple[int, int]) -> list:
    from semdepth_ros.data import open_data
    from semdepth_ros.training.pair_survey import survey_frames
    frames = []
    for spec in args.data:
        for sequence in open_data(spec):
            with Progress(f'{sequence.name}: frames') as progress:
                for done, frame in enumerate(survey_frames(sequence, size, args.max_frames), start=1):
                    frames.append(frame)
                    progress(done, min(args.max_frames, len(sequence)))
    return frames
