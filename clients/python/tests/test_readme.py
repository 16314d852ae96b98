"""The README's own programs, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from permit_client import Permit
from permit_client.testing import FakePermit

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def program(holding: str) -> str:
    [found] = [each for each in PROGRAMS if holding in each]
    return found


def run(text: str, licences: FakePermit, **names: Any) -> dict[str, Any]:
    """Its names, after it ran against the fake server."""

    def permit(base_url: str, **settings: Any) -> Permit:
        return Permit(**{**licences.arguments, **settings, "base_url": base_url})

    text = text.replace("from permit_client import Permit\n", "")
    found: dict[str, Any] = {"Permit": permit, "PUBLIC_KEYS": licences.keys, **names}
    exec(text, found)  # noqa: S102 (our own document)
    return found


def test_the_first_program_works_and_has_six_lines_at_most() -> None:
    text = program("raise SystemExit")
    licences = FakePermit()
    assert len([line for line in text.splitlines() if line.strip()]) <= 6

    found = run(text, licences, key=licences.issue())
    assert "verdict" == found["licence"].why
    licences.offline()
    assert "lease" == run(text, licences, key=found["key"])["licence"].why
    licences.online()
    with pytest.raises(SystemExit, match="not known"):
        run(text, licences, key="ABCDEF")


def test_seats_and_devices() -> None:
    licences = FakePermit()
    key = licences.issue(seats=1, meters={"exports": None})
    permit = licences.permit()
    served: list[bool] = []
    names = {"permit": permit, "key": key}
    run(program("serve()"), licences, serve=lambda: served.append(True), **names)
    assert [True] == served
    licences.take_seat(key)
    permit.check(key)
    run(program("for device in licence.devices"), licences, **names)
    assert permit.state().allowed
    run(program("permit.use("), licences, export=lambda: served.append(True), **names)
    assert 2 == len(served)
    run(program("licence.grants"), licences, licence=permit.state())


def test_the_tests_of_a_vendor() -> None:
    fixture = program("@pytest.fixture")
    assert 3 == len(fixture.strip().splitlines())
    found = run(program("def test_a_suspended"), FakePermit())
    found["test_a_suspended_licence_closes_the_program"](FakePermit(product="editor"))


def test_every_program_is_python() -> None:
    for text in PROGRAMS:
        if "await" not in text:
            compile(text, "README.md", "exec")
