"""OpenID Connect Core section 3.1, RFC 7636, RFC 9207: signing in with the code flow, as a confidential client."""

import hmac
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import msgspec

from carnet.ambient import Ambient, Instant, lapsed
from carnet.guard.browser.id_tokens import IdTokenError, IdTokens
from carnet.guard.browser.session import Session
from carnet.guard.issuer_client import GrantRefusedError, IssuerClient, IssuerUnavailableError, TokenAnswer
from carnet.jose import JoseError, base64url
from carnet.oauth import pkce
from carnet.oauth.parameters import Parameters
from carnet.sealing import SealBrokenError, Sealer

_log = logging.getLogger("carnet.guard.browser")

ATTEMPT_SECONDS = 600
"""How long a person may take to sign in."""
_PROTOCOL_CLAIMS = frozenset({"iss", "aud", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "azp", "jti"})
_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")
_PASSED_ON = {
    "prompt": re.compile(r"(login|consent|select_account|create|none)"),
    "max_age": re.compile(r"\d{1,9}"),
    "acr_values": re.compile(r"[\x21\x23-\x5b\x5d-\x7e ]{1,200}"),
}
"""What a page may ask of a sign-in (rule O18: an allow-list)."""


class SignInError(Exception):
    """A sign-in that did not succeed. `error` is a code for the page; the message is for the log."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error


@dataclass(frozen=True, slots=True)
class Attempt:
    """What this browser must bring back with the code."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    return_to: str
    began_at: Instant

    @property
    def name(self) -> str:
        return attempt_name(self.state)


def attempt_name(state: str) -> str:
    """Each attempt has a cookie of its own, so that several tabs can sign in at once."""
    return f"carnet_sign_in_{sha256(state.encode()).hexdigest()[:16]}"


def local_path(text: str | None) -> str:
    """Where to return to: a path of this very host, or `/` (no open redirect: RFC 9700 section 4.11.1)."""
    return text if text is not None and _LOCAL_PATH.fullmatch(text) else "/"


