"""Secret sources: where a value comes from, how long it is kept, and what happens in an outage."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from permit.secrets.sources import SecretSource, SecretUnavailable
from permit.security.secret_formats import MalformedSecret
from tests.support.extension_double import Extension, serving

REGION = "eu-west-1"
SECRET = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:permit/master-AbCdEf"
PARAMETER = f"arn:aws:ssm:{REGION}:123456789012:parameter/permit/jwks"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Iterator[Extension]:
    double = Extension(secrets={SECRET: "first"}, parameters={"/permit/jwks": "first"})
    with serving(double) as server:
        monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(server.server_port))
        monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock) -> Callable[[str], SecretSource]:
    return lambda text: SecretSource(text, variable="PERMIT_MASTER_KEYS", clock=clock)


@pytest.mark.parametrize("arn", [SECRET, PARAMETER])
def test_an_arn_is_read_through_the_extension(source, extension: Extension, arn: str) -> None:
    """A secret and a parameter come through the extension, with the session's token."""
    assert source(arn).read() == "first"


def test_an_unknown_parameter_is_aws_s_refusal(source, extension: Extension) -> None:
    """The extension passes on that there is none; the message names the variable."""
    extension.parameters.clear()

    with pytest.raises(SecretUnavailable, match=r"PERMIT_MASTER_KEYS .*400"):
        source(PARAMETER).read()


def test_a_value_is_kept_for_its_age(source, extension: Extension, clock: Clock) -> None:
    """A value from AWS serves for 300 s, then it is read again."""
    secret = source(SECRET)
    secret.read()
    extension.secrets[SECRET] = "second"

    clock.now += 299
    assert (secret.read(), extension.requests) == ("first", 1)
    clock.now += 1
    assert (secret.read(), extension.requests) == ("second", 2)


def test_a_fresh_read_is_limited(source, extension: Extension, clock: Clock) -> None:
    """Fresh reads ask again at once, but every 5 s at most."""
    secret = source(SECRET)
    secret.read()
    extension.secrets[SECRET] = "second"

    clock.now += 4
    assert (secret.read(fresh=True), extension.requests) == ("first", 1)
    clock.now += 1
    assert [secret.read(fresh=True) for _ in range(3)] == ["second"] * 3
    assert extension.requests == 2


def test_a_clock_set_back_does_not_keep_a_value_for_ever(
    source, extension: Extension, clock: Clock
) -> None:
    """A value read in what is now the future counts as old."""
    secret = source(SECRET)
    secret.read()
    extension.secrets[SECRET] = "second"
    clock.now -= 500

    assert secret.read() == "second"


def test_an_extension_that_is_not_ready_is_asked_once_more(source, extension: Extension) -> None:
    """The first request of a cold start may come too early: one retry."""
    extension.not_ready = 1
    assert source(SECRET).read() == "first"

    extension.not_ready = 2
    with pytest.raises(SecretUnavailable, match="not ready"):
        source(SECRET).read()


def test_a_failed_first_read_names_the_variable(source, extension: Extension) -> None:
    """Without a value there is nothing to serve: the refusal says which and why."""
    with pytest.raises(SecretUnavailable, match=r"PERMIT_MASTER_KEYS .*400.*AccessDeniedException"):
        source(SECRET[:-1]).read()


@pytest.mark.parametrize(
    "answer", [b"", b"s3cret", b'{"SecretString": "s3cret', b"[]", b"{}", b'{"SecretString": 7}']
)
def test_a_broken_answer_is_refused_and_not_quoted(
    source, extension: Extension, answer: bytes
) -> None:
    """An answer that holds no text is unavailable, and nothing of it is told."""
    extension.broken = answer
    with pytest.raises(SecretUnavailable) as refusal:
        source(SECRET).read()
    cause = refusal.value.__cause__
    assert "s3cret" not in f"{refusal.value} {cause!r} {vars(cause)}"


def test_an_outage_leaves_the_old_value(
    source, extension: Extension, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed refresh warns and serves the old value, and does not try at every request."""
    secret = source(SECRET)
    secret.read()
    extension.broken = b""
    clock.now += 301

    with caplog.at_level(logging.WARNING):
        assert [secret.read(), secret.read()] == ["first", "first"]

    assert extension.requests == 2
    assert "PERMIT_MASTER_KEYS" in caplog.text
    assert "first" not in caplog.text


def test_nothing_listening_is_unavailable(source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extension a first read says so."""
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "1")
    with pytest.raises(SecretUnavailable, match="refused"):
        source(SECRET).read()


