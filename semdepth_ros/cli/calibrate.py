"""`semdepth calibrate`: the metric scale of a camera from a drive and the camera's height."""
from __future__ import annotations

import argparse
from dataclasses import asdict
import json
from pathlib import Path

from semdepth_ros.cli.progress import Progress


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('calibrate', help='find the metric scale of a new camera', description=(
        'Perceive a drive and compare the height at which the road appears with the known height of the camera. The '
        'scale found is what the parameters scale_source: fixed and scale ask for.'))
    parser.add_argument('--data', required=True, metavar='SPEC', help='bag, folder, video or world:PRESET[:SEED]')
    parser.add_argument('--height', required=True, type=float, metavar='M', help='of the lens above the road [m]')
    parser.add_argument('--camera', metavar='FILE', help='a calibration in place of what the data has')
    parser.add_argument('--model', default='default', metavar='FILE', help='model file')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--frames', type=int, default=200, metavar='N', help='at most so many of each sequence')
    parser.add_argument('--json', type=Path, metavar='F', help='write the figures here')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Calibrate on every sequence that the data names, and print what to put into the parameters.

    :raises ValueError: an argument or data that cannot be, or a drive on which the road is hardly seen
    """
    from semdepth_ros.data import open_data
    from semdepth_ros.perception import Perceptor
    from semdepth_ros.perception.calibration import calibrate
    if args.frames < 1:
        raise ValueError(f'--frames is {args.frames}, expected at least 1')
    perceptor, results = Perceptor.from_file(args.model, device=args.device), {}
    for sequence in open_data(args.data, camera=args.camera):
        with Progress(f'{sequence.name}: frames') as progress:
            result = calibrate(perceptor, sequence, args.height, args.frames, progress)
        results[sequence.name] = asdict(result)
        print(f'{sequence.name}: road seen in {result.planes} of {result.frames} frames; a frame scatters by '
              f'{100 * result.spread:.1f} %, the camera looks down by {result.pitch_deg:.1f} degrees and is turned by '
              f'{result.roll_deg:.1f}\n  scale_source: fixed\n  scale: {result.scale:.4g}')
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(results, indent=1) + '\n', encoding='utf-8')
