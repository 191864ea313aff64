"""What the demo registers at its issuer before that starts: sample accounts, and the clients of the shop and the services."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from carnet.ambient import SYSTEM, Ambient
from carnet.demo.samples import PEOPLE, Person
from carnet.issuer import clients
from carnet.issuer.accounts import people
from carnet.issuer.app import open_desk
from carnet.issuer.clients import Registration
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk

ACTOR = people.Actor("demo")
SHOP = "windrose-shop"
ORDER = "order-service"

AUDIENCES = ("warehouse", "orders", "invoices", "notifications")
PERSONS_SCOPE = (
    "openid profile email roles stock:read stock:write orders:read orders:write invoices:read notifications:read"
)
ORDERS_SCOPE = "stock:reserve invoices:create notifications:send"


@dataclass(frozen=True, slots=True)
class Seed:
    """What the demo's processes and its terminal need to know of it."""

    subjects: tuple[str, ...]
    """The subjects of PEOPLE, in their order."""
    passwords: Mapping[Person, str] = field(repr=False)
    """Of the accounts that were made just now: the issuer keeps their hashes alone."""
    shop_secret: str = field(repr=False)
    order_secret: str = field(repr=False)


async def plant(config: Config, *, shop_url: str, access_token_lifetime: int) -> Seed:
    """Make what is missing. The clients get new secrets, which live only in the processes that are started with them."""
    desk = await open_desk(config, SYSTEM, secret=None)
    try:
        subjects, passwords = await _accounts(desk)
        shop = Registration(
            client_id=SHOP,
            client_name="Windrose Supply",
            redirect_uris=(f"{shop_url}/auth/callback",),
            post_logout_redirect_uris=(f"{shop_url}/",),
            scope=PERSONS_SCOPE,
            audiences=AUDIENCES,
            first_party=True,
            access_token_lifetime=access_token_lifetime,
        )
        order = Registration(
            client_id=ORDER,
            client_name="Order service",
            grant_types=("client_credentials",),
            scope=ORDERS_SCOPE,
            audiences=tuple(name for name in AUDIENCES if name != "orders"),
            roles=("SERVICE",),
        )
        return Seed(subjects, passwords, await _secret(desk, shop), await _secret(desk, order))
    finally:
        await desk.store.close()


async def _accounts(desk: Desk) -> tuple[tuple[str, ...], dict[Person, str]]:
    subjects: list[str] = []
    passwords: dict[Person, str] = {}
    for person in PEOPLE:
        account = await desk.store.accounts.by_email(person.email)
        if account is None:
            passwords[person] = new_password(desk.ambient)
            account = await people.create(
                desk,
                email=person.email,
                name=person.name,
                roles=person.roles,
                password=passwords[person],
                by=ACTOR,
            )
        subjects.append(account.subject)
    return tuple(subjects), passwords


async def _secret(desk: Desk, asked: Registration) -> str:
    """Register a client, or bring it up to date and give it a new secret."""
    before = await desk.store.clients.get(asked.client_id or "")
    if before is None:
        registered = await clients.register(desk, asked, actor=ACTOR.subject)
    else:
        wanted = {name: value for name in asked.__struct_fields__ if (value := getattr(asked, name)) is not None}
        after = await clients.change(desk, before, replace(before, **wanted), actor=ACTOR.subject)
        registered = await clients.rotate_secret(desk, after, actor=ACTOR.subject)
    if registered.secret is None:
        raise ValueError(f"{asked.client_name} is a public client: it has no secret to start a process with.")
    return registered.secret.value


def new_password(ambient: Ambient) -> str:
    """80 random bits, in four groups that can be typed."""
    letters = base64.b32encode(ambient.entropy(10)).decode().lower()
    return "-".join(letters[place : place + 4] for place in range(0, len(letters), 4))
