"""The check as it is deployed, under load."""

import app
from bench_lambda import Device, check_event, timed_answer
from bench_load import serve_load


def main() -> None:
    serve_load(_answer)


def _answer(device: Device) -> object:
    return timed_answer(app.handler, check_event(device))
