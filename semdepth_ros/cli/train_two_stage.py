"""`semdepth train RECIPE --two-stage`: train, filter the training data, train anew on the rest."""
from __future__ import annotations

import argparse
import copy
import shutil
from collections.abc import Callable
from pathlib import Path

from semdepth_ros.cli.progress import Progress
from semdepth_ros.cli.train_arguments import again


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only two stages take to the parser of `semdepth train`."""
    group = parser.add_argument_group('two stages', 'after Guizilini et al. 2020, against cars at the own speed')
    group.add_argument('--two-stage', action='store_true', help='train into DIR/stage1, list the images with holes in '
                       'the road in DIR/filter.json, train on the others into DIR/stage2; --resume goes on in any part')
    group.add_argument('--second-from', choices=('start', 'stage1'), default='start', help='the weights stage 2 begins '
                       'with: those stage 1 began with (default), or those it came to')
    group.add_argument('--filter-set', nargs='+', default=[], metavar='KEY=VALUE', help='as --set of semdepth filter')
    group.add_argument('--filter-labels', choices=('model', 'true', 'noisy'), help="whose classes say where road is; "
                       "default: the model's where the recipe teaches classes, else the data's")


def expect_fitting(args: argparse.Namespace) -> None:
    """Raise ValueError where arguments do not go together."""
    if not args.two_stage:
        if args.filter_set or args.filter_labels or args.second_from != 'start':
            raise ValueError('--second-from, --filter-set and --filter-labels are of --two-stage, which is not given')
        return
    if args.minutes is not None:
        raise ValueError('--minutes is of one training, and --two-stage is two: give their length with --steps')
    if args.devices * args.nodes > 1:
        raise ValueError(f'--two-stage trains in one process, and {args.devices} x {args.nodes} devices are several: '
                         f'train, filter and train by three commands')


def train_two_stages(args: argparse.Namespace, recipe, network, is_metric: Callable) -> int:
    """Train in two stages, say where things are; return 130 where Ctrl-C ended it.

    :param network: that a stage begins with; it stays as it is
    :param is_metric: whether what came of a training is in metres
    :raises ValueError: what cannot be used, in one line
    """
    from semdepth_ros.experiments.depth_perceptor import perceiver
    from semdepth_ros.settings import build, settings_of
    from semdepth_ros.training.filtering.rule import FilterRule
    from semdepth_ros.training.trainer import build_fabric
    from semdepth_ros.training.two_stage import TwoStages
    from semdepth_ros.whole_files import written_whole

    rule = build(FilterRule, settings_of(args.filter_set, '--filter-set'), '--filter-set')
    try:
        with Progress('images filtered') as progress:
            stages = TwoStages(lambda: copy.deepcopy(network), lambda: build_fabric(recipe, args.device),
                               lambda model: perceiver(model, args.device), is_metric, rule, args.filter_labels,
                               args.second_from, bool(args.init), progress=progress)
            model = stages.train(recipe, Path(args.out), args.resume)
    except KeyboardInterrupt:
        model = None
    if model is None:
        print(f'continue with: {again(args)}')
        return 130
    if args.export:
        written_whole(Path(args.export), lambda path: shutil.copyfile(model, path))
        print(f'model in {args.export}')
    return 0
