"""The gateway's settings: a TOML file, read strictly. What is not known, and what could be meant in two ways, is an error."""

import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from carnet.guard.canonical_path import NotCanonicalError
from carnet.guard.certificate_source import Network
from carnet.guard.checkpoint import Checkpoint, Settings
from carnet.guard.gateway.identity import IDENTITY_HEADERS
from carnet.guard.gateway.original_request import decoded_path, host_name, normal_form
from carnet.guard.gateway.proxies import PROXIES, Proxy
from carnet.guard.gateway.rules import Rule, RuleError, Rules
from carnet.guard.introspection import Credentials
from carnet.guard.metadata import MetadataError
from carnet.guard.requirement import Asked, Requirement, require
from carnet.guard.revocation import Revocation, WhenStale
from carnet.guard.verifier import ALGORITHMS
from carnet.jose import JoseError, SigningKey
from carnet.jose.strict_json import parse_object
from carnet.oauth.mtls import HeaderName

Words: TypeAlias = str | tuple[str, ...]
"""One, or a list."""

_LARGEST_KEY = 64 * 1024


class GatewayConfigError(Exception):
    """A settings file that cannot be used; the message is one line that says where and why."""


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[rules]]`. Without `public` and without anything else asked for, it asks for a valid token."""

    path: str
    """With whatever is below it, unless it is `exact`."""
    exact: bool = False
    host: str | None = None
    """Left out: every host that no rule names."""
    methods: tuple[str, ...] = ()
    """Left out: those that no other rule for this path names."""
    public: bool = False
    scope: Words = ()
    role: Words = ()
    acr: Words = ()
    max_age: int | None = None
    when_stale: WhenStale | None = None
    audience: str | None = None
    """The service behind it, for which the gateway's token is; left out: `identity.audience`."""
    issuer: Words = ()
    """Whose tokens pass here; left out: those of the gateway's own `issuer`, and of none in `also`."""


class RevocationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[revocation]`: how the issuer's feed is followed, which it must have then."""

    bound: float = 30.0
    when_stale: WhenStale = "reject"
    relay: str | None = None
    client_id: str | None = None
    """Of the client that may introspect, for `introspect`."""
    client_secret_file: str | None = None


class IssuerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[also]]`: a further issuer whose tokens pass where a rule names it. Its subjects are other people."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ALGORITHMS
    leeway: int = 60
    revocation: RevocationSettings | None = None

    def guard_settings(self) -> Settings:
        """What a checkpoint for it is made with."""
        settings = Settings(issuer=self.issuer, audience=self.audience, algorithms=self.algorithms, leeway=self.leeway)
        feed = self.revocation
        if feed is not None:
            settings["revocation"] = Revocation(bound=feed.bound, when_stale=feed.when_stale, relay=feed.relay)
            if feed.client_id is not None and feed.client_secret_file is not None:
                secret = _read(Path(feed.client_secret_file)).decode("utf-8").strip()
                settings["introspection"] = Credentials(feed.client_id, secret)
        return settings


class IdentitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[identity]`: a signed token for services in place of headers."""

    key_file: str
    """A private JWK that names its `alg` (`carnet jwk generate --alg ES256`)."""
    issuer: str
    """The gateway's name in the tokens that it signs."""
    audience: str | None = None
    """For rules that do not name one."""


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    issuer: str
    """Whose access tokens are taken."""
    audience: str
    """What they are for."""
    proxy: Literal["nginx", "traefik", "caddy", "envoy"]
    """Which proxy asks, and so in which headers the original request is."""
    trusted_proxies: tuple[str, ...]
    """Networks in CIDR notation; whoever asks from elsewhere is refused."""
    rules: tuple[RuleSettings, ...]
    origin: str | None = None
    """Where clients reach the proxy, which their DPoP proofs name; left out: https and the request's host, without a port."""
    client_certificate_header: HeaderName | None = None
    """How the proxy passes the certificates of clients, to which tokens may be bound (RFC 8705); left out: not at all."""
    refused_headers: tuple[str, ...] = ()
    """Further headers that no client may send, such as `Remote-User` for a service that believes it."""
    algorithms: tuple[str, ...] = ALGORITHMS
    leeway: int = 60
    log_format: Literal["plain", "json"] = "plain"
    revocation: RevocationSettings | None = None
    identity: IdentitySettings | None = None
    also: tuple[IssuerSettings, ...] = ()
    """Further issuers."""

    @property
    def issuers(self) -> tuple[IssuerSettings, ...]:
        """All of them, the gateway's own first."""
        own = IssuerSettings(
            issuer=self.issuer,
            audience=self.audience,
            algorithms=self.algorithms,
            leeway=self.leeway,
            revocation=self.revocation,
        )
        return own, *self.also

    @property
    def asking(self) -> Proxy:
        """How the proxy asks."""
        return next(proxy for proxy in PROXIES if proxy.name == self.proxy)

    @property
    def claims(self) -> frozenset[str]:
        """The headers that no client may send, in their normal form."""
        return IDENTITY_HEADERS | {normal_form(name) for name in self.refused_headers}

    @property
    def networks(self) -> tuple[Network, ...]:
        """`trusted_proxies`, parsed."""
        return tuple(map(ip_network, self.trusted_proxies))

    def policy(self) -> Rules:
        """The rules, for look-ups."""
        own = self.issuer if self.also else None
        return Rules(_rule(f"rules[{number}]", rule, own) for number, rule in enumerate(self.rules))

    def guard_settings(self) -> Settings:
        """What the gateway's checkpoint is made with."""
        settings, *others = (issuer.guard_settings() for issuer in self.issuers)
        if others:
            settings["also"] = others
        if self.client_certificate_header is not None:
            for one in (settings, *others):
                one["client_certificate_header"] = self.client_certificate_header
                one["trusted_proxies"] = self.trusted_proxies
        return settings

    def signing_key(self) -> SigningKey | None:
        """The key for the gateway's tokens, from its file; None: services get headers."""
        return None if self.identity is None else _signing_key(Path(self.identity.key_file))


def read_config(file: Path) -> GatewayConfig:
    """Read and check a settings file; relative paths in it begin where it is.

    Raises:
        GatewayConfigError: what is wrong, and where.
    """
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayConfigError(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}.") from None
    except tomllib.TOMLDecodeError as error:
        raise GatewayConfigError(f"{file} is not TOML: {error}.") from None
    also = document.get("also")
    feeds = [part.get("revocation") for part in also if isinstance(part, dict)] if isinstance(also, list) else []
    named = [(document.get("identity"), "key_file")]
    named += [(part, "client_secret_file") for part in (document.get("revocation"), *feeds)]
    for part, name in named:
        if isinstance(part, dict) and isinstance(part.get(name), str):
            part[name] = str(file.parent / part[name])
    try:
        return parse_config(document)
    except GatewayConfigError as error:
        raise GatewayConfigError(f"{file}: {error}") from None


def parse_config(document: Mapping[str, Any]) -> GatewayConfig:
    """The settings out of a parsed document, checked.

    Raises:
        GatewayConfigError: what is wrong, and where.
    """
    try:
        config = msgspec.convert(document, GatewayConfig)
    except msgspec.ValidationError as error:
        raise GatewayConfigError(f"{error}.") from None
    _check_proxies(config)
    try:
        config.policy()
        config.signing_key()
        Checkpoint(**config.guard_settings())  # which looks at what it is given, and begins nothing
    except (MetadataError, JoseError, RuleError, ValueError) as error:
        raise GatewayConfigError(str(error)) from None
    if not config.rules:
        raise GatewayConfigError("there are no rules: nothing would be let through.")
    _check_identity(config)
    if config.origin is not None and re.fullmatch(r"https?://[^/?#@\s]+", config.origin) is None:
        raise GatewayConfigError("origin is a scheme and a host, perhaps with a port, such as https://shop.example.")
    for issuer in config.issuers:
        _check_feed(issuer, config)
    return config


