"""The frame: which command runs, how errors are written, what the exit code says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_agent import __version__
from fleet_agent.cli import table
from fleet_agent.cli.main import Line, main, sort
from fleet_agent.errors import EXIT_USAGE

TOP = Path(__file__).parents[3]
REGISTRY = "wizards: {ezra: {host: 192.0.2.10, role: orchestrator, capabilities: [deploy]}}\n"


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    path = tmp_path / "fleet.yaml"
    path.write_text(REGISTRY)
    return str(path)


def run(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; with ``code``, that program instead."""
    program = ["-c", code] if code else ["-m", "fleet_agent"]
    return subprocess.run(
        [sys.executable, *program, *words], cwd=TOP, capture_output=True, text=True, check=False
    )


class TestSort:
    def test_the_frames_options_may_stand_anywhere(self) -> None:
        wanted = Line("find", ("x",), json=True, verbose=1, wants="")
        assert sort(["--json", "-v", "find", "x"]) == wanted
        assert sort(["find", "x", "-v", "--json"]) == wanted

    def test_what_stands_behind_two_dashes_is_the_commands(self) -> None:
        assert sort(["find", "--", "--json"]) == Line("find", ("--", "--json"), False, 0, "")

    def test_help_and_version_are_the_frames_only_before_a_command(self) -> None:
        assert sort(["--help"]).wants == "help"
        assert sort(["find", "--help"]) == Line("find", ("--help",), False, 0, "")
        assert sort(["--version"]).wants == "version"

    def test_v_adds_up(self) -> None:
        assert sort(["-v", "x", "-v"]).verbose == 2
        assert sort(["-vv", "x"]).verbose == 2