class SignIn:
    """Begins sign-ins, and turns what comes back into sessions."""

    def __init__(self, client: IssuerClient, *, redirect_uri: str, scope: str, secret: bytes, ambient: Ambient) -> None:
        self._client = client
        self._redirect_uri = redirect_uri
        self._scope = scope
        self._ambient = ambient
        self._sealer = Sealer(secret, "guard/browser-sign-in", ambient=ambient)
        self._decoder = msgspec.json.Decoder(Attempt)
        self._id_tokens = IdTokens(client, ambient=ambient)

    async def begin(self, asked: Parameters) -> tuple[Attempt, str]:
        """An attempt, and the URL to send the browser to; raises IssuerUnavailableError."""
        metadata = await self._client.metadata()
        if metadata.authorization_endpoint is None:
            raise IssuerUnavailableError("The issuer's metadata has no authorization_endpoint.")
        attempt = Attempt(
            state=self._random(),
            nonce=self._random(),
            verifier=self._random(),
            return_to=local_path(asked.get("return_to")),
            began_at=self._ambient.now(),
        )
        parameters = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": pkce.challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        for name, form in _PASSED_ON.items():
            value = asked.get(name)
            if value is not None and form.fullmatch(value):
                parameters[name] = value
        mark = "&" if "?" in metadata.authorization_endpoint else "?"
        return attempt, f"{metadata.authorization_endpoint}{mark}{urlencode(parameters)}"

    def seal(self, attempt: Attempt) -> str:
        """The value of the attempt's cookie."""
        return base64url.text(self._sealer.seal(msgspec.json.encode(attempt), context=attempt.name.encode()))

    def open(self, response: Parameters, cookies: Mapping[str, str]) -> Attempt:
        """The attempt that an authorization response belongs to.

        Raises:
            SignInError: this browser has begun none with that state, or too long ago.
        """
        name = attempt_name(response.get("state") or "")
        value = cookies.get(name, "")
        try:
            opened = self._sealer.open(base64url.decode_text(value), context=name.encode())
            attempt = self._decoder.decode(opened)
        except (SealBrokenError, JoseError, msgspec.MsgspecError):
            raise SignInError("sign_in_expired", "This browser has begun no sign-in with this state.") from None
        if lapsed(attempt.began_at + ATTEMPT_SECONDS, at=self._ambient.now()):
            raise SignInError("sign_in_expired", "The sign-in was begun too long ago.")
        return attempt

    async def finish(self, attempt: Attempt, response: Parameters) -> Session:
        """Redeem the code and make a session.

        Raises:
            SignInError: the issuer or this back end refuses.
            IssuerUnavailableError: the issuer does not answer.
        """
        metadata = await self._client.metadata()
        issuer = response.get("iss")
        if issuer != self._client.issuer and (
            issuer is not None or metadata.authorization_response_iss_parameter_supported
        ):
            raise SignInError(
                "mixed_up", f"The response is of the issuer {str(issuer)[:200]!r} (RFC 9207 section 2.4)."
            )
        error = response.get("error")
        if error is not None:
            code = error if re.fullmatch(r"[a-z_]{1,60}", error) else "server_error"
            raise SignInError(code, f"The issuer answered with {code}.")
        code = response.get("code") or ""
        if not code:
            raise SignInError("server_error", "The response has neither a code nor an error.")
        try:
            answer = await self._client.redeem(
                {
                    "grant_type": "authorization_code",
                    "code": code,
                    "redirect_uri": self._redirect_uri,
                    "code_verifier": attempt.verifier,
                }
            )
        except GrantRefusedError as refused:
            raise SignInError("server_error", f"The code was refused: {refused.error}.") from None
        if answer.id_token is None:
            raise SignInError("server_error", "The token endpoint answered without an ID token.")
        try:
            claims = await self._id_tokens.claims(answer.id_token, access_token=answer.access_token)
        except IdTokenError as refused:
            raise SignInError("server_error", str(refused)) from None
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), attempt.nonce.encode()):
            raise SignInError("mixed_up", "The ID token has another nonce (OpenID Connect Core section 3.1.3.7).")
        return await self._session(self._random(), answer, claims)

    async def renew(self, session: Session) -> Session:
        """Spend the refresh token (OpenID Connect Core section 12).

        Raises:
            GrantRefusedError: the issuer refuses it, or answered for somebody else.
            IssuerUnavailableError: the issuer does not answer.
        """
        answer = await self._client.redeem(
            {"grant_type": "refresh_token", "refresh_token": session.refresh_token or ""}
        )
        claims: Mapping[str, Any] = {"sub": session.subject}
        if answer.id_token is not None:
            try:
                claims = await self._id_tokens.claims(answer.id_token, access_token=answer.access_token)
            except IdTokenError as error:  # the token endpoint's answer stands: only what it says anew is not believed
                _log.warning("At a renewal: %s", error)
        if claims["sub"] != session.subject:
            raise GrantRefusedError("invalid_grant")
        return await self._session(session.id, answer, claims, session)

    async def _session(
        self, session_id: str, answer: TokenAnswer, claims: Mapping[str, Any], before: Session | None = None
    ) -> Session:
        """A session out of the token endpoint's answer; `before` is the one that it renews.

        The refresh token in the answer must not be lost, so nothing that fails from here on fails the sign-in or renewal.
        """
        now = self._ambient.now()
        userinfo = await self._userinfo(answer.access_token, claims["sub"])
        known = before.claims if before is not None and userinfo is None else {}
        kept = None if before is None else before.refresh_token
        shown = {**known, **claims, **(userinfo or {})}
        return Session(
            id=session_id,
            subject=claims["sub"],
            claims={name: value for name, value in shown.items() if name not in _PROTOCOL_CLAIMS},
            signed_in_at=now if before is None else before.signed_in_at,
            renews_at=now + max(answer.expires_in - min(30, answer.expires_in // 4), 1),
            expires_at=now + answer.expires_in,
            access_token=answer.access_token,
            refresh_token=answer.refresh_token or kept,  # RFC 6749 section 6: a new one is optional
            sid=claims.get("sid", None if before is None else before.sid),
        )

    async def _userinfo(self, access_token: str, subject: str) -> Mapping[str, Any] | None:
        """OpenID Connect Core section 5.3.4: what it says of somebody else is not used."""
        try:
            userinfo = await self._client.userinfo(access_token)
        except IssuerUnavailableError as error:
            _log.warning("Userinfo was not read: %s", error)
            return None
        return userinfo if userinfo is not None and userinfo.get("sub") == subject else None

    def _random(self) -> str:
        """256 bits, in characters that a code verifier may have (RFC 7636 section 4.1)."""
        return base64url.text(self._ambient.entropy(32))
