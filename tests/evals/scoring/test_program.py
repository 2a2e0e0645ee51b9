import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from ponder.errors import InvalidInput, VerifierError
from ponder.evals.scoring import program
from ponder.evals.scoring.program import Limits, Outcome, run

RIGHT = "def f(x):\n    return x + 1\n"
TESTS = "assert f(1) == 2, 'one'\n"
PATIENT = Limits(seconds=60)
BRIEF = Limits(seconds=1)

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc of Linux")


@pytest.fixture(params=["namespaces", "no namespaces"])
def either(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Run a test with and without namespaces, which not every system permits."""
    if request.param == "no namespaces":
        source = program._CHILD.read_text()
        changed = source.replace("libc.unshare(", "abs(")
        assert changed != source
        (tmp_path / "child.py").write_text(changed)
        monkeypatch.setattr(program, "_CHILD", tmp_path / "child.py")
    yield


def failure(outcome: Outcome) -> str | None:
    assert not outcome.passed
    return outcome.reason


@pytest.mark.usefixtures("either")
def test_a_right_program_passes() -> None:
    outcome = run(RIGHT, TESTS, limits=PATIENT)
    assert (outcome.passed, outcome.reason, outcome.output) == (True, None, "")
    assert 0 < outcome.seconds < 60


@pytest.mark.usefixtures("either")
def test_a_wrong_program_fails() -> None:
    outcome = run("def f(x): return x", TESTS, limits=PATIENT)
    assert failure(outcome) == "assertion"
    assert outcome.detail == "AssertionError: one"


@pytest.mark.parametrize(
    ("code", "reason", "detail"),
    [
        ("def f(x) return x", "syntax", "SyntaxError"),
        ("x = '\ud800'", "syntax", "UnicodeEncodeError"),
        ("def f(x): return 1 / 0", "exception", "ZeroDivisionError: division by"),
        ("def f(x): return f(x)", "exception", "RecursionError"),
        ("def g(x): return x", "exception", "NameError"),
        ("eval('1 +')", "exception", "SyntaxError"),
        ("input()", "exception", "EOFError"),
        (
            "class E(Exception):\n    def __str__(self): raise KeyError\nraise E",
            "exception",
            "E",
        ),
    ],
)
def test_reasons(code: str, reason: str, detail: str) -> None:
    outcome = run(code, TESTS, limits=PATIENT)
    assert failure(outcome) == reason
    assert outcome.detail.startswith(detail)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "import os; os._exit(0)",
        "import os; os._exit(124 - 123)",
        "def f(x):\n    import os; os._exit(0)",
        'print(\'passed\'); print(\'["", "passed", ""]\'); import os; os._exit(0)',
        "import os; os.kill(os.getpid(), 9); os._exit(0)",
        "import ctypes; ctypes.string_at(0)",
        "import os; os.closerange(3, 64)\n" + RIGHT,
        "import threading\nthreading.Thread(target=print).start()\nraise SystemExit(0)",
    ],
)
def test_an_early_end_is_no_success(code: str) -> None:
    assert failure(run(code, TESTS, limits=PATIENT)) in ("exception", "memory")


@pytest.mark.parametrize("forged", ['["x", "passed", ""]\\n', "5\\n", "x\\n", "{"])
def test_a_forged_verdict_is_no_success(forged: str) -> None:
    code = f"""
import os
for descriptor in range(3, 64):
    try:
        os.write(descriptor, b'{forged}')
    except OSError:
        pass
"""
    outcome = run(code + RIGHT, TESTS, limits=PATIENT)
    assert failure(outcome) == "exception"
    assert "verdict" in outcome.detail


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(100)",
        "try:\n    while True: pass\nexcept BaseException: pass",
        "from signal import *\nsignal(SIGTERM, SIG_IGN)\nwhile True: pass",
        "import os; os.closerange(3, 64)\nwhile True: pass",
        "while True: print('x' * 1000)",
    ],
)
def test_what_does_not_end_is_stopped(code: str) -> None:
    start = time.monotonic()
    outcome = run(code, TESTS, limits=BRIEF)
    assert failure(outcome) == "timeout"
    assert outcome.detail == "not done after 1 s"
    assert time.monotonic() - start < 10


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    "code",
    [
        "x = bytearray(10**12)",
        "x = []\nwhile True: x.append(bytearray(10**7))",
        "def f(x):\n    return [0] * 10**10",
    ],
)
def test_memory_is_limited(code: str) -> None:
    limits = Limits(seconds=60, memory=200 << 20)
    assert failure(run(code, TESTS, limits=limits)) == "memory"


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import socket; socket.socket(socket.AF_UNIX).connect('/run/x')",
        "import _socket; _socket.socket(2, 1)",
        "import urllib.request as r; r.urlopen('http://127.0.0.1:9')",
    ],
)
def test_there_is_no_network(code: str) -> None:
    outcome = run(code, TESTS, limits=PATIENT)
    assert failure(outcome) == "exception"
    assert "there is no network" in outcome.detail


def test_asyncio_runs_without_network() -> None:
    code = "import asyncio\nasync def g(x): return x + 1\n"
    code += "def f(x): return asyncio.run(g(x))"
    assert run(code, TESTS, limits=PATIENT).passed


@pytest.mark.parametrize(
    "code",
    [
        "open({path!r}, 'w')",
        "import os; os.open({path!r}, os.O_CREAT | os.O_WRONLY)",
        "import os; os.remove({path!r})",
        "import os; os.rename({path!r}, 'mine')",
        "import shutil; shutil.rmtree({path!r})",
        "import os; os.symlink({path!r}, 'link'); open('link', 'w')",
        "import subprocess; subprocess.run(['rm', {path!r}])",
        "import os; os.system('rm ' + {path!r})",
        "import os; os.execv('/bin/rm', ['rm', {path!r}])",
    ],
)
def test_files_outside_the_folder_stay_as_they_are(tmp_path: Path, code: str) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    outcome = run(code.format(path=str(precious)), TESTS, limits=PATIENT)
    assert failure(outcome) == "exception"
    assert outcome.detail.startswith("PermissionError")
    assert precious.read_text() == "mine"


def test_the_folder_is_empty_and_may_be_written_to() -> None:
    code = """
import os, tempfile
assert os.listdir() == []
with open("a", "w") as file:
    file.write("1")
os.mkdir("b")
os.rename("a", "b/a")
tempfile.NamedTemporaryFile().close()
open(os.devnull, "w").close()
"""
    assert run(code + RIGHT, TESTS, limits=PATIENT).passed


def test_files_are_limited_in_size() -> None:
    code = "with open('a', 'wb') as file: file.write(bytes(2000))"
    outcome = run(code, TESTS, limits=Limits(seconds=60, file_size=1000))
    assert failure(outcome) == "exception"
    assert "File too large" in outcome.detail


def test_the_environment_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    code = "import os\nassert 'SOME_API_KEY' not in os.environ\nprint(*os.environ)\n"
    outcome = run(code + RIGHT, TESTS, limits=PATIENT)
    assert outcome.passed
    assert "PATH" in outcome.output


def test_output_is_cut() -> None:
    limits = Limits(seconds=60, output=10)
    outcome = run("print('x' * 10**6)\n" + RIGHT, TESTS, limits=limits)
    assert (outcome.passed, outcome.output) == (True, "x" * 10)


LEFT_BEHIND = """
import os, time
print(os.getcwd(), flush=True)
if os.fork() == 0:
    {before}
    time.sleep(100)
"""


def processes_in(folder: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = os.readlink(process / "cwd")
        except OSError:
            continue
        if where.startswith(folder):
            found.append(process.name)
    return found


def assert_none_left(outcome: Outcome) -> None:
    folder = outcome.output.split()[0]
    assert folder.startswith("/")
    end = time.monotonic() + 5
    while (left := processes_in(folder)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not left
    assert not Path(folder).exists()


@linux
def test_processes_are_found_by_their_folder(tmp_path: Path) -> None:
    assert str(os.getpid()) in processes_in(os.getcwd())
    assert processes_in(str(tmp_path)) == []


@linux
@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("end", [RIGHT, "os._exit(0)", "while True: pass"])
def test_no_process_is_left_behind(end: str) -> None:
    outcome = run(LEFT_BEHIND.format(before="pass") + end, TESTS, limits=BRIEF)
    assert outcome.passed is (end == RIGHT)
    assert_none_left(outcome)


@linux
def test_not_even_one_that_left_its_group() -> None:
    code = "import os\nprint(os.getpid())\n" + RIGHT
    if run(code, TESTS, limits=PATIENT).output.strip() != "1":
        pytest.skip("this system permits no process namespaces")
    outcome = run(
        LEFT_BEHIND.format(before="os.setsid()") + RIGHT, TESTS, limits=PATIENT
    )
    assert outcome.passed
    assert_none_left(outcome)


@pytest.mark.usefixtures("either")
def test_forks_are_counted_over_all_processes() -> None:
    outcome = run("import os\nwhile True: os.fork()", TESTS, limits=PATIENT)
    assert failure(outcome) == "exception"


def test_setup_is_there_for_program_and_tests() -> None:
    setup = "from math import floor\ndef helper(x): return x + 1\n"
    code = "from __future__ import annotations\ndef f(x: Any): return floor(helper(x))"
    assert run(code, TESTS + "assert helper(1) == 2", setup=setup).passed


def test_a_demonstration_is_not_run_and_dataclasses_work() -> None:
    code = """
from __future__ import annotations
from dataclasses import dataclass
@dataclass
class Box:
    x: int
def f(x):
    return Box(x).x + 1
if __name__ == "__main__":
    raise SystemExit
"""
    assert run(code, TESTS, limits=PATIENT).passed


def test_threads_that_go_on_do_not_hold_it_up() -> None:
    code = "import threading, time\n"
    code += "threading.Thread(target=time.sleep, args=(100,)).start()\n"
    outcome = run(code + RIGHT, TESTS, limits=PATIENT)
    assert outcome.passed
    assert outcome.seconds < 30


def test_many_at_once() -> None:
    codes = [RIGHT, "def f(x): return x"] * 4
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda code: run(code, TESTS, limits=PATIENT), codes))
    assert [outcome.passed for outcome in outcomes] == [True, False] * 4


def test_descriptors_are_given_back() -> None:
    before = len(os.listdir("/dev/fd"))
    for code in (RIGHT, "def f(x): return x", "import os; os._exit(0)"):
        run(code, TESTS, limits=PATIENT)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize(("setup", "tests"), [("(", TESTS), ("", "def (")])
def test_a_broken_benchmark_is_no_wrong_program(setup: str, tests: str) -> None:
    with pytest.raises(InvalidInput, match="of a program are no Python"):
        run(RIGHT, tests, setup=setup)


def test_a_child_that_cannot_start_is_no_wrong_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(
        VerifierError, match="(?s)could not be set up.*ZeroDivisionError"
    ):
        run(RIGHT, TESTS, setup="1 / 0", limits=PATIENT)
    (tmp_path / "slow.py").write_text("import time; time.sleep(100)")
    monkeypatch.setattr(program, "_CHILD", tmp_path / "slow.py")
    with pytest.raises(VerifierError, match="not ready after 0.2 s"):
        run(RIGHT, TESTS, limits=Limits(seconds=0.2))


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ponder.evals.scoring.program.os.name", "nt")
    with pytest.raises(InvalidInput, match="Linux and macOS only"):
        run(RIGHT, TESTS)


def test_limits_have_bounds() -> None:
    for limits in ({"seconds": 0}, {"memory": 1}, {"output": -1}):
        with pytest.raises(ValidationError):
            Limits.model_validate(limits)
