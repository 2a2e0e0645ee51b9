"""Programs, graded by running their tests in a process of their own.

What holds a program back:

* wall time; CPU time, memory, size of files and open files (``resource.setrlimit``);
  32 forks;
* its own session and process group, killed as a whole at the end. On Linux, where the
  system lets it, also a process namespace, whose end nothing survives, and a network
  namespace without any network;
* an audit hook that refuses internet sockets, other programs, and changes to files
  outside its folder;
* an empty temporary folder, an environment without the caller's variables, standard
  input at its end, output cut at a limit.

What that is not: a sandbox against code that sets out to break it. The program may
read every file that the user may read, code that reaches the kernel past Python
(``ctypes``) meets the limits and namespaces but not the hook, and no system call is
filtered. Run programs of hostile origin in a container or a virtual machine. On macOS
there are no namespaces, and the system may not enforce the memory limit.

A program passes only if its process, after all tests, sends back a random token that
it receives at the end alone. Ending early, with whatever exit code, and printing
whatever are no success. Program and tests share a process, so code that searches the
process for the pipe, or replaces what the tests call, could still fake one.
"""

import json
import math
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Literal

from pydantic import Field

from ponder.errors import InvalidInput, VerifierError
from ponder.messages import Value

Reason = Literal["assertion", "exception", "timeout", "memory", "syntax"]

CPU_EXIT = 124
"""Exit code of the child whose CPU time is used up."""
_CHILD = Path(__file__).with_name("_child.py")


class Limits(Value):
    """What a program may use."""

    seconds: float = Field(default=10.0, gt=0, le=3600)
    """Wall time; CPU time is the same, rounded up, plus one second."""
    memory: int = Field(default=1 << 30, ge=1 << 26)
    """Bytes of address space of each process, that of the interpreter included."""
    file_size: int = Field(default=1 << 24, ge=0)
    """Bytes of each file."""
    output: int = Field(default=10_000, ge=0)
    """Bytes of output that are kept."""


class Outcome(Value):
    """How a program fared."""

    passed: bool
    reason: Reason | None = None
    """Why it failed: a test (``assertion``), any other exception or early end
    (``exception``), a limit (``timeout``, ``memory``), no Python (``syntax``)."""
    detail: str = ""
    """Exception and its message, or how the process ended."""
    output: str = ""
    """The beginning of standard output and error."""
    seconds: float = 0.0
    """Wall time, start of the interpreter included."""