def test_a_file_is_read_and_read_again(source, clock: Clock, tmp_path: Path) -> None:
    """A file's content serves for 60 s, without the line break that ends it."""
    file = tmp_path / "secret"
    file.write_text("first\n")
    secret = source(f"file:{file}")
    assert secret.read() == "first"
    file.write_text("second")

    clock.now += 59
    assert secret.read() == "first"
    clock.now += 1
    assert secret.read() == "second"


def test_a_value_is_parsed_once(source, clock: Clock, tmp_path: Path) -> None:
    """By each parser, until another value is read; what cannot be parsed is said every time."""
    file = tmp_path / "secret"
    file.write_text("1")
    secret, asked = source(f"file:{file}"), list[str]()

    def parse(text: str) -> int:
        asked.append(text)
        if not text.isdigit():
            raise MalformedSecret("it is no number")
        return int(text)

    assert [1, 1, 1.0, 1] == [secret.parsed(each) for each in (parse, parse, float, parse)]
    assert ["1", "1"] == asked
    file.write_text("two")
    clock.now += 60
    for _ in range(2):
        with pytest.raises(MalformedSecret, match="PERMIT_MASTER_KEYS: it is no number"):
            secret.parsed(parse)
    file.write_text("3")
    clock.now += 60
    assert 3 == secret.parsed(parse)


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_file_without_a_value_is_unavailable(source, tmp_path: Path, content: str | None) -> None:
    """A missing or empty file names its variable."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SecretUnavailable, match="PERMIT_MASTER_KEYS"):
        source(f"file:{file}").read()


def test_a_written_file_is_private_and_whole(source, tmp_path: Path) -> None:
    """Writing replaces the file in one step, with mode 0600, and leaves nothing beside it."""
    file = tmp_path / "secret"
    file.write_text("first")
    file.chmod(0o644)
    secret = source(f"file:{file}")
    secret.read()

    secret.write("second")

    assert (file.read_text(), file.stat().st_mode & 0o777) == ("second", 0o600)
    assert [file] == list(tmp_path.iterdir())
    assert secret.read() == "second"


def test_a_file_that_cannot_be_written_is_named(source, tmp_path: Path) -> None:
    """A write into a missing folder is refused and leaves nothing."""
    with pytest.raises(SecretUnavailable, match="PERMIT_MASTER_KEYS cannot be written"):
        source(f"file:{tmp_path}/none/secret").write("value")


def test_a_value_in_the_variable_is_itself(source) -> None:
    """Anything else is the value, which cannot be written and is never shown."""
    secret = source("s3cret")

    assert secret.read() == secret.read(fresh=True) == secret.read_for_change() == "s3cret"
    assert repr(secret) == "SecretSource(PERMIT_MASTER_KEYS)"
    with pytest.raises(SecretUnavailable, match="cannot be written") as refusal:
        secret.write("other")
    assert "s3cret" not in str(refusal.value)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def test_a_secret_is_written_to_secrets_manager(source, aws: None) -> None:
    """A write makes the new current version, and serves without a read."""
    client = boto3.client("secretsmanager", region_name=REGION)
    arn = client.create_secret(Name="permit/master", SecretString="first")["ARN"]
    secret = source(arn)
    assert secret.read_for_change() == "first"

    secret.write("second")

    # Named, because moto's default is the version that was put first.
    current = client.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    assert current["SecretString"] == "second"
    assert secret.read() == secret.read_for_change() == "second"


@pytest.mark.parametrize("name", ["/permit/jwks", "jwks"])
def test_a_parameter_is_written_to_parameter_store(source, aws: None, name: str) -> None:
    """A write overwrites the parameter, whether its name is a path or a word."""
    client = boto3.client("ssm", region_name=REGION)
    client.put_parameter(Name=name, Value="first", Type="String")
    parameter = source(client.get_parameter(Name=name)["Parameter"]["ARN"])
    assert parameter.read_for_change() == "first"

    parameter.write("second")

    assert client.get_parameter(Name=name)["Parameter"]["Value"] == "second"


def test_aws_refusing_is_named(source, aws: None) -> None:
    """AWS's refusal carries the variable and AWS's code."""
    with pytest.raises(SecretUnavailable, match=r"PERMIT_MASTER_KEYS .*ResourceNotFoundException"):
        source(SECRET).write("value")


def test_a_read_for_change_never_serves_an_old_value(
    source, extension: Extension, tmp_path: Path
) -> None:
    """A read for a change is always fresh, or fails."""
    file = tmp_path / "secret"
    file.write_text("first")
    secret = source(f"file:{file}")
    secret.read()
    file.write_text("second")
    assert secret.read_for_change() == "second"

    file.unlink()

    with pytest.raises(SecretUnavailable):
        secret.read_for_change()
