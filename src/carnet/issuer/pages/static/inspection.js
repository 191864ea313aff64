// RFC 7515, 7516, 7517, 7519, 9901: take any JOSE object apart and explain it, without verifying anything.
// The counterpart of `carnet/jose/inspection.py`: a test holds both to the same words.

import { ofEncrypted, ofKey, ofSigned } from "./cautions.js";
import { binaryOf, decode, jsonObject, jsonValue, plain, points, quoted, strictText } from "./lenient.js";
import { instant, read } from "./readings.js";
import { CLAIMS, HEADER_PARAMETERS, KEY_MEMBERS, NOTHING_VERIFIED, PRIVATE_MEMBERS } from "./registered.js";

const LONGEST = 262_144;
const NESTED_AT_MOST = 4;
const SHOWN_AT_MOST = 100;
const WITHHELD = "(private, not shown)";

const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const AROUND = new RegExp(`^${SPACE}+|${SPACE}+$`, "g");
const ALL_SPACES = new RegExp(SPACE, "g");
const AUTHORIZATION = new RegExp(`^(?:authorization${SPACE}*:${SPACE}*)?(?:bearer|dpop)${SPACE}+`, "i");

// Take `text` apart and explain it, judging dates by `at` (seconds). Nothing is verified, nothing is thrown.
export function inspect(text, at) {
  if (text.length > LONGEST && points(text) > LONGEST) {
    return unverified("unknown", "Too long to inspect", at, { defects: [`It is longer than ${LONGEST} characters.`] });
  }
  text = bare(text);
  const defects = [];
  if (text.startsWith("{")) return jsonDocument(text, at, defects);
  const joined = text.replace(ALL_SPACES, "");
  if (joined !== text) defects.push("There is white space inside; it was left out.");
  return compact(joined, at, defects, 0);
}

