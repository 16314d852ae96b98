"""Reads what a vendor gives to `Permit`; raises ValueError or TypeError for what they got wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional, Union

from permit_client.store import FileStore, MemoryStore, default_folder

if TYPE_CHECKING:
    from datetime import date

    from permit_client.interfaces import Store


def open_store(
    store: Union[str, os.PathLike[str], Store, None], product: str, device: str
) -> tuple[Store, Optional[str]]:
    if store is None:
        try:
            return FileStore(default_folder(), product, device), None
        except OSError:
            return MemoryStore(), "no_home"
    if isinstance(store, (str, os.PathLike)):
        return FileStore(store, product, device), None
    return store, None


def own_fingerprint(given: Optional[str], product: str) -> str:
    if given is None:
        from permit_client.fingerprint import fingerprint

        return fingerprint(product)
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("fingerprint: a text")
    if not 16 <= len(given) <= 256:
        raise ValueError("fingerprint: 16 to 256 characters; hash what is shorter or longer")
    return given


def check_texts(**texts: object) -> None:
    limits = {"product": 64, "version": 64, "device_name": 200}
    for name, text in texts.items():
        if text is None and name != "product":
            continue
        if not isinstance(text, str):
            raise TypeError(f"{name}: a text")
        if not 1 <= len(text) <= limits[name]:
            raise ValueError(f"{name}: 1 to {limits[name]} characters")


def check_address(base_url: str) -> None:
    """Cheaply, at the start; the rest of it when it is first needed."""
    if not isinstance(base_url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("base_url: a text")
    if not base_url.startswith("https://"):
        from permit_client.transport import Address

        Address(base_url)


def read_build_date(given: Union[str, date, None]) -> Optional[str]:
    if given is None or (isinstance(given, str) and _is_day(given)):
        return given
    from datetime import date, datetime, timezone

    if isinstance(given, datetime):
        utc = given if given.tzinfo is None else given.astimezone(timezone.utc)
        return utc.date().isoformat()
    if isinstance(given, date):
        return given.isoformat()
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("build_date: a date or `2026-11-22`")
    raise ValueError(f"build_date: {given!r} is not a date like 2026-11-22")


def _is_day(text: str) -> bool:
    """As `date.fromisoformat` says, without the import that it costs a start."""
    year, month, day = text[:4], text[5:7], text[8:]
    digits = year + month + day
    if len(text) != 10 or text[4] + text[7] != "--" or not (digits.isascii() and digits.isdigit()):
        return False
    is_leap = int(year) % 4 == 0 and (int(year) % 100 != 0 or int(year) % 400 == 0)
    days = (31, 29 if is_leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return int(year) >= 1 and 1 <= int(month) <= 12 and 1 <= int(day) <= days[int(month) - 1]


def read_messages(own: Optional[dict[str, str]]) -> dict[str, str]:
    if not own:
        return {}
    from permit_client.messages import check_names

    check_names(own)
    return dict(own)
