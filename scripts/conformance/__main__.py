"""Run the plans of an OpenID Foundation conformance suite against Carnet: `python scripts/conformance --suite URL basic fapi`.

The suite is not part of Carnet: start it first, by its own instructions, somewhere that can reach this machine. For each plan an
issuer with an empty database is started, gets the people and clients that the plan asks for, and the plan's configuration with
what the suite's browser has to do. `docs/conformance.md` says which certificates it takes and how the plans end.
"""

import argparse
import signal
import ssl
import sys
import tempfile
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from browsing import blocks
from issuer import Files, running
from plans import KNOWN_METADATA, PLANS, Plan, settings
from steps import Approving
from suite import Result, Suite

GOOD = {"PASSED", "REVIEW", "SKIPPED", "WARNING"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.partition("\n")[0])
    parser.add_argument("plans", nargs="*", metavar="PLAN", help=f"default: all of {', '.join(PLANS)}")
    parser.add_argument("--suite", required=True, metavar="URL", help="where it is reached, by the issuer too")
    parser.add_argument("--suite-ca", type=Path, metavar="FILE", help="whom to believe about its certificate (PEM)")
    parser.add_argument("--tls-cert", type=Path, required=True, metavar="FILE", help="the issuer's, for localhost")
    parser.add_argument("--tls-key", type=Path, required=True, metavar="FILE")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="modules whose names contain it")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the results here, as JSON")
    arguments = parser.parse_args()
    if unknown := set(arguments.plans) - set(PLANS):
        parser.error(f"there is no plan {', '.join(sorted(unknown))}.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended."))  # the issuer ends too
    verify = ssl.create_default_context(cafile=arguments.suite_ca)
    suite = Suite(arguments.suite, verify=verify)
    files = Files(arguments.tls_cert.resolve(), arguments.tls_key.resolve(), arguments.suite_ca)
    results = {name: _run(name, suite, files, arguments.only) for name in arguments.plans or PLANS}
    if arguments.report:
        arguments.report.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    return 1 if any(_surprising(PLANS[name], one) for name, found in results.items() for one in found) else 0


def _run(name: str, suite: Suite, files: Files, only: list[str]) -> list[Result]:
    plan, alias = PLANS[name], f"carnet-{name}"
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="carnet-conformance-") as directory,
        running(Path(directory), settings(plan), files) as issuer,
    ):
        scripted, people = blocks(issuer.url, suite.modules(plan.name))
        issuer.people(people)
        discovery = f"{issuer.url}/.well-known/openid-configuration"
        config = {
            "alias": alias,
            "description": f"Carnet, {name}",
            "server": {"discoveryUrl": discovery, "allow_unexpected_metadata_fields": KNOWN_METADATA},
            "options": {"browsercontrol_css_enable": False},
            **plan.configure(issuer, f"{suite.url}/test/a/{alias}/"),
            **(scripted if plan.scripted else {}),
        }
        steps = plan.steps(issuer)
        if isinstance(steps, Approving):
            config["automated_ciba_approval_url"] = steps.url
        try:
            wanted = lambda module: not only or any(text in module for text in only)  # noqa: E731
            for result in suite.run(plan.name, plan.variant, config, wanted, steps):
                found.append(result)
                _say(plan, result)
        finally:
            steps.close()
    return found


def _surprising(plan: Plan, result: Result) -> bool:
    if result.outcome in GOOD:
        return False
    known = plan.by_design.get(result.module)
    return known is None or any(one.partition(":")[0] not in known.conditions for one in result.complaints)


def _say(plan: Plan, result: Result) -> None:
    known = result.outcome not in GOOD and not _surprising(plan, result)
    reason = f": {plan.by_design[result.module].why}" if known else ""
    print(f"{result.outcome:<8} {result.module} {result.id}{reason}", flush=True)
    for complaint in () if known else result.complaints:
        print(f"         {complaint[:300]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
