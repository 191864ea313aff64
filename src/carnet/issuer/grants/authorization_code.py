"""RFC 6749 section 4.1.3, RFC 7636 section 4.6: the authorization code, redeemed by whoever began the request."""

from dataclasses import dataclass, field

import msgspec

from carnet.issuer.approval import Approval, Authorization, Person, Redemption
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.ports import Spent
from carnet.issuer.storage.records import Client
from carnet.oauth import pkce
from carnet.oauth.errors import InvalidGrantError, InvalidRequestError
from carnet.oauth.parameters import Parameters


class CodeDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a code stands for; `/authorize` writes it."""

    approval: Approval
    sid: str
    """The session in which it was approved."""
    redirect_uri: str
    code_challenge: str | None
    """None: the request had none, as its client is registered (`code_challenge.py`)."""
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    code: Opaque
    code_verifier: str | None = field(repr=False)
    redirect_uri: str | None


class AuthorizationCode:
    grant_type = "authorization_code"

    def read(self, parameters: Parameters) -> Asked:
        return Asked(
            code=Opaque(parameters.require("code")),
            code_verifier=parameters.get("code_verifier"),
            redirect_uri=parameters.get("redirect_uri"),
        )

    async def redeem(self, asked: Asked, client: Client, desk: Desk) -> Authorization:
        """A spent code is proved like a fresh one: only a second request that is valid in all else ends the family."""
        found = await desk.store.artifacts.get("code", asked.code.digest, at=desk.ambient.now())
        if found is None:
            raise _refusal("unknown or expired")
        artifact = found.artifact if isinstance(found, Spent) else found
        if artifact.client_id != client.client_id:
            raise _refusal("it is another client's")
        if artifact.subject is None or artifact.family is None:
            raise _refusal("it names no subject or family")
        document = msgspec.json.decode(artifact.document, type=CodeDocument)
        _check_redirect_uri(asked, document)
        _check_verifier(asked, document)
        approval = document.approval
        return Authorization(
            scope=approval.scope,
            audience=approval.audience,
            authorization_details=approval.authorization_details,
            person=Person(
                subject=artifact.subject,
                family=artifact.family,
                sid=artifact.sid or document.sid,  # a family that hangs on its session may have passed to a newer one
                approval=approval,
            ),
            redemption=Redemption(artifact=artifact, secret=asked.code),
            nonce=document.nonce,
        )


def _check_redirect_uri(asked: Asked, document: CodeDocument) -> None:
    """OAuth 2.1 section 10.2: clients of OAuth 2.0 send it; where it is not sent, PKCE must bind the code."""
    if asked.redirect_uri is None and document.code_challenge is None:
        raise InvalidRequestError("The parameter redirect_uri is missing (RFC 6749 section 4.1.3).")
    if asked.redirect_uri not in {None, document.redirect_uri}:
        raise _refusal("the redirect_uri is not the one of the request")


def _check_verifier(asked: Asked, document: CodeDocument) -> None:
    """Rule O2, RFC 7636 section 4.6: there is a verifier if, and only if, there was a challenge."""
    if document.code_challenge is None:
        if asked.code_verifier is not None:
            raise _refusal("there is a verifier, and there was no challenge")
        return
    if asked.code_verifier is None:
        raise InvalidGrantError("The parameter code_verifier is missing, without which the code is not valid.")
    if not pkce.proves(asked.code_verifier, document.code_challenge):
        raise _refusal("the verifier does not belong to the challenge")


def _refusal(why: str) -> InvalidGrantError:
    return InvalidGrantError("The code is not valid.", why=why)
