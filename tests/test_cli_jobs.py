"""The client commands against a real service, as a user or a script runs them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from latentmill import Client
from typer.testing import CliRunner

from service.cli.main import app
from service.local.ports import free_port
from service.local.stack import Stack
from tests.fixtures.commands import here, latentmill, start
from tests.fixtures.stack import TINY


@pytest.fixture(scope="module")
def job_id(stack: Stack) -> str:
    """A completed job of two archives, asked for on the command line."""
    submitted = latentmill(
        "submit", TINY, "3", "--count", "1030", "--seed", "9", "--shard-size", "1024", "--wait",
        url=stack.url,
    )  # fmt: skip
    assert submitted.returncode == 0, submitted.stderr
    assert ": 1,030 images of tiny 3, seed 9, zip" in submitted.stderr
    assert "status    completed" in submitted.stderr
    return submitted.stdout.strip()


def test_submit_prints_the_id_alone(job_id: str, client: Client) -> None:
    """stdout of submit is the job's id and nothing else, so that a script can keep it."""
    assert client.job(job_id).status == "completed"


def test_a_job_is_found_by_its_tags(stack: Stack, client: Client) -> None:
    """Told with the job, and asked for in the list; a tag without a value is one line and code 2."""
    tags = ("--tag", "run=cli-tags", "--tag", "team=vision", "--priority", "bulk")
    submitted = latentmill("submit", TINY, "3", "--count", "1", *tags, url=stack.url)
    job = submitted.stdout.strip()
    listed = latentmill("list", "--tag", "run=cli-tags", "--json", url=stack.url)
    assert [found["id"] for found in json.loads(listed.stdout)] == [job]
    assert "tags      run=cli-tags, team=vision" in latentmill("status", job, url=stack.url).stdout
    assert "priority  bulk" in latentmill("status", job, url=stack.url).stdout
    assert client.job(job).tags == {"run": "cli-tags", "team": "vision"}
    refused = latentmill("list", "--tag", "run", url=stack.url)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_submit_downloads_when_asked(stack: Stack, tmp_path: Path) -> None:
    """With --download one command goes from a request to checked archives."""
    done = here(
        "submit", TINY, "3", "--count", "5", "--download", "threes", cwd=tmp_path, url=stack.url
    )
    assert done.returncode == 0, done.stderr
    assert "1 archives" in done.stderr
    assert here("verify", "threes", cwd=tmp_path).returncode == 0


def test_status_speaks_to_people_and_to_scripts(stack: Stack, job_id: str) -> None:
    """Facts in lines, or the job as JSON as the API gives it."""
    told = here("status", job_id, url=stack.url).stdout
    assert "progress  1,030 of 1,030 images, 2 of 2 shards" in told
    assert json.loads(here("status", job_id, "--json", url=stack.url).stdout)["id"] == job_id


def test_a_list_in_a_pipe_is_tab_separated(stack: Stack, job_id: str) -> None:
    """Without a terminal a job is a line of fields, and --json is an array."""
    lines = here("list", "--status", "completed", url=stack.url).stdout.splitlines()
    row = next(line.split("\t") for line in lines if line.startswith(job_id))
    assert row[1:3] == ["completed", "100%"]
    listed = json.loads(here("list", "--json", "--limit", "1", url=stack.url).stdout)
    assert len(listed) == 1


def test_download_extract_and_verify(stack: Stack, job_id: str, tmp_path: Path) -> None:
    """A folder named by the job, unpacked; a flipped byte makes verify exit with 1 and name the shard."""
    done = here("download", job_id, "--extract", cwd=tmp_path, url=stack.url)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / job_id
    assert len(list((folder / "images" / "3").glob("*.png"))) == 1030
    intact = here("verify", job_id, cwd=tmp_path)
    assert (intact.returncode, intact.stdout) == (
        0,
        f"job {job_id}: 2 of 2 archives intact, 1,030 images\n",
    )
    archive = folder / "000000001024-000000001030.zip"
    data = bytearray(archive.read_bytes())
    data[70] ^= 1
    archive.write_bytes(data)
    broken = here("verify", str(folder))
    assert broken.returncode == 1
    assert f"shard 1 (samples 1024 to 1029), {archive.name}: has sha256" in broken.stdout


def test_verify_reads_from_the_server_too(stack: Stack, job_id: str, tmp_path: Path) -> None:
    """An id that is no folder here is a job there."""
    assert "2 of 2 archives intact" in here("verify", job_id, cwd=tmp_path, url=stack.url).stdout


def test_decoders_are_listed(stack: Stack) -> None:
    """Name, labels and image shape of each decoder, or its card."""
    row = here("decoders", url=stack.url).stdout.splitlines()[-1].split("\t")
    assert row[:3] == ["tiny", "0 1 2 3 4 5 6 7 8 9", "8x8 grey"]
    cards = json.loads(here("decoders", "--json", url=stack.url).stdout)
    assert TINY in {card["name"] for card in cards}


