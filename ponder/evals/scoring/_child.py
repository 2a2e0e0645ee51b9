"""Runs one program with its tests; started by ``program.py``, never imported.

Arguments: the descriptor with the token, the one for the verdict. Standard input: the
job as JSON. Nothing but the standard library, since it starts for every program.
"""

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import sys
import types
from collections.abc import Callable
from typing import Any

CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORKS = 32
READY = b" "

STARTS = frozenset(
    "subprocess.Popen os.exec os.posix_spawn os.spawn os.startfile os.system".split()
)
FORKED = frozenset({"os.fork", "os.forkpty"})
NETWORK = frozenset(
    """socket.bind socket.connect socket.getaddrinfo socket.gethostbyaddr
    socket.gethostbyname socket.sendmsg socket.sendto""".split()
)
FILES = {
    # How many leading arguments are paths.
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "shutil.move": 2,
    "shutil.rmtree": 1,
}


def main() -> None:
    token, verdict = int(sys.argv[1]), int(sys.argv[2])
    job = json.load(sys.stdin)
    if sys.platform == "linux":
        _enter_namespaces()
    _limit(job)
    _refuse(os.path.realpath(os.getcwd()))
    module = types.ModuleType("solution")
    # dataclasses and pickle look up a class's module there.
    sys.modules["solution"] = module
    exec(compile(job["setup"], "setup", "exec"), module.__dict__)
    # Whatever fails before this mark is no fault of the program.
    os.write(verdict, READY)
    report = _run(job, module.__dict__)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # The program may have closed or replaced it.
            continue
    # Read only now: until here the token is not in this process's memory.
    secret = os.read(token, 64).decode()
    os.write(verdict, (json.dumps([secret, *report]) + "\n").encode())
    # Threads that the program left running would keep the process alive.
    os._exit(0)


def _run(job: dict[str, Any], space: dict[str, Any]) -> tuple[str, str]:
    try:
        try:
            code = compile(job["program"], "program", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return "syntax", _shown(error)
        exec(code, space)
        exec(compile(job["tests"], "tests", "exec"), space)
    except MemoryError:
        reason, shown = "memory", "MemoryError"
    except AssertionError as error:
        reason, shown = "assertion", _shown(error)
    except BaseException as error:
        reason, shown = "exception", _shown(error)
    else:
        reason, shown = "passed", ""
    # What filled the memory has to go before a verdict can be written.
    space.clear()
    return reason, shown


def _shown(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # __str__ is the program's own.
        text = ""
    return f"{type(error).__name__}: {text}"[:500].removesuffix(": ")


def _enter_namespaces() -> None:
    """Leave network and process tree behind, where the system lets us.

    The second process is the first of a process namespace: when it ends, the kernel
    kills whatever it started, even what left the process group.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for flags in (0, CLONE_NEWUSER):
        if libc.unshare(flags | CLONE_NEWNET | CLONE_NEWPID) == 0:
            break
    else:
        return
    child = os.fork()
    if child == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    # Our copies would keep the pipes open after the child is gone.
    os.closerange(0, 256)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(abs(code))


def _limit(job: dict[str, Any]) -> None:
    # The first process of a namespace is not killed by a signal without a handler.
    signal.signal(signal.SIGXCPU, lambda *_: os._exit(job["cpu_exit"]))
    limits = {
        resource.RLIMIT_CPU: job["cpu_seconds"],
        resource.RLIMIT_AS: job["memory"],
        resource.RLIMIT_FSIZE: job["file_size"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    for kind, value in limits.items():
        # One second between the two CPU limits, for the handler above.
        hard = value + (kind == resource.RLIMIT_CPU)
        allowed = resource.getrlimit(kind)[1]
        if allowed != resource.RLIM_INFINITY:
            value, hard = min(value, allowed), min(hard, allowed)
        resource.setrlimit(kind, (value, hard))


def _refuse(folder: str) -> None:
    """Refuse network, other programs and changes to files outside the folder."""
    guard = _Guard(folder)
    guards: dict[str, Callable[[str, tuple[Any, ...]], None]] = {}
    guards |= dict.fromkeys(FILES, guard.changed)
    guards |= dict.fromkeys(NETWORK, guard.network)
    guards |= dict.fromkeys(STARTS, guard.started)
    guards |= dict.fromkeys(FORKED, guard.forked)
    guards |= {"open": guard.opened, "socket.__new__": guard.socket}

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in guards:
            guards[event](event, args)

    sys.addaudithook(hook)


class _Guard:
    """Raises where an audited event is not allowed."""

    def __init__(self, folder: str) -> None:
        self._folder = folder + os.sep
        # Shared with forked processes, whose forks count too.
        self._forks = mmap.mmap(-1, 1)

    def opened(self, event: str, args: tuple[Any, ...]) -> None:
        path, _, flags = args
        if flags & WRITING:
            self.changed(event, (path,))

    def changed(self, event: str, args: tuple[Any, ...]) -> None:
        for path in args[: FILES.get(event, 1)]:
            if not isinstance(path, int) and not self._is_inside(path):
                raise PermissionError(f"{event} outside the program's folder: {path}")

    def _is_inside(self, path: str | bytes) -> bool:
        full = os.path.realpath(os.fsdecode(path))
        return full == "/dev/null" or (full + os.sep).startswith(self._folder)

    def socket(self, event: str, args: tuple[Any, ...]) -> None:
        # asyncio needs a local pair.
        if args[1] != socket.AF_UNIX:
            self.network(event, args)

    def network(self, event: str, args: tuple[Any, ...]) -> None:
        raise PermissionError(f"{event}: there is no network")

    def started(self, event: str, args: tuple[Any, ...]) -> None:
        raise PermissionError(f"{event}: other programs cannot be started")

    def forked(self, event: str, args: tuple[Any, ...]) -> None:
        if self._forks[0] >= FORKS:
            raise PermissionError(f"{event}: more than {FORKS} forks")
        self._forks[0] += 1


if __name__ == "__main__":
    main()
