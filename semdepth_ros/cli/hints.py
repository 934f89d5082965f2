"""`semdepth hints DATA --model M`: how often hints and refined labels are right, and pictures of them."""
from __future__ import annotations

import argparse
import json
from pathlib import Path

from semdepth_ros.cli.outputs import expect_folder
from semdepth_ros.cli.progress import Progress
from semdepth_ros.cli.world import parse_size
from semdepth_ros.settings import settings_of

DEPTH_COLUMNS = {'proposed': 'proposed', 'proposed_nearer': 'nearer', 'accepted': 'accepted', 'accepted_nearer': 'nearer',
                 'own_error': 'own |ln|', 'hint_error': 'hint |ln|'}
LABEL_WORDS = {'wrong': 'wrong as given', 'network_wrong': 'wrong as predicted', 'changed': 'changed',
               'changed_right': '  of these right now', 'mended': 'mended, of the wrong',
               'spoiled': 'spoiled, of the right',
               'undecided': 'undecided', 'undecided_wrong': '  of these wrong as given',
               'wrong_after': 'wrong, of those still labelled'}


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('hints', help='look at depth hints and refined labels', description=(
        'Refine the depth and the labels of frames as training would from here on, and say by their truth how often an '
        'accepted hint is nearer to it than the depth of the model, and how many changed labels are right.'))
    parser.add_argument('data', nargs='+', metavar='DATA', help='as of evaluate: world:PRESET[:SEED[:FRAMES]] ...')
    parser.add_argument('--model', required=True, metavar='FILE', help='whose depth, motion and classes are looked at')
    parser.add_argument('--recipe', default='semhint', metavar='RECIPE', help='whose losses.hint and losses.semantic.'
                        'refinement are followed (default: %(default)s)')
    parser.add_argument('--set', nargs='+', default=[], metavar='KEY=VALUE', dest='settings',
                        help='replace values of the recipe, such as losses.hint.margin=0.1')
    parser.add_argument('--size', type=parse_size, metavar='WxH', help="what frames are cut to [px]; default: the "
                        "recipe's first size")
    parser.add_argument('--stride', type=int, default=1, metavar='N', help='frames between neighbours; default 1')
    parser.add_argument('--labels', choices=('noisy', 'true'), default='noisy', help='which labels are refined, where a '
                        'frame has noisy ones (default: %(default)s)')
    parser.add_argument('--flip-rate', type=float, metavar='R', help='worlds also get labels of which this share is of '
                        'another class')
    parser.add_argument('--max-frames', type=int, default=10, metavar='N', help='at most N frames of each sequence, '
                        'spread evenly (default: %(default)s)')
    parser.add_argument('--out', metavar='DIR', help='write hints.json and pictures here')
    parser.add_argument('--pictures', type=int, default=6, metavar='N', help='how many frames are drawn, spread evenly '
                        '(default: %(default)s)')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, print two tables, and write what was asked for.

    :raises ValueError: data, a recipe, a model or a number that cannot be used
    """
    for name, least in (('stride', 1), ('max_frames', 1), ('pictures', 0)):
        if getattr(args, name) < least:
            raise ValueError(f'--{name.replace("_", "-")} is {getattr(args, name)}, expected at least {least}')
    expect_folder(args.out)
    from semdepth_ros.networks import load_network
    from semdepth_ros.training.hint_survey import DepthSurvey, LabelSurvey, look
    from semdepth_ros.training.recipe_file import read_recipe
    recipe = read_recipe(args.recipe, settings_of(args.settings))
    network, card = load_network(args.model)
    frames = _frames(args, args.size or recipe.sizes[0])
    depth, labels = DepthSurvey(), LabelSurvey()
    for number, frame in enumerate(frames):
        seen = look(network, frame, recipe.losses, card.focal_px)
        depth.add(frame, seen)
        labels.add(frame, seen)
        if args.out and number in _spread(len(frames), args.pictures):
            _draw(Path(args.out) / f'{number:03d}.png', frame, seen)
    result = {'model': str(args.model), 'recipe': args.recipe, 'size': list(frames[0].batch.images.shape[:2:-1]),
              'frames': len(frames), 'hints': depth.result(), 'labels': labels.result()}
    print(table(result))
    if args.out:
        text = json.dumps(result, indent=1, allow_nan=False) + '\n'
        (Path(args.out) / 'hints.json').write_text(text, encoding='utf-8')
        print(args.out)


def table(result: dict) -> str:
    """Return the figures in plain text."""
    width, height = result['size']
    lines = [f'{result["frames"]} frames {width}x{height}. Hints: shares of all pixels; nearer: share of those that are '
             'nearer the truth than the depth of the model',
             f'{"":8} ' + ' '.join(f'{name:>9}' for name in DEPTH_COLUMNS.values())]
    for kind, row in result['hints'].items():
        lines.append(f'{kind:8} ' + ' '.join(_cell(row[name]) for name in DEPTH_COLUMNS))
    lines.append('Labels')
    lines += [f'{words:32} {_cell(result["labels"][name])}' for name, words in LABEL_WORDS.items()]
    return '\n'.join(lines)


def _cell(value: float | None) -> str:
    return f'{"-":>9}' if value is None else f'{value:9.3f}'


def _frames(args: argparse.Namespace, size: tuple[int, int]) -> list:
    from semdepth_ros.data import open_data
    from semdepth_ros.training.hint_survey import hint_frames
    from semdepth_ros.world import default_camera
    frames = []
    for spec in args.data:
        options = {}
        if spec.startswith('world:'):
            options = {'camera': default_camera(spec.split(':')[1], size)}
            if args.flip_rate is not None:
                options['label_noise'] = {'flip_rate': args.flip_rate, 'missing_rate': 0.0, 'border_rate': 0.0}
        for sequence in open_data(spec, **options):
            with Progress(f'{sequence.name}: frames') as progress:
                for done, frame in enumerate(hint_frames(sequence, size, args.max_frames, args.stride, args.labels), 1):
                    frames.append(frame)
                    progress(done, args.max_frames)
    if not frames:
        raise ValueError(f'{" ".join(args.data)}: no frame has neighbours {args.stride} frames away')
    return frames


def _spread(count: int, most: int) -> set[int]:
    """Return at most so many numbers below count, spread evenly."""
    return {round(i * (count - 1) / max(most - 1, 1)) for i in range(min(most, count))}


def _draw(path: Path, frame, seen) -> None:
    from semdepth_ros.data.pictures import write_picture
    from semdepth_ros.training.hint_picture import hint_sheet
    write_picture(path, hint_sheet(frame, seen))
