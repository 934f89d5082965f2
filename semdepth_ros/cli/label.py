"""`semdepth label FOLDER --model M --out DIR`: copies of folder sequences whose noisy labels are those of a model."""
from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from semdepth_ros.cli.outputs import expect_folder
from semdepth_ros.cli.progress import Progress


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('label', help='give drives the labels of a model', description=(
        'Copy folder sequences, with the classes that a model sees in them as their noisy labels and its confidence in '
        'each: what a network learns from with --labels noisy. Where they have true labels, say how right those are.'))
    parser.add_argument('data', nargs='+', metavar='FOLDER', help='folder sequences, or a folder of them')
    parser.add_argument('--model', required=True, metavar='FILE', help='whose classes; a segmenter will do')
    parser.add_argument('--out', required=True, metavar='DIR', help='each sequence becomes a folder of its name in here')
    parser.add_argument('--device', default='auto', help='auto, cpu or cuda')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the copies and print how right the labels are.

    :raises ValueError: data that are no folder sequences, a model that cannot be used, an output that is in use
    """
    expect_folder(args.out)
    from semdepth_ros.data import FolderSequence
    from semdepth_ros.data.labelled_copy import write_labelled_copy
    from semdepth_ros.evaluation.semantic_metrics import semantic_scores
    from semdepth_ros.perception import Perceptor
    paths = [path for spec in args.data for path in sequence_folders(Path(spec))]
    taken = [path.name for path in paths if (Path(args.out) / path.name).exists()]
    twice = [path.name for i, path in enumerate(paths) if path.name in [other.name for other in paths[:i]]]
    if taken or twice:
        raise ValueError(f'{args.out}/{(taken + twice)[0]} would be written {"again" if taken else "twice"}')
    perceptor = Perceptor.from_file(args.model, device=args.device, rectify=False)
    confusion = 0
    for path in paths:
        sequence, matrices = FolderSequence(path), []
        with Progress(f'{path.name}: frames') as progress:
            write_labelled_copy(path, Path(args.out) / path.name, labelled(perceptor, sequence, matrices, progress))
        confusion = confusion + sum(matrices)
    scores = semantic_scores(confusion) if hasattr(confusion, 'any') and confusion.any() else None
    print(f'{args.out}: {len(paths)} sequences' + (f', mIoU {scores["miou"]:.3f}, {scores["pixel_accuracy"]:.3f} of the '
                                                   f'labels are right' if scores else ''))


def sequence_folders(path: Path) -> list[Path]:
    """Return the folder itself where it is a sequence, else the sequences in it, by name.

    :raises ValueError: there are none
    """
    if (path / 'images').is_dir():
        return [path]
    inside = sorted(p for p in path.glob('*') if (p / 'images').is_dir())
    if not inside:
        raise ValueError(f'{path} is neither a folder sequence nor a folder of them: it has no images/')
    return inside


def labelled(perceptor, sequence, matrices: list, progress: Progress) -> Iterator[tuple]:
    """Yield each frame's name with the labels that the perceptor sees in it, and its confidence in them.

    :param matrices: gets the confusion matrix of every frame that has true labels
    """
    from semdepth_ros.evaluation.semantic_metrics import confusion_matrix
    from semdepth_ros.frame import Frame
    for index in range(len(sequence)):
        sample = sequence[index]
        seen = perceptor.perceive(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns))
        if sample.labels is not None:
            matrices.append(confusion_matrix(seen.labels, sample.labels))
        yield sample.name, seen.labels, seen.confidence
        progress(index + 1, len(sequence))