def _check_feed(issuer: IssuerSettings, config: GatewayConfig) -> None:
    feed = issuer.revocation
    if feed is not None and (feed.client_id is None) is not (feed.client_secret_file is None):
        raise GatewayConfigError("revocation: client_id and client_secret_file are given together.")
    known = {one.issuer for one in config.issuers}
    asked = {feed.when_stale if feed else None}
    for number, rule in enumerate(config.rules):
        names = _words(rule.issuer)
        if unknown := set(names) - known:
            raise GatewayConfigError(f"rules[{number}]: {min(unknown)} is neither issuer nor in also.")
        if issuer.issuer in (names or (config.issuer,)):
            asked.add(rule.when_stale)
    if "introspect" in asked and (feed is None or feed.client_id is None):
        raise GatewayConfigError(
            f'when_stale = "introspect" needs revocation.client_id and revocation.client_secret_file of {issuer.issuer}.'
        )


def _words(words: Words) -> tuple[str, ...]:
    return tuple(words.split()) if isinstance(words, str) else words


def _check_proxies(config: GatewayConfig) -> None:
    try:
        networks = config.networks
    except ValueError as error:
        raise GatewayConfigError(f"trusted_proxies: {error}.") from None
    if not networks:
        raise GatewayConfigError("trusted_proxies names no network: nobody could ask.")
    if any(network.prefixlen == 0 for network in networks):
        raise GatewayConfigError("trusted_proxies names every address there is: name the proxy's own network.")


def _check_identity(config: GatewayConfig) -> None:
    for number, rule in enumerate(config.rules):
        if config.identity is None and rule.audience is not None:
            raise GatewayConfigError(f"rules[{number}]: audience is for the gateway's tokens: there is no [identity].")
        if config.identity is not None and not rule.public and not (rule.audience or config.identity.audience):
            raise GatewayConfigError(f"rules[{number}]: for whom is the token? Give audience, or identity.audience.")


def _rule(name: str, settings: RuleSettings, own: str | None) -> Rule:
    """`own`: whose tokens pass where the rule names no issuer, if there are several."""
    try:
        path = decoded_path(settings.path.encode())
        host = None if settings.host is None else host_name(settings.host)
        requirement = _requirement(settings, own)
    except (NotCanonicalError, ValueError) as error:
        raise RuleError(f"{name}: {error}") from None
    if path.endswith("/") and path != "/" and not settings.exact:
        raise RuleError(
            f"{name}: write {settings.path!r} without the slash at its end: it holds for what is below too."
        )
    if any(not method.isascii() or not method.isalpha() or not method.isupper() for method in settings.methods):
        raise RuleError(f"{name}: methods are written like GET and POST.")
    return Rule(
        name=name,
        path="" if path == "/" else path,
        requirement=requirement,
        host=host,
        methods=frozenset(settings.methods) or None,
        exact=settings.exact,
        audience=settings.audience,
    )


def _requirement(settings: RuleSettings, own: str | None) -> Requirement | None:
    asked: Asked = {}
    if issuers := _words(settings.issuer):
        asked["issuer"] = issuers
    if settings.scope:
        asked["scope"] = settings.scope
    if settings.role:
        asked["role"] = settings.role
    if settings.acr:
        asked["acr"] = settings.acr
    if settings.max_age is not None:
        asked["max_age"] = settings.max_age
    if settings.when_stale is not None:
        asked["when_stale"] = settings.when_stale
    if not settings.public:
        if own is not None:
            asked.setdefault("issuer", own)
        return require(**asked)
    if asked or settings.audience is not None:
        raise ValueError(f"it is public, and yet names {', '.join(asked) or 'audience'}: one of them is not meant.")
    return None


def _signing_key(file: Path) -> SigningKey:
    try:
        jwk = parse_object(_read(file))
        algorithm = jwk.get("alg")
        if not isinstance(algorithm, str) or algorithm.startswith("HS"):
            raise ValueError(f"{file}: the key names no alg of a public-key signature: services could not verify it.")
        return SigningKey.from_jwk(jwk, alg=algorithm)
    except JoseError as error:
        raise ValueError(f"{file}: {error}") from None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST_KEY + 1)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from None
    if len(raw) > _LARGEST_KEY:
        raise ValueError(f"{file} is longer than {_LARGEST_KEY} bytes.")
    return raw
