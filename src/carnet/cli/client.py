"""`carnet client`: the OAuth clients."""

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carnet.cli import client_change, output
from carnet.cli.deployment import at_desk, subcommand
from carnet.cli.errors import CommandError, UsageError

if TYPE_CHECKING:
    from carnet.issuer.clients import Registered, Registration
    from carnet.issuer.desk import Desk
    from carnet.issuer.storage.records import Client

ACTOR = "cli"
PAGE = 500
TLS_NAMES = {
    "subject-dn": "subject of its certificate (RFC 4514)",
    "san-dns": "DNS name of its certificate",
    "san-uri": "URI of its certificate",
    "san-ip": "IP address of its certificate",
    "san-email": "e-mail address of its certificate",
}


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("client", help="OAuth clients", description="OAuth clients.")
    commands = parser.add_subparsers(metavar="COMMAND", dest="subcommand", required=True)

    create = subcommand(commands, "create", _create, "register a client; its secret is shown this once")
    create.add_argument("name", metavar="NAME", help="what people read on the consent page")
    create.add_argument("--client-id", metavar="ID", help="default: a random one")
    create.add_argument(
        "--public", action="store_true", help="it cannot keep a secret: an app in a browser or on a phone"
    )
    create.add_argument(
        "--auth-method",
        metavar="M",
        help="token_endpoint_auth_method (default: client_secret_basic, private_key_jwt with --jwks, "
        "tls_client_auth with --tls-…, or none)",
    )
    create.add_argument(
        "--profile",
        metavar="P",
        help="fapi2, or fapi2-message-signing: keys, pushed requests, bound tokens and no less",
    )
    create.add_argument("--jwks", metavar="FILE|URL", help="its public keys: a JWK Set, or the https URL of one")
    for option, field, metavar, summary in (
        ("--redirect-uri", "redirect_uris", "U", "compared exactly"),
        ("--post-logout-redirect-uri", "post_logout_redirect_uris", "U", "where it may send people after sign-out"),
        ("--grant", "grant_types", "G", "default: authorization_code and refresh_token, or client_credentials"),
        ("--scope", "scope", "S", "scope value that it may be granted"),
        ("--audience", "audiences", "A", "service that its access tokens may be for"),
        ("--receives", "receives", "A", "service that it is itself: it may introspect the tokens for it"),
        ("--authorization-details-type", "authorization_details_types", "T", "of authorization details (RFC 9396)"),
        ("--role", "roles", "R", "role of its own client-credentials tokens"),
    ):
        create.add_argument(
            option, dest=field, metavar=metavar, action="append", default=[], help=f"{summary}; may be repeated"
        )
    create.add_argument(
        "--require-resource",
        action="store_true",
        help="it must say which of its audiences each token is for (RFC 8707)",
    )
    create.add_argument("--require-par", action="store_true", help="it must push its authorization requests (RFC 9126)")
    create.add_argument(
        "--dpop-bound", action="store_true", help="it gets only tokens that are bound to a key (RFC 9449)"
    )
    create.add_argument(
        "--certificate-bound",
        action="store_true",
        help="it gets only tokens that are bound to its certificate (RFC 8705)",
    )
    create.add_argument(
        "--tls-certificate", metavar="FILE", help="its own certificate (PEM), with self_signed_tls_client_auth"
    )
    for name, summary in TLS_NAMES.items():
        create.add_argument(f"--tls-{name}", metavar="N", help=f"{summary}, with tls_client_auth")
    create.add_argument(
        "--require-signed-request", action="store_true", help="it must sign its authorization requests (RFC 9101)"
    )
    create.add_argument(
        "--pkce",
        choices=client_change.PKCE,
        default="required",
        help=f"default: required; {client_change.PKCE_HELP}",
    )
    create.add_argument(
        "--id-token-alg",
        metavar="ALG",
        help="with which its ID tokens are signed (default: RS256, which every library takes; with --profile the issuer's)",
    )
    create.add_argument(
        "--pairwise", action="store_true", help="it is told subjects that no client of another host is told"
    )
    create.add_argument(
        "--sector-identifier-uri",
        metavar="URL",
        help="of the list of redirect URIs that share pairwise subjects; default: the host of its own",
    )
    create.add_argument(
        "--first-party",
        action="store_true",
        help="yours: people are not asked for consent, unless it wants that (prompt=consent)",
    )
    create.add_argument(
        "--access-token-lifetime", type=int, metavar="SECONDS", help="of its access tokens (default: the issuer's)"
    )
    create.add_argument(
        "--status-list",
        action="store_true",
        help="its access tokens name their place in a status list, for services that do not follow the revocation feed",
    )
    create.add_argument(
        "--refresh-retry-window",
        type=int,
        metavar="SECONDS",
        help="in which a lost answer to a refresh may be asked for again, 0 to 10 "
        "(default: 10 for a client that authenticates or proves a key, else 0)",
    )
    create.add_argument("--backchannel-logout-uri", metavar="U", help="where it is told that a session has ended")
    create.add_argument("--frontchannel-logout-uri", metavar="U", help="what the sign-out page shows in a frame")
    create.add_argument(
        "--metadata",
        metavar="FILE",
        help="a JSON object of further members of its registration, such as token_exchange, initiate_login_uri "
        "and tos_uri",
    )

    token = subcommand(
        commands,
        "registration-token",
        _registration_token,
        "make a token with which a client registers itself (RFC 7591)",
    )
    token.add_argument("--policy", metavar="NAME", help="a registration policy of the settings; the options change it")
    many = token.add_mutually_exclusive_group()
    many.add_argument("--reusable", action="store_true", help="for any number of clients, until it expires")
    many.add_argument("--uses", type=int, metavar="N", help="for so many clients; default: for one")
    token.add_argument(
        "--pkce",
        choices=("required", "or_nonce"),
        help="or_nonce: the client may send a nonce in the place of PKCE",
    )
    token.add_argument("--lifetime", type=int, metavar="SECONDS", help="default: 86400, a day")
    for option, field, metavar, summary in (
        ("--scope", "scopes", "S", "scope value that its clients may have (default: those of the setting scopes)"),
        (
            "--grant",
            "grant_types",
            "G",
            "grant that its clients may have (default: those with which people let them in)",
        ),
        ("--audience", "audiences", "A", "service that their access tokens may be for"),
        ("--receives", "receives", "A", "service that they are themselves"),
        ("--host", "hosts", "H", "host of their https redirect URIs (default: any)"),
    ):
        token.add_argument(option, dest=field, metavar=metavar, action="append", help=f"{summary}; may be repeated")

    client_change.add(commands)
    subcommand(commands, "list", _list, "list the clients")
    for name, run, summary in (
        ("show", _show, "show a client"),
        ("rotate-secret", _rotate_secret, "give a client a new secret; the old one stops working at once"),
        ("delete", _delete, "delete a client and take back all that it holds"),
    ):
        subcommand(commands, name, run, summary).add_argument("client_id", metavar="CLIENT_ID")