def test_cancel_says_where_the_job_is(stack: Stack, client: Client) -> None:
    """A running job is on its way to cancelled; one that has ended is refused in one line."""
    job = client.submit(TINY, 1, count=3_000_000, seed=17, shard_size=1024)
    assert here("cancel", job.id, url=stack.url).stdout.strip() in ("cancelling", "cancelled")
    done = client.wait(client.submit(TINY, 1, count=1))
    refused = here("cancel", done.id, url=stack.url)
    assert refused.returncode == 2
    assert refused.stderr.startswith("latentmill: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("submit", TINY, "eleven", "--count", "1"), "/label: decoder tiny has no label 'eleven'"),
        (("submit", "nothing", "--count", "1"), "/decoder: "),
        (("status", "nosuchjob12"), "No such job."),
        (("download", "nosuchjob12"), "No such job."),
        (("verify", "no-such-folder"), "No such job."),
    ],
)
def test_a_refusal_is_one_line(stack: Stack, arguments: tuple[str, ...], words: str) -> None:
    """What went wrong is one line on stderr without a traceback, and the exit code is 2."""
    refused = here(*arguments, url=stack.url)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""


def test_a_refusal_has_no_traceback(stack: Stack) -> None:
    """The same as a process of its own: one line, nothing of Python's."""
    refused = latentmill("status", "nosuchjob12", url=stack.url)
    assert refused == (2, "", "latentmill: No such job.\n")


def test_no_server_is_one_line_with_a_way_out(tmp_path: Path) -> None:
    """Without a server the user is told how to start or name one; a broken setting is named."""
    refused = here("list", "--url", f"http://127.0.0.1:{free_port()}")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "latentmill up" in refused.stderr
    assert "127.0.0.1:8000" in here("list", url="ftp://there").stderr


def test_a_reader_that_leaves_is_no_error(stack: Stack, job_id: str) -> None:
    """`latentmill list | head -1` ends without a complaint on stderr."""
    with start("list", "--json", "--limit", "50", url=stack.url) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


def test_ctrl_c_is_quiet(stack: Stack, client: Client) -> None:
    """An interrupted wait says nothing more and exits with 130; the job goes on."""
    with start(
        "submit", TINY, "2", "--count", "9000000", "--shard-size", "1024", "--wait", url=stack.url
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        job_id = process.stdout.readline().strip()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert "Traceback" not in process.stderr.read()
    assert not client.cancel(job_id).status.is_terminal or client.job(job_id).status == "cancelled"


def test_a_full_disk_or_a_closed_folder_is_one_line(stack: Stack, job_id: str) -> None:
    """What the system refuses is told with the path, not with a traceback."""
    refused = here("download", job_id, "--to", "/proc/nowhere", url=stack.url)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "/proc/nowhere" in refused.stderr


@pytest.mark.parametrize("command", ["up", "demo", "worker"])
def test_a_missing_extra_is_named(command: str) -> None:
    """Without ONNX Runtime the extra to install is told in one line."""
    code = f"import sys; sys.modules['onnxruntime'] = None; sys.argv[1:] = [{command!r}]"
    without = f"{code}; from service.cli.main import main; main()"
    refused = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True)
    assert refused.returncode == 2
    told = "latentmill: onnxruntime is missing: pip install 'latentmill[cpu]'\n"
    assert refused.stderr == told


def test_every_command_teaches() -> None:
    """Each command says what it does; those that take arguments show an example of themselves."""
    for command in app.registered_commands:
        assert command.callback is not None
        name, told = command.name or command.callback.__name__, command.callback.__doc__ or ""
        assert told.partition("\n")[0].endswith("."), name
        if name not in ("api", "worker", "sweep", "compile", "cancel", "decoders", "doctor"):
            assert f"latentmill {name}" in told, name


def test_help_is_printed(tmp_path: Path) -> None:
    """Without a command, and with --help, the commands are listed."""
    assert "submit" in CliRunner().invoke(app, ["--help"]).output
    assert "--count" in CliRunner().invoke(app, ["submit", "--help"]).output


def test_the_version_is_the_distributions() -> None:
    """`--version` tells the installed version."""
    from importlib.metadata import version

    assert latentmill("--version").stdout == f"latentmill {version('latentmill')}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("submit", "mnist", "3", "--count", "0"), "'--count'"),
        (("submit",), "Missing argument"),
        (("submit", "mnist", "--cuont", "3"), "--cuont"),
        (("nosuch",), "nosuch"),
    ],
)
def test_a_mistyped_command_is_one_line(words: tuple[str, ...], said: str) -> None:
    """What is wrong and where to read on; no box, no traceback."""
    refused = latentmill(*words)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert said in refused.stderr
    assert "--help`)" in refused.stderr


def test_a_repair_waits_and_tells(stack: Stack, client: Client) -> None:
    """A flipped byte and a missing archive are made again by the running service; sha256s are the manifest's."""
    job = client.wait(client.submit(TINY, "3", count=1030, seed=77, shard_size=1024)).id
    flipped, missing = client.manifest(job).shards
    root = stack.plan.data_dir.objects
    data = bytearray((root / flipped.key).read_bytes())
    data[100] ^= 1
    (root / flipped.key).write_bytes(data)
    (root / missing.key).unlink()
    assert here("verify", job, url=stack.url).returncode == 1
    done = here("repair", job, url=stack.url)
    assert (done.returncode, done.stdout) == (0, f"job {job}: 2 archives checked, 2 repaired\n")
    assert here("verify", job, url=stack.url).returncode == 0
    assert here("repair", job, url=stack.url).stdout.endswith("2 archives checked, 0 repaired\n")
    assert here("repair", "no-such-job", url=stack.url).returncode == 2
