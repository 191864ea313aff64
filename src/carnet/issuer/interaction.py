"""OpenID Connect Core sections 3.1.2.1 to 3.1.2.4: what a person must still do before a request can be answered."""

from enum import Enum

from carnet.ambient import Instant
from carnet.issuer.authorization_request import AuthorizationRequest
from carnet.issuer.flow import Flow
from carnet.issuer.rotation import authenticates
from carnet.issuer.storage.records import Consent, Session
from carnet.oauth import acr
from carnet.oauth.errors import (
    ConsentRequiredError,
    LoginRequiredError,
    OAuthError,
)
from carnet.oauth.scope import excess


class Interaction(Enum):
    """The value is the path of the page."""

    LOGIN = "login"
    ACCOUNT_CHOICE = "login/account"
    SECOND_PROOF = "login/second"
    SECOND_FACTOR = "account/second-factor"
    """There is none yet: it is set up, and proved by that."""
    CONSENT = "consent"


def needed(
    asked: AuthorizationRequest,
    session: Session | None,
    consent: Consent | None,
    *,
    flow: Flow | None,
    at: Instant,
    second_factor: bool,
) -> Interaction | None:
    """The next page; None: the request can be answered for the account that is signed in.

    `flow` is the request's own, if it has been to our pages already: what has happened since it began counts for it.
    `second_factor`: whether the account that is signed in has one.

    Raises:
        LoginRequiredError, ConsentRequiredError: something is needed, and `prompt=none` forbids to ask for it; or the person
            of the `id_token_hint` did not sign in.
    """
    if _login_needed(asked, session, flow, at=at):
        return _unless_silent(asked, Interaction.LOGIN, LoginRequiredError("Nobody suitable is signed in."))
    if session is not None and _choice_needed(asked, session, flow):
        return Interaction.ACCOUNT_CHOICE
    if session is not None and _stronger_needed(asked, session):
        page = Interaction.SECOND_PROOF if second_factor else Interaction.SECOND_FACTOR
        return _unless_silent(asked, page, LoginRequiredError("The person has to give a second proof."))
    if _consent_needed(asked, consent, flow):
        return _unless_silent(asked, Interaction.CONSENT, ConsentRequiredError("The person has to be asked."))
    return None


def _unless_silent(asked: AuthorizationRequest, page: Interaction, refusal: OAuthError) -> Interaction:
    if "none" in asked.prompt:
        raise refusal
    return page


def _login_needed(asked: AuthorizationRequest, session: Session | None, flow: Flow | None, *, at: Instant) -> bool:
    if session is None:
        return True
    just_now = flow is not None and session.auth_time >= flow.began_at
    if asked.subject is not None and asked.subject != session.subject:
        if just_now:
            raise LoginRequiredError("Another person than the one of the id_token_hint has signed in.")
        return True
    if just_now:
        return False
    if "login" in asked.prompt or asked.max_age == 0:
        return True
    return asked.max_age is not None and at - session.auth_time > asked.max_age


def _choice_needed(asked: AuthorizationRequest, session: Session, flow: Flow | None) -> bool:
    """Section 3.1.2.1: whoever has just signed in has chosen an account, and so has who was named by the client."""
    if "select_account" not in asked.prompt or asked.subject is not None:
        return False
    return flow is None or not (flow.chosen == session.subject or session.auth_time >= flow.began_at)


def _stronger_needed(asked: AuthorizationRequest, session: Session) -> bool:
    """RFC 9470 section 5: what is asked for and can be had is not passed over, though Core calls `acr_values` voluntary."""
    return bool(asked.acr_values) and acr.met(session.acr, asked.acr_values) is None


def _consent_needed(asked: AuthorizationRequest, consent: Consent | None, flow: Flow | None) -> bool:
    """RFC 8252 section 8.6: what was allowed before speaks only for a client that cannot be impersonated."""
    client = asked.back.client
    just_now = consent is not None and flow is not None and consent.granted_at >= flow.began_at
    if client.first_party:
        return "consent" in asked.prompt and not just_now
    if consent is None or excess(asked.scope, consent.scope):
        return True
    if client.from_document and excess(asked.audience, consent.audience):
        return True  # what other clients may reach is registered
    if asked.authorization_details and (flow is None or flow.allowed_by != consent.subject):
        return True  # RFC 9396: allowed each time, never remembered
    recognised = authenticates(client) or asked.back.redirect_uri.startswith("https://")
    return not just_now and ("consent" in asked.prompt or not recognised)
