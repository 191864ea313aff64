// RFC 7515 section 5.2, RFC 8725: verify a compact token's signature with the browser's own cryptography (WebCrypto).
//
// A key is used for the one algorithm that it is for, never for what the token asks for: a public key is never a secret.

import { bytesOf, decode, jsonObject, quoted } from "./lenient.js";
import { bare, inspect } from "./inspection.js";

const MIN_RSA = 2048;
const hash = (bits) => `SHA-${bits}`;

function hmac(bits) {
  return { kty: "oct", importAs: { name: "HMAC", hash: hash(bits) }, verifyAs: { name: "HMAC" }, least: bits / 8 };
}

function rsa(name, bits) {
  return { kty: "RSA", importAs: { name, hash: hash(bits) }, verifyAs: { name, saltLength: bits / 8 } };
}

function ecdsa(curve, bits) {
  const importAs = { name: "ECDSA", namedCurve: curve };
  return { kty: "EC", crv: curve, importAs, verifyAs: { name: "ECDSA", hash: hash(bits) } };
}

const ED25519 = { kty: "OKP", crv: "Ed25519", importAs: { name: "Ed25519" }, verifyAs: { name: "Ed25519" } };

const ALGORITHMS = new Map([
  ...[256, 384, 512].flatMap((bits) => [
    [`HS${bits}`, hmac(bits)],
    [`RS${bits}`, rsa("RSASSA-PKCS1-v1_5", bits)],
    [`PS${bits}`, rsa("RSA-PSS", bits)],
  ]),
  ...[["256", "P-256"], ["384", "P-384"], ["512", "P-521"]].flatMap(([bits, curve]) => [
    [`ES${bits}`, ecdsa(curve, bits)],
    [`ESP${bits}`, ecdsa(curve, bits)],
  ]),
  ["EdDSA", ED25519],
  ["Ed25519", ED25519],
]);

const PUBLIC = { RSA: ["kty", "n", "e"], EC: ["kty", "crv", "x", "y"], OKP: ["kty", "crv", "x"], oct: ["kty", "k"] };

// Why a signature could not be verified at all.
export class Impossible extends Error {}

// The header of a compact token that can be verified here, its signed bytes and its signature.
function taken(text) {
  const token = bare(text).replace(/\s/g, "").split("~")[0];
  const segments = token.split(".");
  const seen = inspect(token, 0);
  if (seen.kind !== "jws" || segments.length !== 3) {
    throw new Impossible("There is no signature in it that is verified here.");
  }
  if (seen.defects.length) {
    throw new Impossible("It is malformed: a strict verifier refuses it before it looks at the signature.");
  }
  const header = new Map(seen.header.map(({ name, value }) => [name, value]));
  if (header.has("crit") || header.has("b64")) {
    throw new Impossible("It asks for an extension (crit, b64) that this page does not implement, so it is refused.");
  }
  const signed = new TextEncoder().encode(`${segments[0]}.${segments[1]}`);
  return { header, signed, signature: decode(segments[2], "", []) };
}

// Verify with one of the keys of a set: the one that the token's `kid` names (RFC 7515 section 4.1.4).
export async function verifyWithSet(text, keys, whose) {
  const { header } = taken(text);
  const kid = header.get("kid");
  if (algorithmOf(header).kty === "oct") {
    throw new Impossible("It is signed with a shared secret, which is in no published key set. Choose “A secret”.");
  }
  if (kid === undefined && keys.length !== 1) {
    throw new Impossible(`It does not say which key was used (kid), and ${whose} has ${keys.length}.`);
  }
  const key = kid === undefined ? keys[0] : keys.find((each) => each.get("kid") === kid);
  if (!key) {
    throw new Impossible(
      `The key ${quoted(String(kid))} is not in ${whose}: somebody else signed this, or the key was withdrawn.`,
    );
  }
  return verifyWithJwk(text, key);
}

async function verifyWithJwk(text, key) {
  const { header } = taken(text);
  const [name, algorithm] = [header.get("alg"), algorithmOf(header)];
  if (key.get("kty") !== algorithm.kty || (algorithm.crv && key.get("crv") !== algorithm.crv)) {
    const family = [key.get("kty"), key.get("crv")].filter((part) => typeof part === "string").join(" ");
    throw new Impossible(`The token says ${name}, but this is a key of another kind (${family}).`);
  }
  if (key.has("alg") && key.get("alg") !== name) {
    throw new Impossible(`The token says ${name}, but this key is for ${key.get("alg")} alone.`);
  }
  const operations = key.get("key_ops");
  if ((key.has("use") && key.get("use") !== "sig") || (Array.isArray(operations) && !operations.includes("verify"))) {
    throw new Impossible("This key is not for verifying signatures (use, key_ops).");
  }
  const jwk = Object.fromEntries(PUBLIC[algorithm.kty].map((member) => [member, key.get(member)]));
  return verified(text, "jwk", jwk);
}

