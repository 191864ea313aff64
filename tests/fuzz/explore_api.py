"""Rule R15: whatever is sent to an issuer, its answers are those that its own description says, and no answer is a failure of ours.

Schemathesis makes requests out of `/api/openapi.json` of a `carnet serve`: right ones, wrong ones, without and with wrong access tokens, and
chains of them. `make explore` makes about a hundred thousand; `ARGS="--examples 50"` is for who has less time.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx2

from carnet.testing.running import RunningIssuer, running_issuer

SETTINGS = """
client_registration = true

[lifetimes]
access_token = 3600
"""
NOT_CHECKED = (
    # What a schema cannot say (a name that is taken, a URL that is not https) is refused with a documented status.
    "positive_data_acceptance",
    # `If-Match` is missing: 428, which is documented as well.
    "missing_required_header",
)
EXPLORER = """
[[operations]]
include-path-regex = "^/api/admin/"
headers = {{ Authorization = "Bearer {token}" }}

[[operations]]
include-path-regex = "^/(token|par|introspect|revoke|device_authorization|backchannel_authentication)$"
headers = {{ Authorization = "Basic {client}" }}
"""


def administrator(issuer: RunningIssuer, config: Path) -> tuple[str, str]:
    """A client that may do everything: its access token, and its credentials for client_secret_basic."""
    document = httpx2.get(f"{issuer.url}/api/openapi.json").json()
    flows = document["components"]["securitySchemes"]["administration"]["flows"]
    scopes = [part for value in flows["clientCredentials"]["scopes"] for part in ("--scope", value)]
    options = ("--grant", "client_credentials", "--role", "ADMIN", "--audience", f"{issuer.url}/api/admin")
    client = issuer.command("client", "create", "Explorer", *options, *scopes, "--config", str(config))
    auth = httpx2.BasicAuth(client["client_id"], client["client_secret"])
    answer = httpx2.post(f"{issuer.url}/token", data={"grant_type": "client_credentials"}, auth=auth)
    sent = answer.request.headers["authorization"]
    return answer.json()["access_token"], sent.removeprefix("Basic ")


def explore(*options: str) -> int:
    """Run schemathesis with further options against an issuer of its own; the answer is its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "settings.toml"
        config.write_text(SETTINGS)
        with running_issuer(Path(folder) / "data", options=("--config", str(config))) as issuer:
            token, client = administrator(issuer, config)
            explorer = Path(folder) / "explorer.toml"
            explorer.write_text(EXPLORER.format(token=token, client=client))
            command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(explorer), "run"]
            checked = ("--exclude-checks", ",".join(NOT_CHECKED))
            status = subprocess.call([*command, f"{issuer.url}/api/openapi.json", *checked, *options], cwd=folder)
            if status:
                log = issuer.log.read_text("utf-8").splitlines()
                print(*[line for line in log if "refused" not in line][-200:], sep="\n")
            return status


def main() -> int:
    parser = argparse.ArgumentParser(description="Explore an issuer by its OpenAPI description.")
    parser.add_argument("--examples", type=int, default=800, help="for each operation; default: 800")
    parser.add_argument("--phases", default="examples,coverage,fuzzing", help="stateful, which takes its time, besides")
    parser.add_argument("--seed", type=int, help="of a run before, to have it again")
    arguments = parser.parse_args()
    again = () if arguments.seed is None else ("--seed", str(arguments.seed))
    return explore(
        *("--max-examples", str(arguments.examples), "--phases", arguments.phases, "--continue-on-failure", *again)
    )


if __name__ == "__main__":
    sys.exit(main())
