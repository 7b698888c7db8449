"""`latentmill keys` on a storage, and what the command line does with a key."""

import json
import re
from pathlib import Path

import psutil
import pytest

from service.contract.key import TOKEN
from tests.fixtures.api import Api
from tests.fixtures.commands import Ended, here, start


@pytest.fixture
def url(tmp_path: Path) -> str:
    return (tmp_path / "objects").as_uri()


def keys(url: str, *arguments: str) -> Ended:
    return here("keys", *arguments, storage_url=url)


def test_a_token_is_printed_once_and_alone(url: str) -> None:
    """stdout holds it for a script; the rest is on stderr, and no later command knows it."""
    made = keys(url, "create", "ann")
    token = made.stdout.strip()
    assert re.fullmatch(TOKEN, token)
    assert token not in made.stderr
    listed = keys(url, "list").stdout + keys(url, "list", "--json").stdout
    assert token not in listed


def test_a_list_says_which_keys_work(url: str) -> None:
    """Owner, scopes and state, a line each."""
    made = keys(url, "create", "bob", "--scope", "admin", "--expires-in-days", "3")
    keys(url, "create", "ann", "--max-samples-per-day", "5000")
    key_id = made.stderr.split()[1]
    assert keys(url, "revoke", key_id).stdout == f"key {key_id} of bob is revoked\n"
    rows = [line.split("\t") for line in keys(url, "list").stdout.splitlines()]
    assert [row[1:3] for row in rows] == [["ann", "submit read"], ["bob", "admin"]]
    assert rows[0][4] == "live"
    assert rows[1][4].startswith("revoked 20")
    told = json.loads(keys(url, "list", "--json").stdout)
    assert [key["limits"]["max_samples_per_day"] for key in told] == [5000, None]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "Ann"), "an owner's name is made of"),
        (("create", "ann", "--scope", "all"), "'all' is not one of"),
        (("create", "ann", "--expires-in-days", "0"), "greater than or equal to 1"),
        (("revoke", "lm_token"), "a key's id is 12 hexadecimal digits"),
        (("revoke", "0" * 12), "no key '000000000000'"),
        ((), "Missing command"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    url: str, arguments: tuple[str, ...], told: str
) -> None:
    """With what to do next; a token given by mistake is not told again."""
    ended = keys(url, *arguments)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "lm_token" not in ended.stderr


def test_a_third_key_names_the_two(url: str) -> None:
    """So that the old one can be revoked."""
    ids = [keys(url, "create", "ann").stderr.split()[1] for _ in range(2)]
    refused = keys(url, "create", "ann")
    assert refused.returncode == 2
    assert all(key_id in refused.stderr for key_id in ids)


def test_commands_send_the_key_of_the_environment(api: Api, folder_url: str) -> None:
    """And no command takes it as an argument, which every user of the machine could read."""
    server = f"http://127.0.0.1:{api.settings.port}"
    token = keys(folder_url, "create", "ann").stdout.strip()
    assert here("list", url=server, api_key=token).returncode == 0
    refused = here("list", url=server)
    assert refused.returncode == 2
    assert "Authorization: Bearer" in refused.stderr
    wrong = here("list", url=server, api_key="lm_secret")
    assert wrong.returncode == 2
    assert "secret" not in wrong.stderr
    with start("submit", "tiny", "3", "--count", "9", "--wait", url=server, api_key=token) as ended:
        assert token not in " ".join(psutil.Process(ended.pid).cmdline())
        assert ended.stdout is not None
        assert ended.stdout.readline().strip()
        ended.kill()