class TestHelp:
    def test_names_every_command_and_fits_a_screen(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--help"]) == 0
        text = capsys.readouterr().out
        lines = text.splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 80
        named = {line.split()[0] for line in lines if line.startswith("  ")}
        assert named == {row.name for row in table.TABLE}

    def test_imports_no_command_and_no_argparse(self) -> None:
        code = (
            "import sys; from fleet_agent.cli.main import main; main(['--help']); "
            "print([n for n in sys.modules if n == 'argparse' or '.commands' in n])"
        )
        assert run(code=code).stdout.endswith("[]\n")

    def test_without_a_command_help_goes_to_stderr(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([]) == EXIT_USAGE
        out, err = capsys.readouterr()
        assert (out, "usage: fleet-agent" in err) == ("", True)

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"fleet-agent {__version__}\n"
        assert main(["--version", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"version": __version__}


class TestErrors:
    def test_a_misspelt_command_gets_its_near_miss(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["regsitry", "check"]) == EXIT_USAGE
        err = capsys.readouterr().err
        assert "there is no command 'regsitry'" in err
        assert "did you mean 'registry'?" in err

    def test_an_error_says_what_where_and_mend(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["find", "x"]) == EXIT_USAGE
        out, err = capsys.readouterr()
        assert out == ""
        what, where, mend = err.splitlines()
        assert what == "fleet-agent: there is no registry here"
        assert where.startswith("  where: ./fleet.yaml")
        assert mend.startswith("  mend: run it in your fleet-ops repository")

    def test_an_error_of_many_mistakes_shows_each(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        path = tmp_path / "fleet.yaml"
        path.write_text("wizards: {a: {hots: h}}\n")
        assert main(["find", "x", "--registry", str(path)]) == EXIT_USAGE
        err = capsys.readouterr().err
        assert f"  {path}:1 wizards.a.hots: unknown key (did you mean 'host'?)" in err
        assert main(["find", "x", "--registry", str(path), "--json"]) == EXIT_USAGE
        said = json.loads(capsys.readouterr().out)["error"]
        assert said["what"] == "the registry has 3 mistakes"
        assert len(said["mistakes"]) == 3

    def test_argparse_errors_exit_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["find"]) == EXIT_USAGE
        assert "fleet-agent find: error" in capsys.readouterr().err

    def test_without_pyyaml_the_apt_line_is_named(self, fleet: str) -> None:
        code = (
            "import sys; sys.modules['yaml'] = None\n"
            "from fleet_agent.cli.main import main; sys.exit(main(sys.argv[1:]))"
        )
        done = run("registry", "check", fleet, code=code)
        assert done.returncode == EXIT_USAGE
        assert "apt install python3-yaml" in done.stderr


def broken(raised: str) -> str:
    """A program whose command ``find`` raises."""
    return (
        "import sys\nfrom fleet_agent.cli.commands import find\n"
        f"def run(args, out):\n    out.line('begun')\n    raise {raised}\n"
        "find.run = run\n"
        "from fleet_agent.cli.main import main\nsys.exit(main(['find', 'x']))"
    )


class TestEnds:
    def test_a_bug_shows_its_traceback_and_exits_1(self) -> None:
        done = run(code=broken("ZeroDivisionError('oh')"))
        assert done.returncode == 1
        assert "ZeroDivisionError: oh" in done.stderr
        assert done.stdout == "begun\n"

    def test_ctrl_c_exits_130_without_a_traceback(self) -> None:
        done = run(code=broken("KeyboardInterrupt"))
        assert (done.returncode, done.stderr) == (130, "")

    def test_a_signal_exits_130(self, tmp_path: Path) -> None:
        pipe = tmp_path / "fleet.json"
        os.mkfifo(pipe)
        command = [sys.executable, "-m", "fleet_agent", "find", "x", "--registry", str(pipe)]
        # Who runs the tests in the background has it ignored, and a child would inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        # A pipe opens for writing only once the command reads from it.
        with subprocess.Popen(command, cwd=TOP) as running, pipe.open("w"):
            signal.signal(signal.SIGINT, before)
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 130

    def test_a_reader_that_left_ends_it_quietly(self, fleet: str) -> None:
        code = (
            "import sys\nfrom fleet_agent.cli.commands import find\n"
            "def run(args, out):\n    [out.line('x' * 80) for _ in range(100_000)]\n    return 0\n"
            "find.run = run\n"
            "from fleet_agent.cli.main import main\nsys.exit(main(['find', 'x']))"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            running.stdout.readline()
            running.stdout.close()
            assert running.stderr.read() == b""
            assert running.wait(20) == 141

    def test_a_full_disk_is_an_error(self, fleet: str) -> None:
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "fleet_agent", "registry", "check", fleet],
                cwd=TOP,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 4
        assert "could not write the output: No space left on device" in done.stderr

    def test_a_closed_stdout_is_no_error(self, fleet: str) -> None:
        command = f'exec "{sys.executable}" -m fleet_agent registry check "{fleet}" >&-'
        done = subprocess.run(["sh", "-c", command], cwd=TOP, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")

    def test_a_terminal_without_utf8_is_no_error(self, tmp_path: Path) -> None:
        path = tmp_path / "fleet.yaml"
        path.write_text("wizards: {é: {host: h, role: orchestrator}}\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "fleet_agent", "registry", "check", str(path)],
            cwd=TOP,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == EXIT_USAGE
        assert b"\\xe9" in done.stdout


def test_a_command_may_start_without_argparse(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fleet: str
) -> None:
    from fleet_agent.cli.commands import find
    from fleet_agent.cli.output import Output

    def quick(argv: tuple[str, ...], out: Output) -> int | None:
        return 7 if argv == ("fast",) else None

    monkeypatch.setattr(find, "quick", quick, raising=False)
    assert main(["find", "fast"]) == 7
    assert main(["find", "deploy", "--registry", fleet]) == 0
    assert "ezra" in capsys.readouterr().out


def test_v_shows_log_lines(fleet: str) -> None:
    code = (
        "import sys, logging\nfrom fleet_agent.cli.commands import find\n"
        "def run(args, out):\n    logging.getLogger('fleet_agent.x').info('deploy 1: began')\n"
        "    return 0\nfind.run = run\n"
        "from fleet_agent.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    assert run("find", "x", code=code).stderr == ""
    assert run("find", "x", "-v", code=code).stderr == "deploy 1: began\n"
