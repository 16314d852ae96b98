"""`make run`, `make operator` and `make reset`, as a newcomer meets them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from local.postgres.embedded import running_postgres
from tests.support.make_run import PATIENCE, ROOT, RUN, environment, running

FACTS = {"base_url", "tenant_id", "email", "password", "licence_key"}
PASSWORD = "tests-only"


def command(module: str, folder: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    """A command that ends by itself: its status, output, and what it complains of."""
    result = subprocess.run(
        [sys.executable, "-m", "local", module, *words],
        cwd=ROOT,
        env=environment(folder, **variables),
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return result.returncode, result.stdout, result.stderr


def refusal(folder: Path, **variables: str) -> str:
    """The one line of a `make run` that is refused."""
    status, output, complaint = command("run", folder, **variables)
    assert (status, output, complaint.count("\n")) == (1, "", 1), complaint
    return complaint.strip()


def all_end(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=20)[1]


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the service has run once."""
    folder = tmp_path_factory.mktemp("permit") / "used"
    with running(folder):
        return folder


def test_the_first_run_makes_a_demo_whose_three_commands_work(tmp_path: Path) -> None:
    with running(tmp_path / "new") as run:
        health, login, check = run.paste()

        assert run.facts.keys() == FACTS
        assert health["status"] == "ok"
        assert login["token_type"] == "Bearer"
        assert (check["valid"], check["code"]) == (True, "VALID")
        assert run.facts_file == run.folder / "demo.json"
        assert f"{run.facts['base_url']}/docs" in run.output
        for private in ("demo.json", "postgres.log", "secrets/*"):
            assert {0o600} == {file.stat().st_mode & 0o777 for file in run.folder.glob(private)}


