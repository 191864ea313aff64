"""The records that the issuer keeps, as frozen values. Secrets are kept as digests or sealed, and do not print."""

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from carnet.ambient import Instant

Digest: TypeAlias = bytes
"""The SHA-256 of a secret of at least 128 random bits: nothing that the database holds can be presented."""


class PasswordHash(Struct, frozen=True):
    """An Argon2id hash in PHC string form (RFC 9106)."""

    phc: str

    def __repr__(self) -> str:
        return "PasswordHash(…)"


class Totp(Struct, frozen=True, kw_only=True):
    """RFC 6238: an authenticator app, which makes one-time codes."""

    sealed: bytes
    """Its key, sealed under the deployment's secret key for this account."""
    enrolled_at: Instant
    last_step: int
    """The step of the last code that was accepted: none up to it is accepted again."""

    def __repr__(self) -> str:
        return f"Totp(enrolled_at={self.enrolled_at})"


Attribute: TypeAlias = str | int | bool | tuple[str, ...] | dict[str, str]
"""What a deployment knows of a person beyond the record's own members; claim definitions say who learns it.

An object is for the claim `address` (OpenID Connect Core section 5.1.1)."""


class Account(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person who can sign in."""

    subject: str
    """OpenID Connect Core section 2, `sub`: never reassigned, at most 255 ASCII characters, never equal to a client_id."""
    email: str
    """As it was typed; looked up without regard to case."""
    email_verified: bool = False
    name: str | None = None
    roles: tuple[str, ...] = ()
    attributes: dict[str, Attribute] = {}
    password: PasswordHash | None = None
    totp: Totp | None = None
    """The second factor; None: the password alone signs in."""
    recovery_codes: tuple[bytes, ...] = ()
    """Of those that are left, keyed digests."""
    epoch: int = 0
    """The subject's epoch (`sep`): access tokens that carry a lower one are refused by guards."""
    created_at: Instant
    updated_at: Instant
    disabled_at: Instant | None = None


class TokenExchange(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """RFC 8693: how a client may exchange people's access tokens."""

    kind: Literal["delegation", "impersonation"]
    """Section 1.1: whether what it gets says who acts (`act`)."""
    receives: tuple[str, ...]
    """The audiences as which it receives people's tokens: only a token for one of them can be exchanged."""


class AssertionIssuer(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """RFC 7523 section 2.1: an issuer whose assertions a client may bring."""

    issuer: str
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    """Its public keys: one of the two."""
    subjects: dict[str, str] | None = None
    """Its subjects and the accounts' subjects that they stand for; None: it speaks of the accounts' own."""


Pkce: TypeAlias = Literal["required", "or_nonce", "optional"]
"""Whether requests of a client have a code challenge; only an administrator gives `optional`."""


class Client(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 7591 section 2: a registered client, under the names of its metadata where they exist."""

    client_id: str
    client_name: str
    secret_digest: Digest | None = None
    """Of a `client_secret` that Carnet made (256 random bits), so that a fast hash suffices; None for a public client."""
    sealed_secret: bytes | None = None
    """The `client_secret` itself, sealed, for the one method that signs with it (`client_secret_jwt`)."""
    token_endpoint_auth_method: str = "none"
    profile: str | None = None
    """`fapi2` or `fapi2-message-signing`: a security profile, which implies several of the settings below (`fapi.py`)."""
    token_endpoint_auth_signing_alg: str | None = None
    """Of the assertions with which it authenticates; None: any that is allowed."""
    request_object_signing_alg: str | None = None
    """Of its signed requests (RFC 9101); None: any that is allowed."""
    id_token_signed_response_alg: str | None = None
    """How what it gets is signed and encrypted (`envelope.py`); None: as the issuer signs, and not encrypted."""
    id_token_encrypted_response_alg: str | None = None
    id_token_encrypted_response_enc: str | None = None
    userinfo_signed_response_alg: str | None = None
    userinfo_encrypted_response_alg: str | None = None
    userinfo_encrypted_response_enc: str | None = None
    introspection_signed_response_alg: str | None = None
    introspection_encrypted_response_alg: str | None = None
    introspection_encrypted_response_enc: str | None = None
    authorization_signed_response_alg: str | None = None
    authorization_encrypted_response_alg: str | None = None
    authorization_encrypted_response_enc: str | None = None
    request_object_encryption_alg: str | None = None
    request_object_encryption_enc: str | None = None
    require_signed_request_object: bool = False
    """RFC 9101 section 10.5."""
    request_uris: tuple[str, ...] = ()
    """OpenID Connect Registration section 2: where requests that it has signed may stand (`request_uris.py`)."""
    backchannel_authentication_request_signing_alg: str | None = None
    """OpenID CIBA Core section 4: with which it signs its backchannel requests; None: it need not."""
    require_pushed_authorization_requests: bool = False
    """RFC 9126 section 6."""
    authorization_details_types: tuple[str, ...] = ()
    """RFC 9396 section 10: the types that it may ask for."""
    dpop_bound_access_tokens: bool = False
    """RFC 9449 section 5.2: it gets no token that is not bound to a key."""
    tls_client_certificate_bound_access_tokens: bool = False
    """RFC 8705 section 3.4: it gets no token that is not bound to its certificate."""
    tls_client_auth_subject_dn: str | None = None
    """RFC 8705 section 2.1.2: by which name it authenticates with `tls_client_auth`: exactly one of these five."""
    tls_client_auth_san_dns: str | None = None
    tls_client_auth_san_uri: str | None = None
    tls_client_auth_san_ip: str | None = None
    tls_client_auth_san_email: str | None = None
    pkce: Pkce = "required"
    """OAuth 2.1 section 7.5.1: `or_nonce` lets a confidential OpenID client send a `nonce` in its place, `optional` neither."""
    jwks: dict[str, Any] | None = None
    """Its public keys, as a JWK Set."""
    jwks_uri: str | None = None
    """Where they are to be had; never together with `jwks`."""
    subject_type: Literal["public", "pairwise"] = "public"
    """OpenID Connect Core section 8: whether it is told subjects that are its sector's alone (`pairwise.py`)."""
    sector_identifier_uri: str | None = None
    default_max_age: int | None = None
    """OpenID Connect Registration section 2: the `max_age` of requests that have none, in seconds."""
    default_acr_values: tuple[str, ...] = ()
    """The `acr_values` of those that ask for no `acr`."""
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    response_types: tuple[str, ...] = ("code",)
    scope: str = ""
    """The scope values that it may be granted, space-delimited (RFC 6749 section 3.3)."""
    audiences: tuple[str, ...] = ()
    """The resource servers that its access tokens may name in `aud`; all of them unless it asks for fewer (RFC 8707)."""
    require_resource: bool = False
    """RFC 8707 section 2: it has to ask for some of its audiences, and is never given a token for all of them."""
    receives: tuple[str, ...] = ()
    """The audiences as which it is a resource server itself, besides its client_id: whose tokens it may introspect."""
    roles: tuple[str, ...] = ()
    """What a client is in its own right: the `roles` of its client-credentials tokens."""
    first_party: bool = False
    """Consent is asked for only where the client wants that: whoever runs the issuer runs the client too."""
    access_token_lifetime: int | None = None
    """Seconds; None: the issuer's default."""
    access_token_status_list: bool = False
    """Token Status List section 6: whether its access tokens have a place in a list that says what was taken back."""
    refresh_retry_window: int | None = None
    """Seconds in which it may ask again for the answer to a refresh that it has lost; None: as `rotation.py` says."""
    token_exchange: TokenExchange | None = None
    backchannel_logout_uri: str | None = None
    """OpenID Connect Back-Channel Logout section 2.2: where it is told that a session has ended."""
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str | None = None
    """OpenID Connect Front-Channel Logout section 2: what is shown in a frame of the sign-out page."""
    frontchannel_logout_session_required: bool = False
    may_act: str | None = None
    """RFC 8693 section 4.4: the one subject who may act for people with the access tokens that this client gets."""
    assertion_issuers: tuple[AssertionIssuer, ...] = ()
    from_document: bool = False
    """Nobody has registered it: its client_id is the URL of a document that says all this of it (`client_directory.py`)."""
    epoch: int = 0
    created_at: Instant
    updated_at: Instant
    metadata: dict[str, Any] = {}
    """Other metadata of RFC 7591 and its extensions, as registered."""

    @property
    def public(self) -> bool:
        """RFC 6749 section 2.1: it cannot authenticate."""
        return self.token_endpoint_auth_method == "none"

    @property
    def mutual_tls(self) -> bool:
        """RFC 8705 section 2: it authenticates in its TLS handshake."""
        return self.token_endpoint_auth_method in {"tls_client_auth", "self_signed_tls_client_auth"}

    def __repr__(self) -> str:
        return f"Client(client_id={self.client_id!r}, client_name={self.client_name!r})"


class Session(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A browser that is signed in. It exists only once every proof that the sign-in needs has been given (rule O9)."""

    sid: str
    """OpenID Connect Front-Channel Logout section 3: the session's public name; not a secret."""
    digest: Digest
    """Of the cookie's value."""
    subject: str
    auth_time: Instant
    amr: tuple[str, ...]
    """RFC 8176: how the person proved who they are."""
    acr: str | None = None
    created_at: Instant
    seen_at: Instant
    expires_at: Instant
    """The absolute end; the idle end is `seen_at` plus the issuer's idle lifetime."""
    ended_at: Instant | None = None
    user_agent: str | None = None
    address: str | None = None


class Pseudonym(Struct, frozen=True, kw_only=True):
    """OpenID Connect Core section 8.1: what the clients of a sector know somebody as, or one of their sessions."""

    value: str
    sector: str
    subject: str
    sid: str | None = None
    """The session that it stands for; None: it stands for the subject."""


class Participant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client that knows of a session, and wants to be told of its end."""

    sid: str
    """The session that it takes part in now."""
    client_id: str
    subject: str
    told: str
    """The `sid` that it knows: that of the session before, where a new sign-in took that one's place."""
    tries: int = 0
    """How often somebody has set out to tell it."""


class Consent(Struct, frozen=True, kw_only=True):
    """What a person allowed a client."""

    subject: str
    client_id: str
    scope: tuple[str, ...]
    audience: tuple[str, ...] = ()
    """RFC 8707: at which resource servers, of a client that nobody has registered; others are registered for theirs."""
    granted_at: Instant


KeyPurpose: TypeAlias = Literal["tokens", "further", "encryption"]
"""`tokens`: it signs access tokens and whatever wants no other algorithm; `further`: it signs for clients that are registered
for its algorithm; `encryption`: clients encrypt to it."""


class SigningKeyRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the issuer's keys: published, then signing, then published until its last token has expired."""

    kid: str
    alg: str
    public: dict[str, Any]
    """The public JWK (RFC 7517)."""
    sealed: bytes
    """The private JWK, sealed under the deployment's secret key."""
    created_at: Instant
    signs_from: Instant
    """Before that it is only published, so that every verifier has fetched it when the first token comes."""
    ready_from: Instant | None = None
    """From then on, and before `signs_from`, it waits for guards alone; None: it does not."""
    follows: str | None = None
    """The key that it takes the place of."""
    purpose: KeyPurpose = "tokens"
    retires_at: Instant | None = None
    """From then on it is not published any more; set when its successor is made."""
    compromised_at: Instant | None = None

    def __repr__(self) -> str:
        return f"SigningKeyRecord(kid={self.kid!r}, alg={self.alg!r})"


ArtifactKind: TypeAlias = Literal[
    "code",
    "refresh_token",
    "invitation",
    "replay_id",
    "ticket",
    "device_code",
    "user_code",
    "device_claim",
    "decision",
    "backchannel_request",
    "registration_token",
    "registration_access_token",
    "pushed_request",
]
"""`code`: RFC 6749 section 4.1.2; `refresh_token`: section 1.5; `invitation`: a one-time link that makes an account or
sets a password; `replay_id`: a `jti` or nonce that must not come twice; `ticket`: a step of a sign-in that is not yet a
session; `device_code`, `user_code`: RFC 8628 section 3.2; `device_claim`: that a browser has entered the code;
`decision`: what its person decided; `backchannel_request`: OpenID CIBA Core section 7; `registration_token`,
`registration_access_token`: RFC 7591 section 3 and RFC 7592 section 3; `pushed_request`: RFC 9126. A new kind is a new word
here and nothing else in storage."""


class Artifact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something handed out that is redeemed later: found by the digest of its secret."""

    kind: ArtifactKind
    digest: Digest
    family: str | None = None
    """All that descends from one approval (RFC 9700 section 4.14.2); it ends as a whole."""
    subject: str | None = None
    client_id: str | None = None
    sid: str | None = None
    document: bytes = b""
    """What the kind needs, as JSON written by its owner; storage does not look inside."""
    created_at: Instant
    expires_at: Instant

    def __repr__(self) -> str:
        return f"Artifact(kind={self.kind!r}, family={self.family!r})"


RevocationKind: TypeAlias = Literal["session", "family", "token", "subject", "client", "key"]


class Revocation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of the epoch map: what has been taken back, until the last access token that it concerns has expired."""

    kind: RevocationKind
    value: str
    """The `sid`, the family, the `jti`, the `sub`, the `client_id` or the `kid`."""
    epoch: int | None = None
    """For `subject` and `client`: tokens that carry a lower epoch are refused; otherwise None: refused outright."""
    expires_at: Instant
    sequence: int | None = None
    """Its place in the order of commits; given by the publisher, None until then."""


class Stream(Struct, frozen=True, kw_only=True):
    """The history that the revocations' numbers belong to; another one begins when an old database is put back."""

    name: str
    key: bytes
    """Of the marks' hash (`carnet.feed.entries`); whoever follows the feed gets it."""


class FeedListener(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One who listens to the revocation feed, as it says itself and as its node sees it."""

    name: str
    """Empty: it did not say."""
    since: Instant
    told_at: Instant
    behind: int | None = None
    """How many entries; None: it follows another stream."""
    polls: bool = False
    guards: int = 1
    """For how many it stands: a relay for those that listen to it."""
    lacks: int | None = None
    """How many of the published keys it is without; None: it did not say which it holds."""


class Lacking(Struct, frozen=True, kw_only=True):
    """Those who say that they hold keys, and not this one."""

    count: int
    names: tuple[str, ...]
    """Of some of them."""


class FeedReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one node of the issuer has to say of those who listen to it."""

    node: str
    told_at: Instant
    guards: int = 0
    """How many there are, those behind relays too."""
    keys: dict[str, Lacking] = {}
    """Of each published key that signs tokens."""
    listeners: tuple[FeedListener, ...] = ()
    """Some: those that lack something or are behind before the others."""


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the audit trail. Never a secret, never a token."""

    at: Instant
    name: str
    """A stable word such as `sign_in.succeeded`, `sign_in.failed`, `refresh_token.reused`, `roles.changed`."""
    subject: str | None = None
    client_id: str | None = None
    sid: str | None = None
    actor: str | None = None
    """Who did it where that is not the subject: an administrator's subject, or `cli`."""
    actor_client_id: str | None = None
    """The app whose access token they did it with, where it is not the actor itself."""
    address: str | None = None
    detail: dict[str, Any] = {}


StreamStatus: TypeAlias = Literal["enabled", "paused", "disabled"]
"""OpenID Shared Signals Framework section 8.1.2.1."""


class SignalStream(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """OpenID Shared Signals Framework section 8.1.1: how a client receives security events."""

    stream_id: str
    client_id: str
    endpoint_url: str | None = None
    """RFC 8935: where events are pushed to; None: the client polls (RFC 8936)."""
    sealed_authorization: bytes | None = None
    """Section 6.1.1: the Authorization header that goes with each push, sealed for this stream."""
    events_requested: tuple[str, ...] | None = None
    """The types of events that were asked for, those that are not known here included."""
    description: str | None = None
    status: StreamStatus = "enabled"
    reason: str | None = None
    created_at: Instant
    updated_at: Instant

    def __repr__(self) -> str:
        return f"SignalStream(stream_id={self.stream_id!r}, client_id={self.client_id!r}, status={self.status!r})"


class Happening(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What streams are told of: one event as CAEP and RISC have it, but for the subject's wording."""

    event: str
    """The URI of its type."""
    sid: str | None = None
    """The session that it is about; None: the person, or the stream itself."""
    claims: dict[str, Any] = {}
    """The members of the event."""


class Signal(Struct, frozen=True, kw_only=True):
    """A happening that waits to be delivered on one stream."""

    number: int
    """Unique in the database."""
    stream_id: str
    subject: str | None
    """Whose it is; None: the stream itself (verification, stream-updated)."""
    happening: Happening
    at: Instant
    cause: int
    """The same for all signals of one change."""


class ListedToken(Struct, frozen=True, kw_only=True):
    """Token Status List section 6.2: an access token that has a place in a status list, and what can take it back."""

    list_id: str
    index: int
    token_id: str
    """Its `jti`; a family stands before its dot."""
    subject: str
    client_id: str
    sid: str | None
    epoch: int
    kid: str
    expires_at: Instant
    kept_until: Instant
    """Until then nobody asks for another place in this list and gets this one."""