// Verify with a key in a text: a JWK, a JWK Set, or a public key in PEM form (RFC 7468).
export async function verifyWithKey(text, source) {
  source = source.trim();
  if (source.startsWith("{")) {
    const defects = [];
    const pairs = jsonObject(new TextEncoder().encode(source), "The key", defects);
    if (!pairs || defects.length) throw new Impossible(defects[0]);
    const key = new Map(pairs);
    const keys = key.get("keys");
    return Array.isArray(keys)
      ? verifyWithSet(text, keys.filter((each) => each instanceof Map), "this key set")
      : verifyWithJwk(text, key);
  }
  const found = /^-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/.exec(source);
  if (!found) throw new Impossible("This is no key: give a JWK, a JWK Set, or a public key in PEM form.");
  const [, label, body] = found;
  if (label.includes("PRIVATE")) {
    throw new Impossible("This is a private key. It belongs in no web page; give the public key.");
  }
  if (label !== "PUBLIC KEY") {
    throw new Impossible(
      `Of PEM only “PUBLIC KEY” is read here, not “${label}”; openssl writes one with -pubout or -pubkey.`,
    );
  }
  if (algorithmOf(taken(text).header).kty === "oct") {
    throw new Impossible(
      "The token says that it is signed with a shared secret, but this is a public key: never mix the two.",
    );
  }
  return verified(text, "spki", bytesOf(binary(body.replace(/\s/g, ""))));
}

// Verify with a shared secret, which is given as text or as base64url.
export async function verifyWithSecret(text, secret, isEncoded) {
  const algorithm = algorithmOf(taken(text).header);
  if (algorithm.kty !== "oct") {
    throw new Impossible("It is signed with a key pair, not with a secret: its public key is needed.");
  }
  if (/^\s*-----BEGIN/.test(secret)) {
    throw new Impossible(
      "This is a key in PEM form, not a secret. A verifier that takes one for the other lets everyone in.",
    );
  }
  const bytes = isEncoded ? bytesOf(binary(standard(secret.trim()))) : new TextEncoder().encode(secret);
  if (!bytes.length) throw new Impossible("The secret is empty.");
  return verified(text, "raw", bytes);
}

function algorithmOf(header) {
  const name = header.get("alg");
  if (typeof name !== "string") throw new Impossible("The header names no algorithm.");
  if (name.toLowerCase() === "none") throw new Impossible("The algorithm is none: there is no signature to verify.");
  const algorithm = ALGORITHMS.get(name);
  if (!algorithm) throw new Impossible(`Browsers cannot verify ${name}. The command carnet token verify may.`);
  return algorithm;
}

async function verified(text, format, material) {
  const { header, signed, signature } = taken(text);
  const algorithm = algorithmOf(header);
  if (!globalThis.crypto?.subtle) {
    throw new Impossible("Browsers verify only on pages that came by https. The command carnet token verify can.");
  }
  let key;
  try {
    key = await crypto.subtle.importKey(format, material, algorithm.importAs, false, ["verify"]);
  } catch (error) {
    throw new Impossible(
      error.name === "NotSupportedError"
        ? `This browser cannot verify ${header.get("alg")}. The command carnet token verify can.`
        : `This is not a key for ${header.get("alg")}.`,
    );
  }
  if (key.algorithm.modulusLength < MIN_RSA) {
    throw new Impossible(`The RSA key is shorter than ${MIN_RSA} bits, which RFC 7518 section 3.3 forbids.`);
  }
  const good = await crypto.subtle.verify(algorithm.verifyAs, key, signature, signed);
  const bytes = algorithm.kty === "oct" ? key.algorithm.length / 8 : null;
  return { good, alg: header.get("alg"), kid: header.get("kid") ?? null, short: bytes !== null && bytes < algorithm.least };
}

function standard(text) {
  return text.replaceAll("-", "+").replaceAll("_", "/");
}

function binary(base64) {
  try {
    return atob(base64);
  } catch {
    throw new Impossible("This is not base64.");
  }
}
