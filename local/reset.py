"""`make reset`: drops the data of `make run`, and its secrets with them."""

import os
import shutil

from local.postgres.database import connect_given
from local.site.folder import Folder


def main() -> int:
    """Remove .permit, and Permit's schema from DATABASE_URL where that is given."""
    folder = Folder()
    if folder.path.exists():
        with folder.lock():
            shutil.rmtree(folder.path)
    url = os.environ.get("DATABASE_URL")
    if url:
        with connect_given(url) as connection:
            connection.execute("DROP SCHEMA IF EXISTS permit CASCADE")
    print("The data is gone; `make run` begins anew.")
    return 0
