"""Permit: software licences, issued, checked and enforced."""

# Of everything here: what a deployment shows. A release changes it, docs/openapi.json (`make openapi`),
# the layers in template.yaml and CHANGELOG.md; a test holds them together.
VERSION = "0.1.0"
