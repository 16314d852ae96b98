"""One version, in shared/permit/__init__.py: what else shows it shows the same."""

import json
import re

from permit import VERSION
from tests.support.sam_template import ROOT, written

LAYERS = {
    name: resource["Properties"]["Description"]
    for name, resource in written()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::LayerVersion"
}


def test_each_layer_names_it() -> None:
    """In its description, which the console lists beside the layer's number."""
    assert {"DependenciesLayer", "PermitLayer"} == set(LAYERS)
    assert all(text.startswith(f"Permit {VERSION}: ") for text in LAYERS.values())


def test_the_description_of_the_api_names_it() -> None:
    """What health answers with is health's own test."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))

    assert VERSION == document["info"]["version"]


def test_the_client_has_it() -> None:
    """What a program ships says which server it is of."""
    source = (ROOT / "clients/python/src/permit_client/__init__.py").read_text(encoding="utf-8")

    assert [VERSION] == re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)


def test_the_changelog_tells_it_first() -> None:
    """Newest first, below what is not released yet."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)

    assert [VERSION] == [each for each in headings if each != "Unreleased"][:1]
