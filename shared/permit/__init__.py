"""Permit: software licences, issued, checked and enforced."""

# Of everything here. It is also in docs/openapi.json (`make openapi`), in template.yaml's layers and in
# CHANGELOG.md; a test holds them together.
VERSION = "0.1.0"
