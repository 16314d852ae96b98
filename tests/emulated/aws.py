"""The emulated AWS account: ministack on loopback, its functions in Docker, a Postgres for RDS."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3

from tests.emulated.database import DOMAIN, OWNER, PORT, Front, prepare
from tests.support.artifacts import HOST, build
from tests.support.port_forward import bridge_address, forwarded
from tests.support.proxy_double import REGION, proxying
from tests.support.sam_template import ROOT
from tests.support.servers import Server, embedded
from tests.support.tls import Authority

# Credentials as STS hands them out.
Session = Mapping[str, Any]

ACCOUNT = "123456789012"
ROOT_USER: Session = {"AccessKeyId": "test", "SecretAccessKey": "test"}
PYTHON = ROOT / ".venv-emulate" / "bin" / "python"
# The databases that tests give a stack of their own.
DATABASES = ("permit", "permit-2", "permit-drill")
START_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Aws:
    endpoint: str
    folder: Path
    server: Server
    certificates: Path
    sessions: Path

    def environ(self, session: Session = ROOT_USER) -> dict[str, str]:
        """For a program that is to take the emulator for AWS, and to find nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            **({"AWS_SESSION_TOKEN": session["SessionToken"]} if "SessionToken" in session else {}),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "1",
        }

    def client(self, service: str, session: Session = ROOT_USER) -> Any:
        """As the account's root; or with the credentials of a role."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session.get("SessionToken"),
        )

    def publish_extension(self) -> str:
        """A layer with what stands for the secrets extension; its ARN."""
        layer = io.BytesIO()
        program = Path(__file__).with_name("secrets_extension.py").read_bytes()
        with zipfile.ZipFile(layer, "w") as archive:
            entry = zipfile.ZipInfo("extensions/secrets-extension")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, program)
        made = self.client("lambda").publish_layer_version(
            LayerName="secrets-extension", Content={"ZipFile": layer.getvalue()}
        )
        return made["LayerVersionArn"]

    def name_newest_extension(self) -> None:
        """As AWS does by a public parameter for each processor."""
        for processor in ("arm64", "x86"):
            self.client("ssm").put_parameter(
                Name=f"/aws/service/aws-parameters-and-secrets-lambda-extension/{processor}/latest",
                Value=self.publish_extension(),
                Type="String",
            )


@contextmanager
def emulated(folder: Path) -> Iterator[Aws]:
    port, bridge = free_port(), bridge_address()
    authority = Authority.make(folder / "authority")
    with ExitStack() as exits:
        # Postgres does not run as root, and pytest closes its folders to other users.
        database = Path(exits.enter_context(TemporaryDirectory(prefix="permit-emulated-")))
        database.chmod(0o755)
        server = exits.enter_context(embedded(database))
        prepare(server)
        aws = Aws(
            endpoint=f"http://127.0.0.1:{port}",
            folder=folder,
            server=server,
            certificates=authority.bundle,
            sessions=folder / "sessions.jsonl",
        )
        aws.sessions.touch()
        front = Front(
            target=server.port,
            tls=authority.certify(f"*.{DOMAIN}"),
            sessions=aws.sessions,
            client=aws.client,
        )
        exits.enter_context(proxying(front, address=bridge or "127.0.0.1", port=PORT))
        exits.enter_context(ministack(aws, port, bridge or "host-gateway"))
        if bridge is not None:
            exits.enter_context(forwarded(port, address=bridge, shown_as=port))
        yield aws


@contextmanager
def ministack(aws: Aws, port: int, inside: str) -> Iterator[None]:
    hosts = [
        f"--add-host {name}-{kind}.{DOMAIN}:{inside}"
        for name in DATABASES
        for kind in ("cluster", "instance", "proxy")
    ]
    settings = {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SECRET_ACCESS_KEY": "test",
        "BIND_HOST": "127.0.0.1",
        "EMULATED_DOMAIN": DOMAIN,
        "EMULATED_OWNER": json.dumps(OWNER),
        "EMULATED_SESSIONS": str(aws.sessions),
        "GATEWAY_PORT": str(port),
        "HOME": str(aws.folder),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": "10",  # a new account's
        "LAMBDA_DOCKER_FLAGS": " ".join(hosts),
        "LAMBDA_EXECUTOR": "docker",
        "LAMBDA_STRICT": "1",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": REGION,
        "PATH": os.environ["PATH"],
        "S3_DATA_DIR": str(aws.folder / "s3"),
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(aws.folder / "state"),
        "TMPDIR": str(aws.folder),
    }
    with (aws.folder / "ministack.log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, Path(__file__).with_name("emulator.py")],
            env=settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            await_port(port, process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the emulator ended: see ministack.log"
            assert time.monotonic() < deadline, "the emulator did not start: see ministack.log"
            time.sleep(0.1)
        else:
            return


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def deployable(source: Path, folder: Path, certificates: Path) -> Path:
    """What `sam build` makes of these sources; its functions trust the emulated database alone."""
    shutil.copytree(build(HOST, source).folder, folder)
    shutil.copyfile(source / "samconfig.toml", folder / "samconfig.toml")
    for bundle in folder.glob("PermitLayer/python/permit/certificates/*.pem"):
        shutil.copyfile(certificates, bundle)
    return folder
