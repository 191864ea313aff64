// RFC 7519 section 2 and the IANA registries: what a single value of a token says, in words.
// The counterpart of `carnet/jose/readings.py`: a test holds both to the same words.

import { ALGORITHMS, AUTHENTICATION_METHODS, TYPES } from "./registered.js";

const LAST_INSTANT = 253_402_300_799; // 9999-12-31T23:59:59Z
const UNITS = [["year", 31_557_600], ["day", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
const DATES = new Set(["exp", "nbf", "iat", "auth_time", "updated_at", "toe", "event_timestamp"]);

export function isNumber(value) {
  return typeof value === "bigint" || typeof value === "number";
}

// A length of time in its two largest units: `4 min 10 s`.
export function span(seconds) {
  if (seconds < 1) return "0 s";
  const largest = UNITS.findIndex(([, size]) => seconds >= size);
  const words = [];
  for (const [unit, size] of UNITS.slice(largest, largest + 2)) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count) words.push(`${count} ${unit}${count !== 1 && (unit === "year" || unit === "day") ? "s" : ""}`);
  }
  return words.join(" ");
}

// The moment that the member of this name and value is, or `null`.
export function instant(name, value) {
  if (!DATES.has(name) || !isNumber(value) || value < 0 || value > LAST_INSTANT) return null;
  return Math.trunc(Number(value));
}

export function utc(moment) {
  return `${new Date(moment * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

// How far a moment is from another, as the member of that name has it: `expired 3 min ago`.
export function distance(name, moment, at) {
  const words = moment === at ? "now" : moment < at ? `${span(at - moment)} ago` : `in ${span(moment - at)}`;
  if (name === "exp") return `${moment <= at ? "expired" : "expires"} ${words}`;
  if (name === "nbf") return `valid ${moment < at ? `since ${span(at - moment)}` : words}`;
  return words;
}

function date(name, value, at) {
  const moment = instant(name, value);
  if (moment !== null) return `${utc(moment)}, ${distance(name, moment, at)}`;
  return isNumber(value) && value > LAST_INSTANT
    ? "after the year 9999: perhaps milliseconds, where seconds are wanted"
    : "not a date: it must be a number of seconds since 1970-01-01 00:00:00 UTC";
}

function algorithm(value) {
  if (typeof value !== "string") return "not a name";
  return ALGORITHMS.get(value.toLowerCase() === "none" ? "none" : value) ?? null;
}

// RFC 7515 section 4.1.9: a media type without `application/`, in small letters.
export function mediaType(text) {
  return text.toLowerCase().replace(/^application\//, "");
}

function type(value) {
  return typeof value === "string" ? (TYPES.get(mediaType(value)) ?? null) : "not a media type";
}

function methods(value) {
  if (!Array.isArray(value)) return "not a list";
  const names = value.filter((name) => typeof name === "string");
  return names.map((name) => AUTHENTICATION_METHODS.get(name) ?? name).join(", ") || null;
}

const CONFIRMATIONS = [
  ["jkt", "bound to a DPoP key (RFC 9449)"],
  ["x5t#S256", "bound to a TLS client certificate (RFC 8705)"],
  ["jwk", "bound to the key given here (RFC 7800)"],
  ["kid", "bound to the key of that name (RFC 7800)"],
];

function confirmation(value) {
  if (!(value instanceof Map)) return "not an object";
  return CONFIRMATIONS.filter(([name]) => value.has(name)).map(([, text]) => text).join(", ") || null;
}

const USES = new Map([["sig", "signatures"], ["enc", "encryption"]]);
const FAMILIES = new Map([
  ["RSA", "RSA"],
  ["EC", "elliptic curve"],
  ["OKP", "Edwards or Montgomery curve (RFC 8037)"],
  ["oct", "a shared secret"],
  ["AKP", "a key of one algorithm (RFC 9964)"],
]);

const READERS = new Map([
  ["alg", algorithm],
  ["enc", algorithm],
  ["typ", type],
  ["cty", type],
  ["amr", methods],
  ["cnf", confirmation],
  ["use", (value) => USES.get(value) ?? null],
  ["kty", (value) => FAMILIES.get(value) ?? null],
]);

// What the value of the member of that name says, or `null` if it speaks for itself.
export function read(name, value, at) {
  return DATES.has(name) ? date(name, value, at) : (READERS.get(name)?.(value) ?? null);
}