def _create(arguments: Namespace) -> int:
    from carnet.issuer.clients import PUBLIC, register

    if arguments.public and arguments.auth_method not in {None, PUBLIC}:
        raise UsageError(f"--public goes with no --auth-method but {PUBLIC}.")
    usual = "client_secret_basic" if arguments.jwks is None else "private_key_jwt"
    if any(_tls_names(arguments).values()):
        usual = "tls_client_auth"
    elif arguments.tls_certificate is not None:
        usual = "self_signed_tls_client_auth"
    method = PUBLIC if arguments.public else arguments.auth_method or usual
    people = ("authorization_code", "refresh_token")
    options: dict[str, Any] = dict(
        client_name=arguments.name,
        client_id=arguments.client_id,
        token_endpoint_auth_method=method,
        profile=arguments.profile,
        **_keys(arguments),
        require_pushed_authorization_requests=arguments.require_par,
        require_signed_request_object=arguments.require_signed_request,
        dpop_bound_access_tokens=arguments.dpop_bound,
        tls_client_certificate_bound_access_tokens=arguments.certificate_bound,
        **_tls_names(arguments),
        pkce=arguments.pkce,
        redirect_uris=tuple(arguments.redirect_uris),
        post_logout_redirect_uris=tuple(arguments.post_logout_redirect_uris),
        grant_types=tuple(arguments.grant_types) or (people if arguments.redirect_uris else ("client_credentials",)),
        scope=" ".join(arguments.scope) if arguments.scope else None,
        audiences=tuple(arguments.audiences),
        require_resource=arguments.require_resource,
        receives=tuple(arguments.receives),
        authorization_details_types=tuple(arguments.authorization_details_types),
        roles=tuple(arguments.roles),
        subject_type="pairwise" if arguments.pairwise else "public",
        id_token_signed_response_alg=arguments.id_token_alg,
        sector_identifier_uri=arguments.sector_identifier_uri,
        first_party=arguments.first_party,
        access_token_lifetime=arguments.access_token_lifetime,
        access_token_status_list=arguments.status_list,
        refresh_retry_window=arguments.refresh_retry_window,
        backchannel_logout_uri=arguments.backchannel_logout_uri,
        frontchannel_logout_uri=arguments.frontchannel_logout_uri,
    )
    asked = _with_usual_alg(_with_metadata(arguments.metadata, options))

    async def work(desk: "Desk") -> "Registered":
        with refusals():
            return await register(desk, asked, actor=ACTOR)

    registered = at_desk(arguments, work)
    warn(registered.client)
    _show_registered(arguments, registered)
    return 0


