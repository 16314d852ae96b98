"""What a person signs in with: an email as it is kept, a password as it is stored."""

from permit.errors import InvalidRequest
from permit.folding import fold_email
from permit.security import passwords
from permit.security.passwords import UnacceptablePassword


def new_email(email: str) -> str:
    """Folding changes how long an email is: it is the folded one that is kept."""
    folded = fold_email(email)
    if not 3 <= len(folded) <= 254:
        raise InvalidRequest(("email", "must have 3 to 254 characters"))
    return folded


def new_hash(password: str, email: str, *, field: str) -> str:
    """The hash of an acceptable password. Raises InvalidRequest, which names `field`."""
    try:
        passwords.require_acceptable(password, email=email)
    except UnacceptablePassword as error:
        raise InvalidRequest((field, str(error))) from None
    return passwords.hash(password)
