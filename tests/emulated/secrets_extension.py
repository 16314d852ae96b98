#!/var/lang/bin/python3.13
"""Stands for AWS's Parameters and Secrets extension, in the function's own container.

It has the same port, paths and token. Like the real one, it asks AWS for the values with the
function's credentials.
"""

import http.client
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, "/var/runtime")

import botocore.session

PORT = 2773


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.headers["X-Aws-Parameters-Secrets-Token"] != os.environ["AWS_SESSION_TOKEN"]:
            self._answer(401, b"unauthorized")
            return
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            self._answer(200, json.dumps(ask(url.path, query)).encode())
        except Exception as error:  # noqa: BLE001 (whatever it is, it is told as a text)
            self._answer(400, f"{type(error).__name__}: {error}".encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed into the function's log."""


def ask(path: str, query: dict[str, str]) -> dict[str, object]:
    session = botocore.session.get_session()
    if path == "/secretsmanager/get":
        client = session.create_client("secretsmanager")
        return {"SecretString": client.get_secret_value(SecretId=query["secretId"])["SecretString"]}
    parameter = session.create_client("ssm").get_parameter(Name=query["name"], WithDecryption=True)
    return {"Parameter": {"Value": parameter["Parameter"]["Value"]}}


def extend() -> None:
    """Lives as long as Lambda says: the protocol of its extensions."""
    lambda_api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    name = {"Lambda-Extension-Name": Path(__file__).name}
    events = json.dumps({"events": ["INVOKE", "SHUTDOWN"]})
    lambda_api.request("POST", "/2020-01-01/extension/register", events, name)
    answer = lambda_api.getresponse()
    answer.read()
    identity = {"Lambda-Extension-Identifier": answer.headers["Lambda-Extension-Identifier"]}
    while True:
        lambda_api.request("GET", "/2020-01-01/extension/event/next", headers=identity)
        if json.loads(lambda_api.getresponse().read())["eventType"] == "SHUTDOWN":
            return


server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
extend()
