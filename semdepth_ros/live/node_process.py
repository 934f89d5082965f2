"""A node as a child process: started with a log of its own, watched, and always ended."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import signal
import subprocess
import sys

PATIENCE_S = {signal.SIGINT: 8.0, signal.SIGTERM: 3.0, signal.SIGKILL: 3.0}


class NodeProcess:
    """Runs a module of this package as a process; a context manager that ends it.

    :param module: such as 'semdepth_ros.nodes.perception'
    :param arguments: what follows it, such as '--ros-args', '-p', 'model:=default'
    :param log: file for everything it prints
    """

    def __init__(self, module: str, arguments: list[str], log: Path, environ: Mapping[str, str]):
        self.module, self.log, self._arguments, self._environ = module, log, arguments, dict(environ)
        self._process = None

    def __enter__(self) -> NodeProcess:
        with open(self.log, 'wb') as file:
            self._process = subprocess.Popen(
                [sys.executable, '-m', self.module, *self._arguments], stdout=file, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env={**self._environ, 'PYTHONUNBUFFERED': '1'})
        return self

    def __exit__(self, kind, error, trace) -> None:
        for number, patience_s in PATIENCE_S.items():
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def expect_alive(self) -> None:
        """Raise RuntimeError with the end of its log if the process has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f'{self.module} ended with exit code {self._process.returncode}: {self.last_words()}')

    def last_words(self, lines: int = 5) -> str:
        """Return the last lines of its log."""
        text = self.log.read_text(errors='replace').strip().splitlines()
        return ' | '.join(text[-lines:]) or 'nothing'