TOUR = (ROOT / "docs" / "vendor.md").read_text(encoding="utf-8")
AUTHENTICATOR = """
totp() { "$PYTHON" -c "from tests.support.authenticator import code
print(code('$(jq -r .secret enrolment)', steps=$1))"; }
"""


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_commands_of_the_tour_work_as_they_stand(tmp_path: Path) -> None:
    """Pasted into one shell in their order, with the password and an authenticator's codes."""
    commands = AUTHENTICATOR + "\n".join(re.findall(r"```sh\n(.+?)```", TOUR, re.DOTALL))
    for shown, typed in (
        ("password='…'", "password=$PASSWORD"),
        ("url=http://127.0.0.1:8000", "url=$URL"),
        ("me/second-factor | jq", "me/second-factor | tee enrolment | jq"),
        ("""'{"code": "123456"}'""", '"{\\"code\\": \\"$(totp -1)\\"}"'),
        ('\\"123456\\"', '\\"$(totp 0)\\"'),
    ):
        assert commands.count(shown) == 1, shown
        commands = commands.replace(shown, typed)
    refused = 'token=wrong; id=$(ask GET /v1/tenants/me | jq -r .id); echo "[$id]"'

    with running(tmp_path / "tour") as run:
        facts = {"URL": run.facts["base_url"], "PASSWORD": run.facts["password"]}
        result = subprocess.run(
            ["bash", "-c", f"set -e -o pipefail\n{commands}\nset +e\n{refused}"],
            cwd=tmp_path,
            env=os.environ | facts | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    assert result.stdout.endswith("\n[]\n"), result.stdout + result.stderr
    curls, problem = result.stderr.splitlines()
    assert ("curl: (22)", 401) == (curls[:10], json.loads(problem)["status"])
    assert "null" not in re.findall(r"^\S+$", result.stdout, re.MULTILINE)


def test_starting_again_keeps_the_data_and_the_facts(used: Path) -> None:
    before = json.loads((used / "demo.json").read_text())

    with running(used) as run:
        assert run.facts | {"base_url": ""} == before | {"base_url": ""}
        assert run.facts["base_url"] in run.output
        # Nothing before the welcome that could look like a failure.
        assert run.output.startswith("Starting ...\n\nPermit is running at ")
        assert run.paste()[1]["token_type"] == "Bearer"


def test_what_a_running_service_allows_beside_it(used: Path) -> None:
    """Operator commands; neither a second run nor a reset."""
    with running(used) as run:
        words = ("create-user", f"tenant_id={run.facts['tenant_id']}", "email=beside@example.com")
        status, output, _ = command("operator", used, *words)
        second_run = refusal(used)
        reset_status, _, complaint = command("reset", used)

    assert (status, json.loads(output)["ok"]) == (0, True)
    assert second_run == f"permit: {used} is in use by another `make run`"
    assert (reset_status, complaint.strip()) == (1, second_run)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_behind(used: Path, how: signal.Signals) -> None:
    with running(used) as run:
        everything = run.everything()

        run.process.send_signal(how)

        assert run.process.wait(PATIENCE) == (-9 if how == signal.SIGKILL else 0)
        assert len(everything) > 5
        assert all_end(everything)


@pytest.mark.parametrize("which", ["guard", "postmaster"])
def test_without_postgres_the_run_ends(used: Path, which: str) -> None:
    with running(used) as run:
        everything = run.everything()
        postmaster = int((used / "postgres" / "postmaster.pid").read_text().split()[0])
        guard = psutil.Process(postmaster).ppid()

        os.kill(guard if which == "guard" else postmaster, signal.SIGKILL)

        assert run.process.wait(PATIENCE) == 1
        assert all_end(everything)
        printed = used.with_name("used.output").read_text().splitlines()
        assert printed[-1].startswith("permit: Postgres has ended")


def test_a_run_that_was_killed_does_not_stop_the_next(used: Path) -> None:
    with running(used) as run:
        run.process.kill()
        run.process.wait()
    # A pid that somebody else has by now.
    (used / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n")

    with running(used) as run:
        assert run.paste()[0]["status"] == "ok"


def test_a_run_ends_with_the_make_that_started_it(used: Path, tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@exec {' '.join(RUN)}\n")

    with running(used, start=("make", "-f", str(makefile), "run")) as make:
        everything = make.everything()

        make.process.kill()

        assert all_end(everything)


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert refusal(tmp_path, PORT=str(port)).startswith(f"permit: port {port} is in use")


def test_a_port_that_is_none_is_said_in_one_line(tmp_path: Path) -> None:
    assert "PORT is 'eighty'" in refusal(tmp_path, PORT="eighty")


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Somebody's Postgres with a database each for two of its users; the address lacks a user."""
    folder = tmp_path_factory.mktemp("other")
    with running_postgres(folder / "postgres", folder / "postgres.log", PASSWORD) as server:
        with server.connect() as connection:
            connection.execute(f"CREATE ROLE owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
            connection.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE licences OWNER owner")
        yield f"127.0.0.1:{server.port}/licences"


def test_a_log_that_was_open_to_all_is_closed(used: Path) -> None:
    """As an older Permit made it."""
    log = used / "postgres.log"
    log.chmod(0o644)

    with running(used):
        assert log.stat().st_mode & 0o777 == 0o600


def test_each_database_keeps_its_demo(tmp_path: Path, other_server: str) -> None:
    """Given, then not given, then given again: the password of the first run is not lost."""
    folder, url = tmp_path / "two", f"postgresql://owner:{PASSWORD}@{other_server}"
    seen = []
    for variables in ({"DATABASE_URL": url}, {}, {"DATABASE_URL": url}, {}):
        with running(folder, **variables) as run:
            assert run.paste()[1]["token_type"] == "Bearer"
            seen.append(run.facts | {"base_url": ""})
            assert run.facts_file.stat().st_mode & 0o777 == 0o600

    assert seen[:2] == seen[2:]
    assert seen[0]["tenant_id"] != seen[1]["tenant_id"]
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE permit_doors")
        assert (1,) == connection.execute("SELECT count(*) FROM permit.tenants").fetchone()


def test_an_operator_command_needs_the_database_that_is_meant(
    used: Path, other_server: str
) -> None:
    """A demo of another database does not stand for it."""
    url = f"postgresql://owner:{PASSWORD}@{other_server}"

    status, _, complaint = command("operator", used, "rotate-token-key", DATABASE_URL=url)

    assert (status, complaint) == (1, "permit: there is no database yet: `make run` makes it\n")


def test_a_given_database_is_used_and_reset(tmp_path: Path, other_server: str) -> None:
    url = f"postgresql://owner:{PASSWORD}@{other_server}"
    folder = tmp_path / "given"

    with running(folder, DATABASE_URL=url) as run:
        assert run.paste()[2]["code"] == "VALID"
        assert not (folder / "postgres").exists()
    with running(tmp_path / "another", DATABASE_URL=url) as run:
        # The first demo's facts are not here, and its email is taken.
        assert run.facts["email"] != "owner@example.com"
        assert run.paste()[1]["token_type"] == "Bearer"

    assert command("reset", folder, DATABASE_URL=url)[0] == 0
    with psycopg.connect(url) as connection:
        assert not connection.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname = 'permit'"
        ).rowcount


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("not a database", "DATABASE_URL is not like"),
        (f"postgresql://owner:{PASSWORD}@127.0.0.1:1/licences", "Connection refused"),
        ("postgresql://owner:wrong-secret@{server}", "password authentication failed"),
        ("postgresql://guest:tests-only@{server}", "role guest needs CREATEROLE"),
    ],
    ids=["malformed", "unreachable", "refused", "without rights"],
)
def test_a_broken_database_url_is_said_in_one_line(
    tmp_path: Path, other_server: str, url: str, reason: str
) -> None:
    complaint = refusal(tmp_path, DATABASE_URL=url.format(server=other_server))

    assert reason in complaint
    assert "wrong-secret" not in complaint
    assert PASSWORD not in complaint


def test_an_operator_command_starts_the_database_if_it_must(used: Path) -> None:
    tenant_id = json.loads((used / "demo.json").read_text())["tenant_id"]
    words = ("create-product", f"tenant_id={tenant_id}", "code=editor", "name=The editor")

    status, output, _ = command("operator", used, *words)

    assert (status, json.loads(output)["ok"]) == (0, True)


def test_a_refused_operator_command_is_a_failure(used: Path) -> None:
    status, output, _ = command("operator", used, "no-such-command")

    assert (status, json.loads(output)["ok"]) == (1, False)


def test_an_operator_command_needs_a_database(tmp_path: Path) -> None:
    status, _, complaint = command("operator", tmp_path / "none", "rotate-token-key")

    assert (status, complaint) == (1, "permit: there is no database yet: `make run` makes it\n")


def test_reset_drops_the_data(used: Path) -> None:
    # The last test of this file: the others have no more use for the folder.
    status, _, _ = command("reset", used)

    assert status == 0
    assert not used.exists()
