"""The evaluation node: what is perceived on a graph, against the truth beside it; metrics now, a report at the end."""
from __future__ import annotations

import sys
from typing import Any

from semdepth_ros.bridge.evaluation_parameters import EVALUATION
from semdepth_ros.nodes.evaluating import Evaluating
from semdepth_ros.nodes.lifecycle_shell import LifecycleShell, run_node


class EvaluationNode(LifecycleShell):
    """A lifecycle node around an Evaluating.

    :raises ValueError: a parameter given at start is not valid
    """

    work: Evaluating | None

    def __init__(self, name: str = 'evaluation', **options: Any):
        super().__init__(name, EVALUATION, **options)

    def begin(self) -> Evaluating:
        """Make the topics."""
        return Evaluating(self, self.types, self.values, self.log)

    def poll(self) -> None:
        """See what is whole, and what is to be said."""
        if self.work:
            self.work.poll()


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return its exit code."""
    return run_node('evaluation', EvaluationNode, __doc__, '-p report_dir:=report -r truth/depth/image:=/depth/true',
                    sys.argv if argv is None else argv)


if __name__ == '__main__':
    sys.exit(main())