def _with_usual_alg(asked: "Registration") -> "Registration":
    """OpenID Connect Registration section 2: ID tokens are signed with RS256 where nothing else is said, nor by a profile."""
    from msgspec.structs import replace

    from carnet.issuer.envelope import USUAL_ID_TOKEN_ALG
    from carnet.issuer.grants.authorization_code import AuthorizationCode
    from carnet.issuer.grants.ciba import GRANT_TYPE as CIBA
    from carnet.issuer.grants.device_code import GRANT_TYPE as DEVICE_CODE

    signing_in = {AuthorizationCode.grant_type, CIBA, DEVICE_CODE} & set(asked.grant_types)
    if not signing_in or asked.profile is not None or asked.id_token_signed_response_alg is not None:
        return asked
    return replace(asked, id_token_signed_response_alg=USUAL_ID_TOKEN_ALG)


def _tls_names(arguments: Namespace) -> dict[str, Any]:
    """The members of RFC 8705 section 2.1.2 that are given."""
    named = {name.replace("-", "_") for name in TLS_NAMES}
    return {f"tls_client_auth_{name}": getattr(arguments, f"tls_{name}") for name in sorted(named)}


def _keys(arguments: Namespace) -> dict[str, Any]:
    """`jwks_uri` for a URL; `jwks` for a file of keys, or for a certificate."""
    given, certificate = arguments.jwks, arguments.tls_certificate
    if certificate is not None:
        if given is not None:
            raise UsageError("--tls-certificate and --jwks do not go together: put the certificate into the key's x5c.")
        return {"jwks": {"keys": [_registered_key(certificate)]}}
    if given is None:
        return {}
    if "://" in given:
        return {"jwks_uri": given}
    return {"jwks": json_object("--jwks", given)}


def _registered_key(file: str) -> dict[str, Any]:
    from carnet.jose import JoseError
    from carnet.jose.client_certificates import registered_key

    try:
        return registered_key(Path(file).read_bytes())
    except OSError as error:
        raise UsageError(f"--tls-certificate {file}: {error.strerror}.") from None
    except JoseError as error:
        raise UsageError(f"--tls-certificate {file}: {error}") from None


def _with_metadata(file: str | None, options: dict[str, Any]) -> "Registration":
    """The registration that the options and the file make together; what an option sets stands in no file."""
    import msgspec

    from carnet.issuer.clients import Registration
    from carnet.issuer.registration import gathered

    further = {} if file is None else json_object("--metadata", file)
    twice = sorted(name for name in further if options.get(name))
    if twice:
        raise UsageError(f"--metadata {file}: {twice[0]} is given by an option as well: leave one out.")
    try:
        return msgspec.convert(options | gathered(further), Registration)
    except msgspec.ValidationError as error:
        raise UsageError(f"--metadata {file}: {error}.") from None


def json_object(option: str, file: str) -> dict[str, Any]:
    from carnet.jose import JoseError
    from carnet.jose.strict_json import parse_object

    try:
        # Written and read again, because what the strict parser gives cannot be changed and a record is plain JSON.
        plain: dict[str, Any] = json.loads(json.dumps(parse_object(Path(file).read_bytes())))
    except OSError as error:
        raise UsageError(f"{option} {file}: {error.strerror}.") from None
    except JoseError as error:
        raise UsageError(f"{option} {file}: {error}") from None
    return plain


