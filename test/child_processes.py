"""Child processes of a test: started with their output kept, and ended whatever happens."""
from __future__ import annotations

from collections.abc import Collection, Mapping
import os
from pathlib import Path
import signal
import subprocess
import sys
import time


class ChildProcess:
    """One process, leader of its own group, with stdout and stderr together in a file."""

    def __init__(self, command: Collection[str], log: Path, env: Mapping[str, str], cwd: Path | None = None):
        self.log = log
        self.command = [str(c) for c in command]
        with open(log, 'wb') as file:
            self.process = subprocess.Popen(self.command, stdout=file, stderr=subprocess.STDOUT, cwd=cwd, env=dict(env),
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def output(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text(errors='replace')

    def wait_for(self, text: str, timeout_s: float = 30.0) -> str:
        """Return the first line of output that holds the text; fail if the process ends, or the time, before that."""
        deadline = time.monotonic() + timeout_s
        while True:
            ended = self.process.poll() is not None
            for line in self.output.splitlines():
                if text in line:
                    return line
            if ended or time.monotonic() > deadline:
                why = f'ended with {self.process.returncode}' if ended else f'did not do so within {timeout_s:g} s'
                raise AssertionError(f'waited for {text!r} from {self.command}, which {why}:\n{self.output[-4000:]}')
            time.sleep(0.02)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Return the exit status; fail if it is still running when the time is up."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'{self.command} still runs after {timeout_s:g} s:\n{self.output[-4000:]}') from None

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self._signal(signal.SIGINT)

    def end(self) -> None:
        """End it and all its children: ask, insist, force."""
        for number, patience_s in ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
            if self.process.poll() is not None:
                break
            self._signal(number)
            try:
                self.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
        self._signal(signal.SIGKILL)  # what it may have left running

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass


class ChildProcesses:
    """Starts processes and ends all of them at the end of a test."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None):
        self.folder = folder
        self.env = dict(os.environ if env is None else env, PYTHONUNBUFFERED='1')
        self.started: list[ChildProcess] = []

    def start(self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> ChildProcess:
        """Start a command; env is added to the tests' environment."""
        log = self.folder / f'process_{len(self.started)}.log'
        self.started.append(ChildProcess(command, log, {**self.env, **(env or {})}, cwd))
        return self.started[-1]

    def python(self, *arguments: str, **options) -> ChildProcess:
        """Start this Python with arguments such as '-m', 'semdepth_ros.cli.main', 'world'."""
        return self.start(sys.executable, *arguments, **options)

    def end(self) -> None:
        """End all of them, the newest first."""
        for child in reversed(self.started):
            child.end()
