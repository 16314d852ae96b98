"""What is refused when keys are changed."""

from permit.errors import Conflict


class MasterKeyInUse(Conflict):
    """Keys are still sealed under the version that is to be dropped."""

    code = "master_key_in_use"
    detail = "Keys are still sealed under this version: re-seal them first."
