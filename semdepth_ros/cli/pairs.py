"""`semdepth pairs DATA`: how often the ranking loss's pairs are what labels say of them, and a picture of them."""
from __future__ import annotations

import argparse
import json
from pathlib import Path

from semdepth_ros.cli.outputs import expect_writable
from semdepth_ros.cli.progress import Progress
from semdepth_ros.cli.world import PICTURE_SUFFIXES, parse_size
from semdepth_ros.settings import settings_of


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('pairs', help="look at the ranking loss's pairs of points", description=(
        'Draw pairs of points as the ranking loss does, and say how often true depth agrees with what labels make of '
        'them: with naive and with robust sampling, from true and from noisy labels, whichever the data has.'))
    parser.add_argument('data', nargs='+', metavar='DATA', help='as of evaluate: world:PRESET[:SEED[:FRAMES]] ...')
    parser.add_argument('--recipe', default='ssfm_srl', metavar='RECIPE', help='whose losses.ranking is looked at '
                        '(default: %(default)s)')
    parser.add_argument('--set', nargs='+', default=[], metavar='KEY=VALUE', dest='settings',
                        help='replace values of the recipe, such as losses.ranking.pairs.skip=4')
    parser.add_argument('--size', type=parse_size, metavar='WxH', help="what frames are cut to [px]; default: the "
                        "recipe's first size")
    parser.add_argument('--max-frames', type=int, default=10, metavar='N', help='at most N frames of each sequence, '
                        'spread evenly (default: %(default)s)')
    parser.add_argument('--label-noise', action='store_true', help='worlds, rendered 640 px wide at least, also get '
                        'labels that are wrong')
    parser.add_argument('--model', metavar='FILE', help='also weight pairs by the certainty of this model')
    parser.add_argument('--picture', metavar='FILE.png', help='draw the pairs of one frame')
    parser.add_argument('--frame', type=int, default=0, metavar='N', help='which of the frames looked at is drawn')
    parser.add_argument('--json', type=Path, metavar='F', help='write the figures here')
    parser.add_argument('--seed', type=int, default=0, help='of what is drawn at random')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, print a table, and write what was asked for.

    :raises ValueError: data, a recipe, a model or a number that cannot be used
    """
    if args.picture and Path(args.picture).suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(f'--picture is {args.picture}, expected a name that ends in {" or ".join(PICTURE_SUFFIXES)}')
    expect_writable(args.picture, args.json)
    from semdepth_ros.training.pair_survey import survey
    from semdepth_ros.training.recipe_file import read_recipe
    recipe = read_recipe(args.recipe, settings_of(args.settings))
    frames = _frames(args, args.size or recipe.sizes[0])
    if not 0 <= args.frame < len(frames):
        raise ValueError(f'--frame is {args.frame}, expected 0 to {len(frames) - 1}')
    result = {'recipe': args.recipe, 'size': list(frames[0].image.shape[:0:-1]), 'frames': len(frames),
              'labels': survey(frames, recipe.losses.ranking, _logits_of(args.model), args.seed)}
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, allow_nan=False) + '\n', encoding='utf-8')
    if args.picture:
        from semdepth_ros.data.pictures import write_picture
        from semdepth_ros.training.pair_picture import pair_sheet
        write_picture(Path(args.picture), pair_sheet(frames[args.frame], recipe.losses.ranking, args.seed))
        print(args.picture)


def table(result: dict) -> str:
    """Return the figures of a survey in plain text."""
    width, height = result['size']
    lines = [f'{result["frames"]} frames {width}x{height}: apart is right with a step |ln z0 - ln z1| > 0.1, together '
             'below 0.05', f'{"labels":7} {"sampling":17} {"pairs":22} {"a frame":>7} {"right":>6} {"slope of the rest":>17}']
    for kind, arms in result['labels'].items():
        for arm, families in arms.items():
            for name, row in families.items():
                cells = [f'{row[key]:{size}.3f}' if row[key] is not None else ' ' * (size - 1) + '-'
                         for key, size in (('right', 6), ('slope_of_rest', 17))]
                lines.append(f'{kind:7} {arm:17} {name:22} {row["pairs_a_frame"]:7.0f} {" ".join(cells)}')
    return '\n'.join(lines)


def _frames(args: argparse.Namespace, size: tuple[int, int]) -> list:
    from semdepth_ros.data import open_data
    from semdepth_ros.losses.pair_sampling import SAID_AT
    from semdepth_ros.training.pair_survey import survey_frames
    from semdepth_ros.world import default_camera
    frames = []
    finer = max(SAID_AT / size[0], 1)
    rendered = round(size[0] * finer), round(size[1] * finer)
    for spec in args.data:
        options = {}
        if spec.startswith('world:'):
            options = {'camera': default_camera(spec.split(':')[1], rendered)}
            options |= {'label_noise': {}} if args.label_noise else {}
        for sequence in open_data(spec, **options):
            with Progress(f'{sequence.name}: frames') as progress:
                for done, frame in enumerate(survey_frames(sequence, size, args.max_frames), start=1):
                    frames.append(frame)
                    progress(done, min(args.max_frames, len(sequence)))
    if not any(frame.labels for frame in frames):
        raise ValueError(f'{" ".join(args.data)}: no frame has labels')
    return frames


def _logits_of(model: str | None):
    if model is None:
        return None
    from semdepth_ros.networks import load_network
    network, _ = load_network(model)
    return lambda image: network.eval()(image).logits
