"""`semdepth train RECIPE`: train a model, leave checkpoints and logs, write the model file."""
from __future__ import annotations

import argparse
import math
import re
from dataclasses import replace

from semdepth_ros.cli.outputs import expect_writable
from semdepth_ros.cli.train_arguments import again, begun_from, seeded
from semdepth_ros.cli.train_two_stage import add_arguments, expect_fitting, train_two_stages
from semdepth_ros.settings import settings_of


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('train', help='train a model from a recipe', description=(
        'Train self-supervised from consecutive frames, as the recipe says. What data is: world:PRESET[:SEED[:FRAMES]], '
        'a folder sequence, a folder of them, a pattern of such paths, or a bag.'))
    parser.add_argument('recipe', metavar='RECIPE', help='a YAML file, or the name of a recipe of the package')
    parser.add_argument('--out', required=True, metavar='DIR', help='where checkpoints and logs go')
    parser.add_argument('--data', nargs='+', metavar='SPEC[@WEIGHT]', help="training data instead of the recipe's; "
                        "labels, strides and so on are those of the recipe's first entry")
    parser.add_argument('--val', nargs='+', metavar='SPEC', help="validation data instead of the recipe's")
    parser.add_argument('--labels', choices=('true', 'noisy', 'none'), help='which labels of --data teach the classes')
    parser.add_argument('--set', nargs='+', default=[], metavar='KEY=VALUE', dest='settings',
                        help='replace values of the recipe, such as losses.velocity=0.1')
    parser.add_argument('--steps', type=int, help="length of the training instead of the recipe's")
    parser.add_argument('--minutes', type=float, metavar='M', help="train for this time instead: the pace is measured and "
                        'the schedule fitted into it, so that a lunch break or a borrowed machine is used to the end')
    parser.add_argument('--init', metavar='MODEL', help='start from the weights of this model file, and its '
                        "architecture; guidance is the recipe's where that names some")
    parser.add_argument('--resume', action='store_true', help="continue from DIR's last checkpoint")
    parser.add_argument('--export', metavar='FILE', help='write the model file at the end')
    parser.add_argument('--device', default='auto', choices=('auto', 'cpu', 'cuda'))
    parser.add_argument('--devices', type=int, default=1, metavar='N', help='devices of each machine')
    parser.add_argument('--nodes', type=int, default=1, metavar='N', help='machines')
    parser.add_argument('--strategy', default='auto', help="Lightning Fabric's strategy, such as ddp")
    add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, export, say where things are; return 130 where Ctrl-C ended it.

    :raises ValueError: a recipe, data, checkpoint or model file that cannot be used, in one line
    """
    from semdepth_ros.networks import build_network
    from semdepth_ros.training.export import export_model
    from semdepth_ros.training.recipe_file import read_recipe
    from semdepth_ros.training.trainer import build_fabric, train
    settings = settings_of(args.settings) | ({} if args.steps is None else {'steps': args.steps})
    recipe = _with_data(read_recipe(args.recipe, settings), args)
    expect_writable(args.export)
    if args.minutes is not None and not (args.steps is None and 0 < args.minutes < math.inf):
        raise ValueError(f'--minutes is {args.minutes:g}, expected a positive number, and no --steps beside it')
    expect_fitting(args)
    was_metric = False
    if args.init:
        network, card = begun_from(args.init, recipe)
        was_metric = card.metric
        recipe = replace(recipe, architecture=network.architecture, focal_px=card.focal_px)
    else:
        network = seeded(recipe.seed, build_network, recipe.architecture)

    def is_metric(result) -> bool:
        losses = recipe.losses
        return losses.depth.weight > 0 or losses.velocity.weight > 0 and (result.travel_known or was_metric)

    if args.two_stage:
        return train_two_stages(args, recipe, network, is_metric)
    fabric = build_fabric(recipe, args.device, args.devices, args.nodes, args.strategy)
    result = train(recipe, network, fabric, args.out, resume=args.resume, minutes=args.minutes)
    if args.minutes is not None:
        recipe = replace(recipe, steps=result.step)
    if not fabric.is_global_zero:
        return 0
    if result.interrupted:
        print(f'stopped after step {result.step} of {recipe.steps}; continue with: {again(args)}')
        return 130
    print(f'{result.step} steps done; checkpoint in {result.checkpoint}')
    if args.export:
        export_model(args.export, result.network, recipe, result.step, result.frames, is_metric(result),
                     classes_taught=bool(args.init) or recipe.losses.semantic.weight > 0)
        print(f'model in {args.export}')
    return 0


def _with_data(recipe, args: argparse.Namespace):
    """Return the recipe with the data named on the command line in place of its own."""
    from semdepth_ros.training.recipe import DataEntry
    model = recipe.data[0] if recipe.data else DataEntry('')
    if args.labels:
        model = replace(model, labels=args.labels)
        recipe = replace(recipe, data=tuple(replace(entry, labels=args.labels) for entry in recipe.data))
    if args.data:
        recipe = replace(recipe, data=tuple(_entry(model, spec) for spec in args.data))
    if args.val:
        recipe = replace(recipe, validation=tuple(DataEntry(spec, options=_towns(spec, 'val')) for spec in args.val))
    return recipe


def _entry(model, spec: str):
    weighted = re.fullmatch(r'(.+)@(\d+(?:\.\d+)?)', spec)
    source, weight = weighted.groups() if weighted else (spec, 1.0)
    return replace(model, source=source, weight=float(weight), options=_towns(source, 'train'))


def _towns(source: str, split: str) -> dict:
    """Return the options that keep a world's test towns, which others are evaluated on, out of training."""
    return {'split': split} if source.startswith('world:') else {}
