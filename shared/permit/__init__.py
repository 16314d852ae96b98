"""Permit: software licences, issued, checked and enforced."""

import gc
import os

# The one version. docs/openapi.json (`make openapi`), the layers in template.yaml and the
# changelog repeat it, and a test compares them.
VERSION = "0.1.0"

# A start makes tens of thousands of objects that all stay. Python would look for garbage after
# every 2,000 of them, which takes a twentieth of a cold start.
gc.set_threshold(50_000)
# pydantic would look for plugins in the metadata of every package. There are none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