// The token of a whole `Authorization` header, or the text itself, without white space and quotation marks around.
export function bare(text) {
  return text.replace(AROUND, "").replace(AUTHORIZATION, "").replace(AROUND, "").replace(/^["']+|["']+$/g, "");
}

function unverified(kind, title, at, found) {
  return {
    verified: false,
    statement: NOTHING_VERIFIED,
    kind,
    title,
    at,
    parts: [],
    header: [],
    claims: [],
    sections: [],
    content: null,
    nested: null,
    defects: [],
    cautions: [],
    ...found,
  };
}

const part = (name, text) => ({ name, text });
const section = (title, members) => ({ title, members });
const plural = (count) => (count === 1 ? "" : "s");
const isObject = (value) => value instanceof Map;

// Compact serialization

function compact(text, at, defects, depth) {
  if (text.includes("~")) return disclosures(text, at, defects, depth);
  const segments = text.split(".", 7);
  const count = segments.length;
  if (count === 5 || (count === 4 && text.startsWith("ey"))) return compactJwe(segments, at, defects);
  if (count === 2 || count === 3) return compactJws(segments, at, defects, depth);
  return unverified("unknown", "Not a JOSE object", at, { defects: [...defects, unrecognised(text, count)] });
}

function unrecognised(text, count) {
  if (!text) return "There is nothing to inspect.";
  if (text.slice(0, 20).includes("BEGIN")) return "This is a key or certificate in PEM form, not a token.";
  if (count === 1) {
    return "There is no dot in it: an opaque token, which only its issuer can explain (introspection), or no token.";
  }
  const found = count > 6 ? "more than 6" : count;
  return `A signed token has 3 parts with dots between them, an encrypted one 5; this has ${found}.`;
}

function compactJws(segments, at, defects, depth) {
  const names = ["header", "payload", "signature"];
  if (segments.length < 3) defects.push("The signature is missing: there is one dot, where two are needed.");
  const header = headerOf(segments[0], "The header", defects);
  const signature = segments.length === 3 ? decode(segments[2], "The signature", defects) : new Uint8Array();
  const detached = new Map(header).get("b64") === false;
  const bytes = detached ? encoded(segments[1]) : decode(segments[1], "The payload", defects);
  const { members, content, nested } = payload(bytes, header, at, defects, depth);
  const form = signature.length ? "JSON Web Token, signed" : "JSON Web Token without a signature";
  return unverified("jws", members ? form : "JSON Web Signature, compact", at, {
    parts: segments.map((text, index) => part(names[index], text)),
    header: explain(header, HEADER_PARAMETERS, at),
    claims: explain(members ?? [], CLAIMS, at),
    content,
    nested,
    defects,
    cautions: ofSigned(new Map(header), members && new Map(members), signature, at),
  });
}

function compactJwe(segments, at, defects) {
  const names = ["header", "encrypted key", "initialization vector", "ciphertext", "authentication tag"];
  if (segments.length < names.length) defects.push("An encrypted token has 5 parts; this has 4.");
  const header = headerOf(segments[0], "The header", defects);
  segments.slice(1).forEach((segment, index) => decode(segment, `The ${names[index + 1]}`, defects));
  return unverified("jwe", "JSON Web Encryption, compact: the content cannot be read without the key", at, {
    parts: segments.map((text, index) => part(names[index], text)),
    header: explain(header, HEADER_PARAMETERS, at),
    defects,
    cautions: ofEncrypted(new Map(header)),
  });
}

// RFC 9901 section 4: a signed token, disclosures, and maybe the holder's proof, with `~` between them.
function disclosures(text, at, defects, depth) {
  const pieces = text.split("~");
  const [token, proof] = [pieces[0], pieces.at(-1)];
  let disclosed = pieces.slice(1, -1);
  if (disclosed.length > SHOWN_AT_MOST) {
    defects.push(`There are ${disclosed.length} disclosures; the first ${SHOWN_AT_MOST} are shown.`);
    disclosed = disclosed.slice(0, SHOWN_AT_MOST);
  }
  const seen = compact(token, at, defects, depth);
  const members = [];
  disclosed.forEach((segment, index) => {
    const where = `Disclosure ${index + 1}`;
    const value = jsonValue(decode(segment, where, defects), where, defects);
    const named = Array.isArray(value) && value.length === 3;
    if (!Array.isArray(value) || ![2, 3].includes(value.length) || (named && typeof value[1] !== "string")) {
      defects.push(`${where} is not a list of a salt, a name and a value.`);
      return;
    }
    const name = named ? plain(value[1]) : `(element ${index + 1})`;
    members.push(...explain([[name, plain(value.at(-1))]], CLAIMS, at));
  });
  return unverified("sd_jwt", "JSON Web Token with selective disclosure", at, {
    parts: [
      ...seen.parts,
      ...disclosed.map((segment, index) => part(`disclosure ${index + 1}`, segment)),
      ...(proof ? [part("holder's proof", proof)] : []),
    ],
    header: seen.header,
    claims: seen.claims,
    sections: [section("Disclosed claims", members)],
    content: seen.content,
    nested: proof && depth < NESTED_AT_MOST ? compact(proof, at, [], depth + 1) : null,
    defects,
    cautions: seen.cautions,
  });
}

// Claims, or other content, or another JOSE object.
function payload(bytes, header, at, defects, depth) {
  const found = { members: null, content: null, nested: null };
  if (!bytes.length) return found;
  const type = new Map(header).get("cty");
  if (typeof type === "string" && type.toUpperCase() === "JWT" && depth < NESTED_AT_MOST) {
    return { ...found, nested: compact(binaryOf(bytes), at, [], depth + 1) };
  }
  const first = bytes.find((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  if (first === 0x7b) return { ...found, members: jsonObject(bytes, "The payload", defects) };
  return { ...found, content: strictText(bytes) ?? `(${bytes.length} bytes that are not text)` };
}

// JSON serialization, keys

function jsonDocument(text, at, defects) {
  const pairs = jsonObject(encoded(text), "The document", defects);
  const document = new Map(pairs ?? []);
  if (document.has("ciphertext")) return jsonJwe(document, at, defects);
  if (document.has("payload") || document.has("signatures")) return jsonJws(document, at, defects);
  if (Array.isArray(document.get("keys"))) return keySet(document, at, defects);
  if (document.has("kty")) {
    const sections = [section("Key", explainKey(pairs, at))];
    return unverified("jwk", titleOfKey(document), at, { sections, defects, cautions: ofKey(document) });
  }
  if (!pairs) return unverified("unknown", "Not a JOSE object", at, { defects });
  defects.push("This is a JSON object, but no token, key or key set. Its members are explained as claims.");
  return unverified("unknown", "JSON object", at, { claims: explain(pairs, CLAIMS, at), defects });
}

function jsonJws(document, at, defects) {
  const signatures = document.has("signatures") ? objectsOf(document, "signatures", defects) : [document];
  const sections = [];
  const parts = [part("payload", textOf(document, "payload"))];
  const headers = signatures.map((entry, index) => {
    const which = signatures.length > 1 ? `signature ${index + 1}` : "signature";
    const text = textOf(entry, "protected");
    const secured = text ? headerOf(text, `The header of the ${which}`, defects) : [];
    const unsecured = membersOf(entry.get("header"));
    parts.push(part(`header of the ${which}`, text), part(which, textOf(entry, "signature")));
    sections.push(section(`Protected header of the ${which}`, explain(secured, HEADER_PARAMETERS, at)));
    if (unsecured.length) {
      sections.push(section(`Unprotected header of the ${which}`, explain(unsecured, HEADER_PARAMETERS, at)));
    }
    return new Map([...unsecured, ...secured]);
  });
  const detached = headers.some((header) => header.get("b64") === false);
  const text = textOf(document, "payload");
  const bytes = detached ? encoded(text) : decode(text, "The payload", defects);
  const { members, content, nested } = payload(bytes, [...(headers[0] ?? [])], at, defects, 0);
  const noticed = headers.flatMap((header, index) =>
    ofSigned(header, members && new Map(members), textOf(signatures[index], "signature"), at),
  );
  const count = signatures.length;
  return unverified("jws_json", `JSON Web Signature in JSON, ${count} signature${plural(count)}`, at, {
    parts,
    claims: explain(members ?? [], CLAIMS, at),
    sections,
    content,
    nested,
    defects,
    cautions: once(noticed),
  });
}

function jsonJwe(document, at, defects) {
  const recipients = document.has("recipients") ? objectsOf(document, "recipients", defects) : [document];
  const text = textOf(document, "protected");
  const secured = text ? headerOf(text, "The header", defects) : [];
  const shared = membersOf(document.get("unprotected"));
  const sections = shared.length ? [section("Shared unprotected header", explain(shared, HEADER_PARAMETERS, at))] : [];
  const noticed = recipients.flatMap((entry, index) => {
    const own = membersOf(entry.get("header"));
    sections.push(section(`Header for recipient ${index + 1}`, explain(own, HEADER_PARAMETERS, at)));
    return ofEncrypted(new Map([...own, ...shared, ...secured]));
  });
  const names = ["protected", "encrypted_key", "iv", "ciphertext", "tag", "aad"].filter((name) => document.has(name));
  const count = recipients.length;
  const title = `JSON Web Encryption in JSON, ${count} recipient${plural(count)}: the content cannot be read without a key`;
  return unverified("jwe_json", title, at, {
    parts: names.map((name) => part(name, textOf(document, name))),
    header: explain(secured, HEADER_PARAMETERS, at),
    sections,
    defects,
    cautions: once(noticed),
  });
}

function keySet(document, at, defects) {
  const keys = objectsOf(document, "keys", defects);
  return unverified("jwk_set", `JSON Web Key Set, ${keys.length} key${plural(keys.length)}`, at, {
    sections: keys.map((key, index) => section(`${index + 1}. ${titleOfKey(key)}`, explainKey([...key], at))),
    defects,
    cautions: once(keys.flatMap(ofKey)),
  });
}

function titleOfKey(key) {
  if (key.get("kty") === "oct") return "Secret key";
  return [...key.keys()].some((name) => PRIVATE_MEMBERS.has(name)) ? "Private key" : "Public key";
}

function explainKey(pairs, at) {
  const shown = pairs.map(([name, value]) => [name, PRIVATE_MEMBERS.has(name) ? WITHHELD : value]);
  return explain(shown, KEY_MEMBERS, at);
}

// Explaining

function headerOf(segment, where, defects) {
  return jsonObject(decode(segment, where, defects), where, defects) ?? [];
}

function explain(pairs, table, at) {
  return pairs.map(([name, value]) => ({
    name,
    value,
    meaning: table.get(name)?.meaning ?? "",
    source: table.get(name)?.source ?? "",
    reading: read(name, value, at),
    instant: instant(name, value),
  }));
}

function encoded(text) {
  return new TextEncoder().encode(text.replace(/\p{Surrogate}/gu, "?"));
}

function textOf(document, name) {
  const value = document.get(name);
  return typeof value === "string" ? value : "";
}

function membersOf(value) {
  return isObject(value) ? [...value] : [];
}

function objectsOf(document, name, defects) {
  const value = document.get(name);
  const found = Array.isArray(value) ? value.filter(isObject) : [];
  if (!Array.isArray(value) || found.length !== value.length) {
    defects.push(`${quoted(name)} is not a list of JSON objects.`);
  }
  if (found.length > SHOWN_AT_MOST) {
    defects.push(`${quoted(name)} has ${found.length} elements; the first ${SHOWN_AT_MOST} are shown.`);
  }
  return found.slice(0, SHOWN_AT_MOST);
}

function once(cautions) {
  return [...new Map(cautions.map((caution) => [caution.code + caution.sentence, caution])).values()];
}