def _registration_token(arguments: Namespace) -> int:
    from msgspec.structs import replace

    from carnet.issuer.admission import AdmissionError
    from carnet.issuer.registration import DEFAULT_POLICY, InitialToken, initial_token

    changes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name in ("uses", "lifetime", "pkce", "scopes", "grant_types", "audiences", "receives", "hosts")
        if (value := getattr(arguments, name)) is not None
    }
    changes |= {"uses": None} if arguments.reusable else {}

    async def work(desk: "Desk") -> "tuple[InitialToken, int | None, bool]":
        known = desk.config.registration_policies
        if arguments.policy is not None and arguments.policy not in known:
            raise UsageError(f"--policy {arguments.policy}: the settings have no such registration policy.")
        policy = replace(known.get(arguments.policy or "", DEFAULT_POLICY), **changes)
        try:
            return await initial_token(desk, policy), policy.uses, desk.config.client_registration
        except AdmissionError as error:
            raise UsageError(str(error)) from None

    token, uses, served = at_desk(arguments, work)
    if not served:
        output.note("The setting client_registration is off: until it is turned on, the token is of no use.")
    output.note("The token is shown this once: whoever has it can register a client.")
    document = {
        "token": token.secret.value,
        "expires_at": token.expires_at,
        "reusable": uses is None,
        "uses": uses,
    }
    output.show(arguments, document, token.secret.value)
    return 0


def _list(arguments: Namespace) -> int:
    async def work(desk: "Desk") -> "list[Client]":
        clients: list[Client] = []
        page = await desk.store.clients.list(limit=PAGE)
        while page:
            clients += page
            page = await desk.store.clients.list(after=page[-1].client_id, limit=PAGE)
        return clients

    clients = at_desk(arguments, work)
    rows = [
        (
            client.client_id,
            client.client_name,
            _kind(client),
            " ".join(client.grant_types),
        )
        for client in clients
    ]
    output.show(
        arguments,
        [_document(client) for client in clients],
        lambda: output.table(rows, ("CLIENT_ID", "NAME", "KIND", "GRANTS")),
    )
    return 0


def _kind(client: "Client") -> str:
    if client.from_document:
        return "document"
    return "public" if client.public else "confidential"


def _show(arguments: Namespace) -> int:
    async def work(desk: "Desk") -> "tuple[Client, str | None]":
        from carnet.issuer.token_size import caution

        client = await find(desk, arguments.client_id)
        return client, caution(client, desk.config)

    client, said = at_desk(arguments, work)
    if said is not None:
        output.note(said)
    warn(client)
    show_client(arguments, client)
    return 0


def warn(client: "Client") -> None:
    """Say what its registration gives up."""
    from carnet.issuer.code_challenge import caution

    said = caution(client)
    if said is not None:
        output.note(said)


def show_client(arguments: Namespace, client: "Client") -> None:
    """Print all that is registered of a client."""
    document = _document(client)
    output.show(arguments, document, lambda: output.facts({name: _text(value) for name, value in document.items()}))


def _rotate_secret(arguments: Namespace) -> int:
    from carnet.issuer.clients import rotate_secret

    async def work(desk: "Desk") -> "Registered":
        client = await find(desk, arguments.client_id)
        with refusals():
            return await rotate_secret(desk, client, actor=ACTOR)

    _show_registered(arguments, at_desk(arguments, work))
    return 0


def _delete(arguments: Namespace) -> int:
    from carnet.issuer.clients import remove

    async def work(desk: "Desk") -> None:
        with refusals():
            removed = await remove(desk, arguments.client_id, actor=ACTOR)
        if not removed:
            raise CommandError(f"there is no client {arguments.client_id!r}.")

    at_desk(arguments, work)
    output.show(
        arguments,
        {"client_id": arguments.client_id, "deleted": True},
        f"Deleted the client {arguments.client_id}; all that it held is taken back.",
    )
    return 0


def _show_registered(arguments: Namespace, registered: "Registered") -> None:
    document = _document(registered.client)
    values = {"client_id": registered.client.client_id}
    if registered.secret is not None:
        document["client_secret"] = values["client_secret"] = registered.secret.value
        output.note("The secret is shown this once: keep it where only the client can read it.")
    output.show(arguments, document, lambda: output.facts(values))


async def find(desk: "Desk", client_id: str) -> "Client":
    client = await desk.store.clients.get(client_id)
    if client is None:
        raise CommandError(f"there is no client {client_id!r}.")
    return client


@contextmanager
def refusals() -> Iterator[None]:
    from carnet.issuer.clients import ClientError

    try:
        yield
    except ClientError as error:
        raise UsageError(str(error)) from None


def _document(client: "Client") -> dict[str, Any]:
    """RFC 7591 section 2: the client's metadata, under their registered names; never its secret."""
    from msgspec import to_builtins

    from carnet.issuer.clients import Registration

    names = ("client_id", *Registration.__struct_fields__, "created_at", "updated_at")
    return {name: to_builtins(getattr(client, name)) for name in dict.fromkeys(names)}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return " ".join(value) or "-"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value) if value else "-"
    return "-" if value in {None, ""} else str(value)