def run(
    program: str, tests: str, *, setup: str = "", limits: Limits | None = None
) -> Outcome:
    """Run a program and then its tests, in one namespace.

    ``__name__`` is not ``"__main__"``, so a program's own demonstration does not run.

    Args:
        program: Python source of unknown quality.
        tests: Python source that raises if the program is wrong.
        setup: Python source that is run before the program.
        limits: What it may use.

    Returns:
        Whether all tests ran without an exception, and if not, why.

    Raises:
        InvalidInput: ``setup`` or ``tests`` are no Python, or the system is neither
            Linux nor macOS.
        VerifierError: The process could not be set up, or ``setup`` failed.
    """
    if os.name != "posix":
        raise InvalidInput("Programs can be run on Linux and macOS only.")
    _check(setup, "setup")
    _check(tests, "tests")
    limits = limits or Limits()
    job = {
        "setup": setup,
        "program": program,
        "tests": tests,
        "cpu_seconds": math.ceil(limits.seconds) + 1,
        "cpu_exit": CPU_EXIT,
        "memory": limits.memory,
        "file_size": limits.file_size,
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return _Run(job, limits, folder).outcome()


def _check(source: str, name: str) -> None:
    try:
        compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise InvalidInput(
            f"The {name} of a program are no Python: {error}. Correct the benchmark."
        ) from error


class _Run:
    """One run: a process, the token it has to return, what it wrote."""

    def __init__(self, job: dict[str, object], limits: Limits, folder: str) -> None:
        self._limits = limits
        self._token = secrets.token_hex(16)
        self._verdict = bytearray()
        self._output = bytearray()
        self._start = time.monotonic()
        with tempfile.TemporaryFile() as stdin:
            # A lone surrogate is legal in a text, but not in UTF-8: JSON escapes it.
            stdin.write(json.dumps(job).encode())
            stdin.seek(0)
            self._process, self._reader = self._spawn(stdin, folder)

    def _spawn(
        self, stdin: IO[bytes], folder: str
    ) -> tuple["subprocess.Popen[bytes]", int]:
        token, token_end = os.pipe()
        reader, verdict = os.pipe()
        os.write(token_end, self._token.encode())
        try:
            process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-B", _CHILD, str(token), str(verdict)],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=_environment(folder),
                pass_fds=(token, verdict),
                start_new_session=True,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            for end in (token, token_end, verdict):
                os.close(end)
        return process, reader

    def outcome(self) -> Outcome:
        assert self._process.stdout is not None
        try:
            in_time = self._watch(self._process.stdout.fileno())
        finally:
            _kill_group(self._process.pid)
            code = self._process.wait()
            self._process.stdout.close()
            os.close(self._reader)
        passed, reason, detail = self._judge(in_time, code)
        return Outcome(
            passed=passed,
            reason=reason,
            detail=detail,
            output=self._output.decode(errors="replace"),
            seconds=time.monotonic() - self._start,
        )

    def _watch(self, stdout: int) -> bool:
        """Collect output until the verdict is there or the process has ended.

        Returns:
            Whether that happened in time.
        """
        end = self._start + self._limits.seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ, (self._verdict, 4096))
            kept = (self._output, self._limits.output)
            selector.register(stdout, selectors.EVENT_READ, kept)
            while (left := end - time.monotonic()) > 0:
                # Before reading: what was written before the end is still read.
                ended = self._process.poll() is not None
                # A process may end and leave the pipes to others: so not for long.
                ready = selector.select(0 if ended else min(left, 0.1))
                for key, _ in ready:
                    if not _drain(key.fd, *key.data):
                        selector.unregister(key.fd)
                if b"\n" in self._verdict or (ended and not ready):
                    return True
                if not selector.get_map():
                    return self._waits(left)
        return False

    def _waits(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _judge(self, in_time: bool, code: int) -> tuple[bool, Reason | None, str]:
        if not self._verdict:
            raise VerifierError(self._not_ready(in_time))
        if self._verdict.strip():
            return self._reported()
        if not in_time or code in (CPU_EXIT, -signal.SIGXCPU):
            return False, "timeout", f"not done after {self._limits.seconds:g} s"
        if code == -signal.SIGKILL:
            return False, "memory", "killed by the system, probably for its memory"
        return False, "exception", f"ended before the tests were done ({_ending(code)})"

    def _not_ready(self, in_time: bool) -> str:
        """Say that the program was not even begun: that makes it neither good nor bad.

        The child's first byte tells that it has set itself up.
        """
        if not in_time:
            return (
                f"A process for a program was not ready after {self._limits.seconds:g} "
                "s. Run fewer at once, or give them more seconds."
            )
        said = self._output.decode(errors="replace").strip() or "nothing"
        return f"A process for a program could not be set up. It said: {said[-500:]}"

    def _reported(self) -> tuple[bool, Reason | None, str]:
        try:
            token, reason, detail = json.loads(self._verdict)
        except (ValueError, TypeError):
            token, reason, detail = None, "exception", ""
        if token != self._token:
            return False, "exception", "the program meddled with its own verdict"
        return (True, None, "") if reason == "passed" else (False, reason, detail)


def _drain(descriptor: int, kept: bytearray, limit: int) -> bool:
    chunk = os.read(descriptor, 65536)
    kept.extend(chunk[: max(limit - len(kept), 0)])
    return bool(chunk)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Nobody is left; macOS says so with the second.
        return


def _environment(folder: str) -> dict[str, str]:
    return {
        "HOME": folder,
        "TMPDIR": folder,
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        # The order of sets must not decide whether a program passes.
        "PYTHONHASHSEED": "0",
        # Each thread of a numerical library reserves memory.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
