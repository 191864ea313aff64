// RFC 7515-7519 and the IANA registries: the tables of `carnet/jose/registered.py`, which the server puts into the page.

const tables = JSON.parse(document.getElementById("registered").textContent);
const table = (name) => new Map(Object.entries(tables[name]));

export const HEADER_PARAMETERS = table("header");
export const CLAIMS = table("claims");
export const KEY_MEMBERS = table("key");
export const ALGORITHMS = table("algorithms");
export const TYPES = table("types");
export const AUTHENTICATION_METHODS = table("methods");
export const PRIVATE_MEMBERS = new Set(tables.private);
export const NOTHING_VERIFIED = tables.statement;
