"""Rotation of the token keys by Secrets Manager, which asks for it in four steps.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
The steps run back to back, so the new key carries the time from which it signs: an hour after it is
published. Each step may be repeated, and is repeated after a failure.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from permit.secrets.aws import SecretsManagerSecret
from permit.secrets.sources import SecretSource
from permit.security.token_keys import TokenKeys

_PENDING = "AWSPENDING"
_CURRENT = "AWSCURRENT"


class CannotRotate(RuntimeError):
    """The step does not fit the secret's present state. The message holds no key."""


@dataclass(frozen=True, kw_only=True)
class TokenRotation:
    """One rotation, known by the version that it makes."""

    secret: SecretsManagerSecret
    published: SecretSource
    version: str

    def create(self, now: datetime) -> None:
        """createSecret: the current keys and a new one, as the pending version."""
        if _CURRENT in self._stages():
            return  # repeated after the rotation was finished
        try:
            self._pending()
        except OSError:  # the version has no value yet
            rotated = self._current().rotated(now)
            self.secret.put_version(rotated.dump(), version=self.version, stage=_PENDING)

    def publish(self, now: datetime) -> None:
        """setSecret: whoever verifies knows the new key before it signs."""
        if _CURRENT not in self._stages():
            self.published.write(json.dumps(self._fresh_pending(now).jwks(now)))

    def test(self, now: datetime) -> None:
        """testSecret: what is published verifies what each of the pending keys signs."""
        if _CURRENT in self._stages():
            return
        known = {each["kid"]: each for each in json.loads(self.published.read_for_change())["keys"]}
        for key in self._fresh_pending(now).living(now):
            if known.get(key.kid) != key.public_jwk:
                raise CannotRotate(f"the key {key.kid} is to sign and is not published")

    def finish(self, now: datetime) -> None:
        """finishSecret: the pending version becomes the current one."""
        if _CURRENT in self._stages():
            return
        self._fresh_pending(now)
        self.secret.make_current(self.version, replacing=self._current_version())

    def _stages(self) -> set[str]:
        stages = self.secret.versions().get(self.version)
        if stages is None or not stages & {_PENDING, _CURRENT}:
            raise CannotRotate("the version that is to be rotated to is not pending")
        return stages

    def _fresh_pending(self, now: datetime) -> TokenKeys:
        """The pending keys. Raises CannotRotate if the keys were changed since.

        Finishing then would bring back a withdrawn key, or lose an added one.
        """
        pending, current = self._pending(), self._current()
        added = pending.kids - current.kids
        lost = {key.kid for key in current.living(now)} - pending.kids
        if len(added) != 1 or lost:
            self.secret.forget_pending(self.version)
            raise CannotRotate("the keys were changed meanwhile; the next rotation begins anew")
        return pending

    def _pending(self) -> TokenKeys:
        return TokenKeys.parse(self.secret.read_version(self.version, stage=_PENDING))

    def _current(self) -> TokenKeys:
        return TokenKeys.parse(self.secret.read_version(self._current_version(), stage=_CURRENT))

    def _current_version(self) -> str:
        for version, stages in self.secret.versions().items():
            if _CURRENT in stages:
                return version
        raise CannotRotate("the secret has no current version")
