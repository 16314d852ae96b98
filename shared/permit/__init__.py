"""Permit: software licences, issued, checked and enforced."""

# Of everything here. docs/openapi.json (`make openapi`), the layers in template.yaml and the
# changelog repeat it, which a test sees to.
VERSION = "0.1.0"
