"""Permit: software licences, issued, checked and enforced."""

import gc
import os

# Of everything here. docs/openapi.json (`make openapi`), the layers in template.yaml and the
# changelog repeat it, which a test sees to.
VERSION = "0.1.0"

# A start makes tens of thousands of objects, which all stay. Python would look for garbage among
# them after every 2,000, and take a twentieth of a cold start for it.
gc.set_threshold(50_000)
# pydantic would look for plugins in the metadata of every package. There are none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
