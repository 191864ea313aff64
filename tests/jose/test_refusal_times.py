"""Rule J20: whatever a reader of the token core refuses, it refuses in time that is linear in the length."""

import json
import time
from base64 import urlsafe_b64encode

import pytest

from carnet.jose import JoseError, KeySet, SigningKey
from carnet.jose.encryption_keys import DecryptionKey
from carnet.jose.jwe import decrypt_compact
from carnet.jose.jwe_json import decrypt_flattened, decrypt_general
from carnet.jose.jws import verify_compact, verify_detached
from carnet.jose.jws_json import verify_flattened, verify_general
from carnet.jose.sd_jwt import disclosable_paths, verify_presentation
from carnet.jose.strict_json import parse_array, parse_object

SHORT, LONG = 8_000, 64_000
KEYS = KeySet([SigningKey.generate("ES256").public()])
RECIPIENT = [DecryptionKey.generate("A128KW")]
SIGNED = {"keys": KEYS, "algorithms": ["ES256"]}
PRESENTED = SIGNED | {"issuer": "a", "typ": "x", "at": 0, "audience": "b"}
ENC = ["A128GCM"]

READERS = {
    "verify_compact": lambda text: verify_compact(text, **SIGNED),
    "verify_detached": lambda text: verify_detached(text, b"", **SIGNED),
    "verify_flattened": lambda text: verify_flattened(text.encode(), **SIGNED),
    "verify_general": lambda text: verify_general(text.encode(), **SIGNED),
    "decrypt_compact": lambda text: decrypt_compact(text, RECIPIENT, enc=ENC),
    "decrypt_flattened": lambda text: decrypt_flattened(text.encode(), RECIPIENT, enc=ENC),
    "decrypt_general": lambda text: decrypt_general(text.encode(), RECIPIENT, enc=ENC),
    "verify_presentation": lambda text: verify_presentation(text, **PRESENTED),
    "disclosable_paths": disclosable_paths,
    "parse_object": lambda text: parse_object(text.encode()),
    "parse_array": lambda text: parse_array(text.encode()),
    "from_jwks": lambda text: KeySet.from_jwks(text.encode(), algorithms=["ES256"]),
}


def b64(value) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def presentation(length):
    issued = ".".join((b64({"alg": "ES256", "typ": "x"}), b64({"_sd": [b64(str(each)) for each in range(100)]}), "AA"))
    return issued + ("~" + b64(["salt", 1])) * (length // 16) + "~"


SHAPES = {
    **{unit: lambda length, unit=unit: (unit * length)[:length] for unit in (".", "A", "[", "~", '"', "é", "{}", " ", "A.")},
    "deep": lambda length: '{"a":' * (length // 5),
    "digits": lambda length: '{"a":' + "9" * length + "}",
    "decimals": lambda length: '{"a":0.' + "9" * length + "x}",
    "names": lambda length: "{" + "".join(f'"{each}":1,' for each in range(length // 10)) + '"0":1}',
    "escapes": lambda length: '{"' + '\\"' * (length // 2) + '":1,"a":1,"a":2}',
    "signatures": lambda length: json.dumps({"signatures": [{"protected": "e30", "signature": "AA"}] * (length // 42)}),
    "recipients": lambda length: json.dumps({"recipients": [{"header": {"alg": "A128KW"}}] * (length // 32)}),
    "keys": lambda length: json.dumps({"keys": [{"kty": "EC"}] * (length // 15)}),
    "critical": lambda length: b64({"alg": "ES256", "crit": [str(each) for each in range(length // 12)]}) + ".e30.AA",
    "disclosures": presentation,
}  # fmt: skip


def seconds(read, text):
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        with pytest.raises(JoseError):
            read(text)
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize("reader", READERS)
def test_every_refusal_of_a_reader_takes_time_that_is_linear_in_the_length(reader):
    read = READERS[reader]
    for name, shape in SHAPES.items():
        if reader == "from_jwks" and name == "keys":
            continue  # keys that are not understood are left out, and not refused (RFC 7517 section 5)
        short, long = shape(SHORT), shape(LONG)
        if reader in {"parse_object", "parse_array"} and name in {"signatures", "recipients", "keys"}:
            continue  # which is JSON
        # Eight times the length; a quadratic step would take 64 times as long, and its time would be far above a millisecond.
        assert seconds(read, long) < max(30 * seconds(read, short), 0.001), name
