"""What is refused to people and API keys: sign-ins, links, and what goes beyond a role."""

from datetime import timedelta

from permit.errors import Conflict, Refusal
from permit.security.access_tokens import FIRST_STEP

PROOF_LIFETIME = timedelta(minutes=10)
_SECONDS = int(PROOF_LIFETIME.total_seconds())


class InvalidCredentials(Refusal):
    """Unknown email, wrong password, deactivated user: told apart nowhere outside the log."""

    status = 401
    code = "invalid_credentials"
    title = "Email or password is wrong"


class InvalidRefreshToken(Refusal):
    """Unknown, expired, replayed, of an ended session: told apart nowhere outside the log."""

    status = 401
    code = "invalid_refresh_token"
    title = "The refresh token is not valid"


class TooManyAttempts(Refusal):
    """The throttle of the sign-in is closed for this account or address, for so many seconds."""

    status = 429
    code = "too_many_attempts"
    title = "Too many attempts"

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after
        self.detail = f"Try again in {retry_after} s."

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class SecondFactorRequired(Refusal):
    """The password was right, and the login goes on with a code of the second factor."""

    status = 401
    code = "mfa_required"
    title = "A second factor is required"
    detail = "Send the code with this mfa_token to /v1/login/second-factor."

    def __init__(self, mfa_token: str) -> None:
        super().__init__()
        self.members = {
            "mfa_token": mfa_token,
            "expires_in": int(FIRST_STEP.lifetime.total_seconds()),
        }


class InvalidCode(Refusal):
    """Wrong, used before, or of a first step that has expired: told apart nowhere."""

    status = 401
    code = "invalid_code"
    title = "The code is not valid"


class ProofOfSelfRequired(Refusal):
    """The token is good, and the last proof that its bearer is the user is too old (RFC 9470)."""

    status = 403
    code = "proof_of_self_required"
    title = "Show that it is you"
    detail = (
        "Send your password, and a code where a second factor is in use, to /v1/login/elevate; "
        f"its access token serves for {_SECONDS // 60} minutes."
    )

    @property
    def headers(self) -> dict[str, str]:
        return {
            "WWW-Authenticate": 'Bearer error="insufficient_user_authentication", '
            f'error_description="A fresh proof of self is needed", max_age="{_SECONDS}"'
        }


class SecondFactorMissing(Refusal):
    """The tenant requires a second factor of all its people, and this user has none yet."""

    status = 403
    code = "second_factor_missing"
    title = "A second factor is required here"
    detail = "Enrol one at /v1/users/me/second-factor; until then nothing else is open."


class OwnSecondFactorMissing(Conflict):
    """Whoever requires a second factor of everybody would shut themself out without one."""

    code = "own_second_factor_missing"
    detail = (
        "You have no second factor yourself, so the rule would shut you out: enrol and confirm one "
        "at /v1/users/me/second-factor first."
    )


class NotForOneself(Refusal):
    """What an owner or admin does for a colleague, nobody does for themself."""

    status = 403
    code = "not_for_oneself"
    title = "This is for colleagues"
    detail = "For your own account see /v1/users/me."


class AboveYourRole(Refusal):
    """Nobody grants, edits or deactivates above their own role."""

    status = 403
    code = "above_your_role"
    title = "This goes beyond your own role"
    detail = "Nobody gives, changes, deactivates or helps a role above their own."


class NotAUser(Refusal):
    """An API key has no account of its own to change, and makes no people and no other keys."""

    status = 403
    code = "not_a_user"
    title = "This is for people, and an API key asks"
    detail = "No API key may do this, whatever its role: sign in as a person."


class LastOwner(Conflict):
    """Without an owner nobody could give the tenant another."""

    code = "last_owner"
    detail = "The last owner stays one, and stays active."


class NotInvited(Conflict):
    """Who has accepted needs no invitation; who has not, has no password to reset."""

    code = "wrong_state"
    detail = "The user's state does not fit: see their status."


class SecondFactorOn(Conflict):
    """A confirmed second factor is removed first."""

    code = "second_factor_on"
    detail = "A second factor is in use: remove it first."


class SecondFactorOff(Conflict):
    """There is no second factor to confirm or remove."""

    code = "second_factor_off"
    detail = "No second factor waits to be confirmed or is in use."


class InvalidLink(Refusal):
    """Unknown, used, expired, or its user or maker has changed since: told apart nowhere."""

    status = 401
    code = "invalid_link"
    title = "The link is not valid"


class WrongProof(Refusal):
    """The present password, or the second factor's code, is not right."""

    status = 403
    code = "wrong_proof"
    title = "The password or code is wrong"


class TenantInUse(Conflict):
    """Somebody has written for the tenant while the last of it was deleted."""

    code = "tenant_in_use"
    detail = "The tenant is still being written to; repeat the command."


class EmailTaken(Conflict):
    """Somebody else signs in with this email; or it is invited to this tenant already."""

    code = "email_taken"
    detail = "Another user has this email."
