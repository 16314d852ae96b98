"""The user that Postgres runs as: it refuses root, so under root it gets a user of its own."""

import ctypes
import os
import pwd
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 28, 47, 2
# Keeps capabilities when the user id changes: neither setuid() nor access() drops them.
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3, _CAP_DAC_OVERRIDE = 0x20080522, 1
USER = "permit-postgres"


class Account(NamedTuple):
    """The user to become; without a name, the present user stays."""

    name: str = ""
    opens_closed_folders: bool = False

    def own(self, *paths: Path) -> None:
        """Give files to the account."""
        if self.name:
            user = pwd.getpwnam(self.name)
            for path in paths:
                os.chown(path, user.pw_uid, user.pw_gid)

    def assume(self) -> None:
        """Become the account for good; called between fork and exec."""
        if not self.name:
            return
        user = pwd.getpwnam(self.name)
        if self.opens_closed_folders:
            _LIBC.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        if self.opens_closed_folders:
            _keep_opening_files()


def account_for(paths: Iterable[Path]) -> Account:
    """The account for a program that uses these files.

    A checkout under /root is closed to every other user. To keep root's folders closed, the
    program keeps root's right to pass through them (on Linux; containers grant it as well).
    """
    if os.geteuid() != 0:
        return Account()
    return Account(_user_name(), not all(_is_open_to_everyone(path) for path in paths))


def _user_name() -> str:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER]
    try:
        pwd.getpwnam(USER)
    except KeyError:
        try:
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 (no input in it)
        except (OSError, subprocess.CalledProcessError):
            return "nobody"  # A small system without useradd; every system has this user.
    return USER


def _is_open_to_everyone(path: Path) -> bool:
    found = path.resolve()
    needed = [(found, stat.S_IROTH | stat.S_IXOTH)] if found.is_file() else []
    needed += [(parent, stat.S_IXOTH) for parent in found.parents]
    return all(each.stat().st_mode & bits == bits for each, bits in needed)


def _keep_opening_files() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << _CAP_DAC_OVERRIDE
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if _LIBC.capset(header, effective_permitted_inheritable) == 0:
        _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
