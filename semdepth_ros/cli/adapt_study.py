"""`semdepth adapt study CONFIG`: the missing runs of a declared study of the learner, and its page."""
from __future__ import annotations

import argparse
from pathlib import Path

from semdepth_ros.cli.outputs import expect_folder
from semdepth_ros.cli.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the study alone takes."""
    group = parser.add_argument_group('study CONFIG')
    group.add_argument('--arms', nargs='+', default=[], metavar='ARM', help='run these; default all')
    group.add_argument('--drives', nargs='+', default=[], metavar='NAME', help='run these; default all')
    group.add_argument('--report-only', action='store_true', help='write the page from the results that are there')
    group.add_argument('--work', type=Path, default=Path('runs/adaptation'), metavar='DIR',
                       help='rendered drives, runs and fine-tuned models (default: %(default)s)')
    group.add_argument('--real', type=Path, metavar='DIR', help='the folder in which real drives are')


def run(args: argparse.Namespace) -> int:
    """Run what is missing, write the page; return 130 where Ctrl-C ended it.

    :raises ValueError: a study, arm, drive or folder that cannot be used
    """
    from semdepth_ros.experiments.adaptation_study import read_study
    from semdepth_ros.experiments.adaptation_study_page import write_study_page
    from semdepth_ros.experiments.adaptation_study_run import StudyFolders, known_result, run_cell
    if len(args.what) != 2 or args.out is None:
        raise ValueError(f'expected study CONFIG and --out DIR, got {args.what} and --out {args.out}')
    study, folders = read_study(args.what[1]), StudyFolders(args.work, args.out, args.real)
    for asked, known in ((args.arms, study.arms), (args.drives, study.drives)):
        for name in asked:
            if name not in known:
                raise ValueError(f'the study {study.name} has no {name!r}, expected one of {list(known)}')
    expect_folder(args.out)
    cells = [cell for cell in study.cells() if not args.report_only
             and (not args.arms or cell.arm in args.arms) and (not args.drives or cell.drive in args.drives)
             and known_result(study, cell, folders) is None]
    stopped = False
    for done, cell in enumerate(cells):
        print(f'{cell.drive}, {cell.arm} ({done + 1} of {len(cells)})', flush=True)
        try:
            with Progress('frames') as progress:
                run_cell(study, cell, folders, progress)
        except KeyboardInterrupt:
            stopped = True
            print('stopped; the same command goes on')
            break
    print(write_study_page(study, folders))
    return 130 if stopped else 0
