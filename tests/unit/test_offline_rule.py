"""The offline rule of docs/check.md: its example, run as a vendor copies it."""

import json
import re
import warnings
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from permit.security.proofs import ProofKey
from tests.support.facts import NOW, facts
from tests.unit.test_proof_claims import DEVICE, IAT, KEY, WEEK, signed_proof

CHECK = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
ISSUER = f"https://licences.example.com/v1/tenants/{facts().tenant_id}"
ASKED = {"given": facts(), "device": DEVICE, "version_date": date(2027, 3, 1), "nonce": "n"}
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


def key_set(key: ProofKey) -> KeySet:
    return KeySet([OKPKey.import_key(dict(key.public_jwk))])


PROGRAM = {
    "keys": key_set(KEY),
    "fingerprint": "fingerprint-of-a-machine",
    "built_on": "2027-03-01",
    "nonce": "n",
    "now": IAT,
}


def believed(asked: dict[str, Any], program: dict[str, Any]) -> dict[str, Any]:
    """The claims that the documented code believes; it raises where it believes nothing."""
    [code] = re.findall(r"```python\n(import hashlib\nfrom typing.+?)```", CHECK, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 (our own documentation)
    names["ISSUER"] = ISSUER
    return names["believed"](signed_proof(**{**ASKED, **asked}), **{**PROGRAM, **program})


def test_the_published_keys_are_read_as_the_program_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two, and the code that reads them keeps joserfc quiet."""
    [reading] = re.findall(r"```python\n(import json\nimport warnings.+?)```", CHECK, re.DOTALL)
    published = [dict(key.public_jwk) for key in (KEY, ProofKey.generate(), ProofKey.generate())]
    (tmp_path / "permit-keys.json").write_text(json.dumps({"keys": published}))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(reading, names)  # noqa: S102 (our own documentation)
        assert believed({}, {"keys": names["keys"]})["valid"]

    assert 2 == len(names["keys"].keys)


@pytest.mark.parametrize("now", [IAT - 300, IAT, IAT + WEEK - 1])
def test_a_proof_of_its_own_is_believed(now: int) -> None:
    """Until it ends, and by clocks that are five minutes behind too."""
    assert believed({}, {"now": now})["valid"]


def test_a_refusal_is_believed() -> None:
    """It is signed too, and says that the program may not run."""
    assert not believed({"given": facts(revoked_at=NOW)}, {})["valid"]


NOT_BELIEVED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another machine's": ({}, {"fingerprint": "fingerprint-of-another"}),
    "no machine's": ({"device": None, "given": facts(device_required=False)}, {}),
    "an earlier build's": ({}, {"built_on": "2027-03-02"}),
    "no build's": ({"version_date": None}, {}),
    "an older answer": ({}, {"nonce": "m"}),
    "ended": ({}, {"now": IAT + WEEK}),
    "from the future": ({}, {"now": IAT - 301}),
    "another vendor's": ({"given": facts(tenant_id=str(UUID(int=1)))}, {}),
    "another program's": ({"given": facts(product="viewer")}, {}),
    "another key's": ({}, {"keys": key_set(ProofKey.generate())}),
}


@pytest.mark.parametrize("name", NOT_BELIEVED)
def test_nothing_else_is_believed(name: str) -> None:
    """The code makes each comparison of the table."""
    asked, program = NOT_BELIEVED[name]

    with pytest.raises((ValueError, JoseError)):
        believed(asked, program)
