// RFC 8725, RFC 7518 section 3.2: what in a token is allowed, or cannot be refused by sight, and still deserves a look.
// The counterpart of `carnet/jose/cautions.py`: a test holds both to the same words.

import { points, quoted } from "./lenient.js";
import { instant, isNumber, mediaType, span } from "./readings.js";
import { HEADER_PARAMETERS, PRIVATE_MEMBERS } from "./registered.js";

const DAY = 86_400;
const LONG_ACCESS = 3_600;
const WITHOUT_AUDIENCE = new Set(["dpop+jwt", "revocations+jwt", "statuslist+jwt", "entity-statement+jwt"]);
const WITHOUT_EXPIRY = new Set(["dpop+jwt", "secevent+jwt", "revocations+jwt", "statuslist+jwt", "kb+jwt"]);
const UNDERSTOOD = new Set(["b64"]);
const SENSITIVE =
  /pass(?:word|wd|phrase|code)|^pwd$|secret(?!ar)|apikey|privatekey|creditcard|cardnumber|^cvv2?$|^cvc2?$|^pin$|^ssn$|socialsecurity|^iban$|(?:access|refresh|auth|session)token$|^cookie$|seed$|mnemonic/;
const CARD = /^[2-6](?:[ -]?[0-9]){12,18}$/;
const PATH_LIMIT = 120;
const SENSITIVE_AT_MOST = 20;

const caution = (code, sentence) => ({ code, sentence });
const isText = (value) => typeof value === "string";
const isNested = (value) => value instanceof Map || Array.isArray(value);

// What to look at in a signed object; `claims` is `null` if its payload is no claims set.
export function ofSigned(header, claims, signature, at) {
  const found = [...ofAlgorithm(header, signature), ...ofHeader(header)];
  if (claims) {
    const kind = kindOf(header);
    for (const rule of [audience, life, identity, secrets]) found.push(...rule(claims, kind, at));
  }
  return found;
}

// What to look at in an encrypted object, of which only the header can be seen.
export function ofEncrypted(header) {
  const algorithm = header.get("alg");
  const found = [...ofHeader(header)];
  if (algorithm === "RSA1_5") {
    found.push(caution("weak_alg", "RSA1_5 can be broken by padding oracles. Carnet refuses it; use RSA-OAEP-256."));
  } else if (isText(algorithm) && algorithm.startsWith("PBES2")) {
    found.push(
      caution("weak_alg", "The key comes from a password: whoever has this token can try passwords, offline."),
    );
  }
  if (header.has("zip")) {
    found.push(
      caution("compressed", "Compressed content tells its length, and may be a bomb. Carnet refuses it."),
    );
  }
  return found;
}

// What to look at in a JSON Web Key.
export function ofKey(key) {
  const found = [];
  const [family, modulus, secret] = [key.get("kty"), key.get("n"), key.get("k")];
  const algorithm = key.has("alg") ? key.get("alg") : "HS";
  if (family === "oct") {
    found.push(caution("secret_key", "This is a secret: whoever sees it can use it. It must never be published."));
    if (isText(secret) && Math.floor((points(secret) * 6) / 8) < 32 && isText(algorithm) && algorithm.startsWith("HS")) {
      found.push(caution("short_secret", "The secret is shorter than 32 bytes: HS256 and stronger refuse it."));
    }
  } else if ([...key.keys()].some((name) => PRIVATE_MEMBERS.has(name))) {
    found.push(caution("private_key", "This is a private key: whoever sees it can use it. Never publish it."));
  }
  if (family === "RSA" && isText(modulus) && points(modulus) * 6 < 2048) {
    found.push(caution("short_rsa", "The RSA key is shorter than 2048 bits: RFC 7518 section 3.3 forbids it."));
  }
  if (!isText(key.get("alg"))) {
    found.push(caution("no_alg", "The key names no algorithm; a key should be for exactly one (RFC 8725)."));
  }
  if (!isText(key.get("kid"))) found.push(caution("no_kid", "The key has no kid; a token could not name it."));
  return found;
}

function kindOf(header) {
  const type = header.has("typ") ? header.get("typ") : "";
  return isText(type) ? mediaType(type) : "(not a text)";
}

function* ofAlgorithm(header, signature) {
  const algorithm = header.get("alg");
  if (!isText(algorithm)) {
    yield caution("no_alg", "The header names no algorithm: every verifier must refuse this.");
    return;
  }
  if (algorithm.toLowerCase() === "none") {
    yield caution("alg_none", "The algorithm is none: anyone can write this. Every verifier must refuse it.");
  } else if (!signature.length) {
    yield caution("no_signature", "There is no signature: every verifier must refuse this.");
  }
  if (["HS256", "HS384", "HS512"].includes(algorithm)) {
    yield caution(
      "symmetric_alg",
      `${algorithm} signs with a shared secret: every service that can verify this token can also forge one, and ` +
        "whoever holds the token can try secrets offline, billions in a second. Use a random secret of at least " +
        `${Number(algorithm.slice(2)) / 8} bytes, or better a key pair (ES256, Ed25519).`,
    );
  }
  if (algorithm === "RS1") {
    yield caution("weak_alg", "RS1 hashes with SHA-1, for which collisions are made: every verifier must refuse it.");
  }
  if (["RS256", "RS384", "RS512"].includes(algorithm)) {
    yield caution("old_padding", `${algorithm} is still sound, but PS256, ES256 or Ed25519 are the better choice.`);
  }
  if (algorithm.startsWith("ML-DSA-")) {
    yield caution(
      "long_signature",
      `A signature by ${algorithm} is long: such a token breaks cookies, which hold 4 kB, and the limits of many servers, ` +
        "which take 8 kB of headers.",
    );
  }
}

