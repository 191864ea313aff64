"""RFC 6749 section 4: what a grant is: it reads its own parameters and proves its case; the pipeline does the rest."""

from typing import Protocol, TypeVar

from carnet.issuer.approval import Authorization
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Client
from carnet.oauth.parameters import Parameters

Asked = TypeVar("Asked")


class Grant(Protocol[Asked]):
    """One `grant_type`. A new one is one file, and one line in `GRANTS`."""

    @property
    def grant_type(self) -> str: ...

    def read(self, parameters: Parameters) -> Asked:
        """Take its own parameters; raises InvalidRequestError where one is missing."""

    async def redeem(self, asked: Asked, client: Client, desk: Desk) -> Authorization:
        """Prove the case of an authenticated client that may use this grant, without changing anything.

        Raises:
            InvalidGrantError: there is no case.
        """
