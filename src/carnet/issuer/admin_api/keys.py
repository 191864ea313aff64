"""RFC 7517: the issuer's keys."""

from msgspec import Struct

from carnet.issuer import key_changes
from carnet.issuer.admin_api.problems import Conflict, NotFound
from carnet.issuer.admin_api.resource import Asked, Operation, Resource
from carnet.issuer.key_changes import Key, described
from carnet.issuer.keyring import KeyringError


class Keys(Struct, frozen=True, kw_only=True):
    items: list[Key]


class Retirement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    compromised: bool = False
    """Somebody else has it: guards refuse all that it has signed at once."""


async def list_(asked: Asked) -> Keys:
    return Keys(items=await described(asked.desk, await asked.desk.keyring.list()))


async def rotate(asked: Asked) -> Keys:
    try:
        made = await key_changes.rotate(asked.desk, actor=asked.caller.actor.subject)
    except KeyringError as error:
        raise Conflict(str(error)) from None
    return Keys(items=await described(asked.desk, made))


async def retire(asked: Asked) -> None:
    wanted: Retirement = asked.body
    try:
        await key_changes.retire(
            asked.desk, asked.path["kid"], compromised=wanted.compromised, actor=asked.caller.actor.subject
        )
    except KeyringError as error:
        raise NotFound(str(error)) from None


RESOURCE = Resource(
    "keys",
    (
        Operation(method="GET", path="/keys", summary="List keys", act=list_, answer=Keys),
        Operation(
            method="POST",
            path="/keys/rotate",
            summary="Make a new key for each in use; it signs once verifiers have had time to fetch it",
            act=rotate,
            answer=Keys,
            problems=(Conflict,),
        ),
        Operation(
            method="POST",
            path="/keys/{kid}/retire",
            summary="Stop publishing a key now; its tokens are refused from then on",
            act=retire,
            body=Retirement,
            problems=(NotFound,),
        ),
    ),
)
