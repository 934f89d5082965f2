"""`semdepth average MODEL MODEL ... --out FILE`: the mean of models that were trained on from the same weights."""
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from semdepth_ros.cli.outputs import expect_writable


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        'average', help='write the mean of several models', description=(
            'Write a model whose weights are the mean of those of several models, all trained on from the same weights: '
            'often better on images unlike those trained on. The first one gives the card and the probe frames.'))
    parser.add_argument('models', nargs='+', metavar='MODEL[@SHARE]', help='model files, or names of packaged models; '
                        'shares are 1 unless given')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE', help='the model file to write')
    parser.add_argument('--name', help="what to call it (default: the first one's name)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Average and write.

    :raises ValueError: a model that cannot be read, another architecture or input, or a share that cannot be
    """
    from semdepth_ros.model_file import find_model, read_model
    from semdepth_ros.networks import average_networks, load_network, save_network
    models, shares = zip(*map(_with_share, args.models))
    expect_writable(args.out)
    networks, cards = zip(*map(load_network, models))
    first = cards[0]
    for model, card in zip(models, cards):
        if (card.architecture, card.focal_px, card.classes) != (first.architecture, first.focal_px, first.classes):
            raise ValueError(f'{model} has another architecture, focal length or classes than {models[0]}, expected models '
                             f'trained on from the same weights')
    tensors, _ = read_model(find_model(models[0]))
    parts = [{'name': card.name, 'factory': card.factory, 'version': card.version, 'share': share / sum(shares),
              'recipe': card.recipe} for card, share in zip(cards, shares)]
    card = replace(first, name=args.name or first.name, version=0, parent=None, factory='', created='', metrics={},
                   recipe={'average_of': parts}, metric=all(card.metric for card in cards))
    probes = [tensors[f'probe.{n}.image'].numpy() for n in range(2)]
    save_network(args.out, average_networks(networks, shares), card, probes)
    print(f'model in {args.out}')
    return 0


def _with_share(text: str) -> tuple[str, float]:
    model, found, share = text.rpartition('@')
    if not found:
        return text, 1.0
    try:
        return model, float(share)
    except ValueError:
        raise ValueError(f'share of {model} is {share!r}, expected a positive number') from None