function* ofHeader(header) {
  for (const name of ["jwk", "jku", "x5u", "x5c"]) {
    if (header.has(name)) {
      yield caution(
        "embedded_key",
        `The header brings its own key (${name}): a verifier that trusts it lets everyone in. Carnet never reads it.`,
      );
    }
  }
  const critical = header.get("crit") ?? null;
  if (critical === null) return;
  if (!Array.isArray(critical) || !critical.length) {
    yield caution("bad_crit", "crit is not a list of names: every verifier must refuse this.");
    return;
  }
  for (const name of critical) {
    if (!isText(name)) {
      yield caution("bad_crit", "crit names something that is not a text: every verifier must refuse this.");
    } else if (HEADER_PARAMETERS.has(name) && !UNDERSTOOD.has(name)) {
      yield caution("bad_crit", `crit may not name ${quoted(name)}: every verifier must refuse this.`);
    } else if (!header.has(name)) {
      yield caution("bad_crit", `crit names ${quoted(name)}, which the header does not have: refuse this.`);
    } else if (!UNDERSTOOD.has(name)) {
      yield caution("unknown_crit", `Whoever does not understand the extension ${quoted(name)} must refuse this.`);
    }
  }
}

function isEmpty(value) {
  if (isNested(value)) return (value.size ?? value.length) === 0;
  return !value;
}

function* audience(claims, kind) {
  if (isEmpty(claims.get("aud")) && !WITHOUT_AUDIENCE.has(kind)) {
    yield caution(
      "no_audience",
      "There is no audience: a token stolen from one service works at every other. Carnet refuses it by default.",
    );
  }
}

function* life(claims, kind, at) {
  const expires = instant("exp", claims.get("exp"));
  const notBefore = instant("nbf", claims.get("nbf"));
  const begins = instant("iat", claims.get("iat")) || notBefore;
  if (expires === null) {
    if (!WITHOUT_EXPIRY.has(kind)) {
      yield caution("no_expiry", "There is no expiry: once stolen, it works for ever. Carnet refuses it by default.");
    }
  } else if (at >= expires) {
    yield caution("expired", `It expired ${span(at - expires)} ago: it must be refused.`);
  }
  if (notBefore !== null && notBefore > at) {
    yield caution("not_yet_valid", `It is valid only in ${span(notBefore - at)}: until then refuse it.`);
  }
  const lasts = (expires ?? 0) - (begins ?? at);
  if (lasts > (kind === "at+jwt" ? LONG_ACCESS : DAY)) {
    yield caution(
      "long_life",
      `It lives ${span(lasts)}: very long for a token that is checked without asking its issuer.`,
    );
  }
}

function* identity(claims, kind) {
  if (!claims.has("iss") && kind !== "dpop+jwt" && kind !== "kb+jwt") {
    yield caution("no_issuer", "There is no issuer: a verifier cannot say whose key would be the right one.");
  }
  if (kind === "" || kind === "jwt") {
    yield caution(
      "no_type",
      "The header does not say what kind of token this is (typ), so that one kind may pass for another.",
    );
  }
}

function secrets(claims) {
  const found = [];
  for (const [path, name, value] of leaves(claims, "")) {
    if (found.length === SENSITIVE_AT_MOST) break;
    if (SENSITIVE.test(name.toLowerCase().replace(/[^a-z0-9]/g, "")) && !isTrivial(value)) {
      found.push(caution("sensitive", `${quoted(path)} looks like a secret. A signed payload can be read by everyone.`));
    } else if (isText(value) && value.includes("-----BEGIN") && value.includes("PRIVATE KEY")) {
      found.push(caution("sensitive", `${quoted(path)} holds a private key. A signed payload can be read by everyone.`));
    } else if (isCardNumber(value)) {
      found.push(
        caution("sensitive", `${quoted(path)} looks like a payment card's number. Everyone can read the payload.`),
      );
    }
  }
  return found;
}

function isTrivial(value) {
  return [null, "", true, false].includes(value) || (isNumber(value) && [0, 1].includes(Number(value)));
}

// Every member of nested objects, with its path and its own name.
function* leaves(value, path) {
  if (value instanceof Map) {
    for (const [name, content] of value) {
      const inner = [...(path ? `${path}.${name}` : name)].slice(0, PATH_LIMIT).join("");
      if (isNested(content)) yield* leaves(content, inner);
      else yield [inner, name, content];
    }
  } else {
    for (const element of value) {
      if (isNested(element)) yield* leaves(element, path);
      else yield [path, path.slice(path.lastIndexOf(".") + 1), element];
    }
  }
}

// ISO/IEC 7812-1 annex B: 13 to 19 digits, maybe in groups, of a payment network, whose check digit is right.
function isCardNumber(value) {
  const text = typeof value === "bigint" ? String(value) : value;
  if (!isText(text) || !CARD.test(text)) return false;
  const digits = [...text].filter((character) => /[0-9]/.test(character)).map(Number).reverse();
  const sum = digits.reduce((total, digit, place) => {
    const counted = place % 2 ? digit * 2 - (digit > 4 ? 9 : 0) : digit;
    return total + counted;
  }, 0);
  return sum % 10 === 0;
}
