"""OWASP "Slow down online guessing attacks with device cookies", rule O13: browsers on which somebody has signed in before.

Guessing is slowed down for strangers' browsers and for known ones apart, so that whoever guesses at an account cannot shut
its owner out. The cookie gives no access: only the right to be counted apart.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from starlette.requests import Request

from carnet.issuer.cookies import LONGEST_LIFETIME, cookie, leave
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import fresh_name
from carnet.sealing import SealBrokenError, Sealer

COOKIE = "carnet_device"

_MOST = 8
"""Accounts that a browser is known for: the latest."""


class Device(msgspec.Struct, frozen=True):
    """A browser's name and the subjects who have signed in there."""

    name: str
    subjects: tuple[str, ...] = ()

    def knows(self, subject: str) -> bool:
        return subject in self.subjects


def device(request: Request, desk: Desk) -> Device:
    """What this browser is known for; nothing if its cookie is absent or not ours."""
    value = cookie(request, desk.config, COOKIE)
    try:
        raw = urlsafe_b64decode(value.encode("ascii") + b"=" * (-len(value) % 4))
        return msgspec.msgpack.decode(_sealer(desk).open(raw), type=Device)
    except (ValueError, SealBrokenError):
        return Device(fresh_name(desk.ambient))


def remember(request: Request, desk: Desk, subject: str) -> None:
    """Have this browser known for an account, whose person has just proved to be there."""
    known = device(request, desk)
    others = tuple(other for other in known.subjects if other != subject)
    now_known = Device(known.name, (subject, *others)[:_MOST])
    sealed = urlsafe_b64encode(_sealer(desk).seal(msgspec.msgpack.encode(now_known))).rstrip(b"=").decode("ascii")
    leave(request, desk.config, COOKIE, sealed, lifetime=LONGEST_LIFETIME)


def _sealer(desk: Desk) -> Sealer:
    return Sealer(desk.secret, "device", ambient=desk.ambient)
