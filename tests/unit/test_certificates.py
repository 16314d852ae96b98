"""The shipped certificate authorities: they load, have the right owners and do not expire soon."""

import re
import ssl
import time
from pathlib import Path

import pytest

import permit
from tests.support.sam_template import ROOT

CERTIFICATES = Path(permit.__file__).parent / "certificates"
A_YEAR = 365 * 24 * 3600


def _load(name: str) -> list[dict[str, object]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CERTIFICATES / name)
    return context.get_ca_certs()


def _names(name: str) -> list[str]:
    subjects = [dict(part[0] for part in ca["subject"]) for ca in _load(name)]
    return sorted(subject["commonName"] for subject in subjects)


def test_the_amazon_roots_are_the_five() -> None:
    """The roots behind RDS Proxy are Amazon's four and Starfield Services'."""
    starfield = "Starfield Services Root Certificate Authority - G2"
    assert [*(f"Amazon Root CA {n}" for n in range(1, 5)), starfield] == _names("amazon-roots.pem")


def test_the_rds_roots_are_rdss() -> None:
    """The roots behind a cluster are RDS's own, three kinds of key for each region."""
    names = _names("rds-global.pem")
    kinds = ("ECC384", "RSA2048", "RSA4096")
    regions = {name.split()[2] for name in names}

    assert sorted(f"Amazon RDS {r} Root CA {kind} G1" for r in regions for kind in kinds) == names
    assert {"eu-central-1", "eu-west-1", "us-east-1", "us-west-2"} <= regions


@pytest.mark.parametrize("name", ["amazon-roots.pem", "rds-global.pem"])
def test_none_expires_within_a_year(name: str) -> None:
    """A bundle is renewed well before one of its roots expires."""
    expiries = [ssl.cert_time_to_seconds(str(ca["notAfter"])) for ca in _load(name)]
    assert min(expiries) > time.time() + A_YEAR


def test_the_regions_without_rds_roots_are_told() -> None:
    """docs/deploy.md says of how many regions the layer has the roots, and names no other."""
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    paragraph = page[page.index("**Regions.**") : page.index("## CloudFront")]
    regions = {name.split()[2] for name in _names("rds-global.pem")}

    assert f"RDS's roots of {len(regions)}" in " ".join(paragraph.split())
    assert set() == regions & set(re.findall(r"`([a-z]{2}-[a-z]+-\d)`", paragraph))
