// RFC 8259, RFC 4648: decode what may be malformed, and name what is wrong instead of refusing it.
// The counterpart of `carnet/jose/lenient.py`: a test holds both to the same words.
//
// Numbers without a fraction become a `bigint`, others a `number`; objects become `Members`, so that no name is special.

const DEEPEST_ALLOWED = 16;
const DEEPEST_SHOWN = 64;
const NAMED_AT_MOST = 20;
const LONE_SURROGATE = /\p{Surrogate}/gu;

// A JSON object that remembers repeated members: `pairs` has all of them in their order.
export class Members extends Map {
  constructor(pairs) {
    super(pairs);
    this.pairs = pairs;
  }

  repeated() {
    const seen = new Set();
    return this.pairs.map(([name]) => name).filter((name) => seen.has(name) || !seen.add(name));
  }
}

export function points(text) {
  return [...text].length;
}

// The text in quotation marks, as Python's `repr` writes it.
export function quoted(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const named = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", [mark]: `\\${mark}` };
  const written = [...text].map((character) => {
    if (Object.hasOwn(named, character)) return named[character];
    if (character === " " || !/[\p{C}\p{Z}]/u.test(character)) return character;
    const code = character.codePointAt(0);
    const width = code < 0x100 ? 2 : code < 0x10000 ? 4 : 8;
    return `\\${{ 2: "x", 4: "u", 8: "U" }[width]}${code.toString(16).padStart(width, "0")}`;
  });
  return mark + written.join("") + mark;
}

export function bytesOf(binary) {
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

export function binaryOf(bytes) {
  let binary = "";
  for (let start = 0; start < bytes.length; start += 4096) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 4096));
  }
  return binary;
}

// RFC 7515 section 2: base64url without padding; what is wrong is named, and the rest decoded.
export function decode(segment, where, defects) {
  let cleaned = segment;
  if (/[^A-Za-z0-9_-]/.test(segment)) {
    defects.push(`${where} has characters that are not base64url (only A-Z a-z 0-9 - _ are).`);
    cleaned = segment.replaceAll("+", "-").replaceAll("/", "_").replace(/[^A-Za-z0-9_-]/g, "");
  }
  if (cleaned.length % 4 === 1) {
    defects.push(`${where} has a length that base64url never has; a character is missing or too many.`);
    cleaned = cleaned.slice(0, -1);
  }
  const binary = atob(cleaned.replaceAll("-", "+").replaceAll("_", "/"));
  const canonical = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  if (canonical !== cleaned) {
    defects.push(`The last character of ${where[0].toLowerCase()}${where.slice(1)} has bits that do not belong there.`);
  }
  return bytesOf(binary);
}

// UTF-8 as strict readers want it, or `null`.
export function strictText(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function utf8(bytes, where, defects) {
  let text = strictText(bytes);
  if (text === null) {
    defects.push(`${where} is not UTF-8 text.`);
    text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }
  if (text.startsWith("\ufeff")) {
    defects.push(`${where} begins with a byte order mark.`);
    return text.slice(1);
  }
  return text;
}

// How deep brackets are nested outside of strings.
function depth(text) {
  let [deepest, now] = [0, 0];
  for (const character of text.replace(/"(?:[^"\\]|\\.)*"?/gs, "")) {
    if (character === "[" || character === "{") {
      now += 1;
      deepest = Math.max(deepest, now);
    } else if (character === "]" || character === "}") {
      now -= 1;
    }
  }
  return deepest;
}

// The value of a JSON text; what deviates from what strict readers want is named. `null` if nothing can be shown.
export function jsonValue(bytes, where, defects) {
  const text = utf8(bytes, where, defects);
  const deepest = depth(text);
  if (deepest > DEEPEST_ALLOWED) {
    defects.push(`${where} is nested ${deepest} levels deep; strict readers stop at ${DEEPEST_ALLOWED}.`);
  }
  if (deepest > DEEPEST_SHOWN) return null;
  try {
    return new Reader(text, where, defects).document();
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    defects.push(`${where} is not JSON: ${error.message} at character ${points(text.slice(0, error.position)) + 1}.`);
    return null;
  }
}

// The members of the JSON object, or `null` if it is none.
export function jsonObject(bytes, where, defects) {
  if (!bytes.length) {
    defects.push(`${where} is empty.`);
    return null;
  }
  const value = jsonValue(bytes, where, defects);
  if (!(value instanceof Members)) {
    if (value !== null) defects.push(`${where} is not a JSON object.`);
    return null;
  }
  const repeated = [...new Set([...objects(value)].flatMap((each) => each.repeated()))].sort();
  for (const name of repeated.slice(0, NAMED_AT_MOST)) {
    defects.push(
      `${where} has the member ${quoted(name)} more than once; readers may disagree on which one counts.`,
    );
  }
  if ([...texts(value)].some((text) => text.search(LONE_SURROGATE) >= 0)) {
    defects.push(`${where} has half of a character pair (a lone surrogate).`);
  }
  return value.pairs.map(([name, content]) => [plain(name), plain(content)]);
}

// The value without what cannot be sent.
export function plain(value) {
  if (typeof value === "string") return value.replace(LONE_SURROGATE, "\ufffd");
  if (value instanceof Members) return new Members([...value].map(([name, content]) => [plain(name), plain(content)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

// The value as JSON text, with spaces as people put them.
export function written(value) {
  if (value instanceof Map) {
    return `{${[...value].map(([name, content]) => `${JSON.stringify(name)}: ${written(content)}`).join(", ")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function* objects(value) {
  if (value instanceof Members) yield value;
  if (value instanceof Members || Array.isArray(value)) {
    for (const content of value.values()) yield* objects(content);
  }
}

function* texts(value) {
  if (typeof value === "string") yield value;
  else if (value instanceof Members) {
    for (const [name, content] of value) {
      yield name;
      yield* texts(content);
    }
  } else if (Array.isArray(value)) {
    for (const element of value) yield* texts(element);
  }
}

class NotJson extends Error {
  constructor(message, position) {
    super(message);
    this.position = position;
  }
}

const NUMBER = /(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const ESCAPED = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

// Reads JSON and stops where, and with the words with which, Python's own reader does.
class Reader {
  constructor(text, where, defects) {
    Object.assign(this, { text, where, defects, at: 0 });
  }

  document() {
    if (this.text.startsWith("\ufeff")) throw new NotJson("unexpected UTF-8 BOM (decode using utf-8-sig)", 0);
    this.skip();
    const value = this.value();
    this.skip();
    if (this.at < this.text.length) throw new NotJson("extra data", this.at);
    return value;
  }

  skip() {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at += 1;
  }

  value() {
    const { text, at } = this;
    if (text[at] === '"') return this.string();
    if (text[at] === "{") return this.object();
    if (text[at] === "[") return this.array();
    for (const [word, value] of [["null", null], ["true", true], ["false", false]]) {
      if (text.startsWith(word, at)) {
        this.at += word.length;
        return value;
      }
    }
    NUMBER.lastIndex = at;
    const found = NUMBER.exec(text);
    if (found) {
      this.at += found[0].length;
      return found[2] || found[3] ? this.fraction(found[0]) : this.integer(found[0]);
    }
    for (const word of ["NaN", "Infinity", "-Infinity"]) {
      if (text.startsWith(word, at)) {
        this.at += word.length;
        return this.odd(word);
      }
    }
    throw new NotJson("expecting value", at);
  }

  odd(constant) {
    this.defects.push(`${this.where} has the number ${constant}, which is not JSON.`);
    return constant;
  }

  integer(digits) {
    if (digits.length > 16) {
      this.defects.push(
        `${this.where} has an integer of ${digits.length} digits, which readers round differently.`,
      );
    }
    return digits.length <= 20 ? BigInt(digits) : digits;
  }

  fraction(digits) {
    const number = Number(digits);
    return Number.isFinite(number) ? number : this.odd(digits);
  }

  object() {
    const pairs = [];
    this.at += 1;
    this.skip();
    if (this.text[this.at] !== "}") {
      for (;;) {
        if (this.text[this.at] !== '"') {
          throw new NotJson("expecting property name enclosed in double quotes", this.at);
        }
        const name = this.string();
        this.skip();
        if (this.text[this.at] !== ":") throw new NotJson("expecting ':' delimiter", this.at);
        this.at += 1;
        this.skip();
        pairs.push([name, this.value()]);
        this.skip();
        if (this.text[this.at] === "}") break;
        if (this.text[this.at] !== ",") throw new NotJson("expecting ',' delimiter", this.at);
        this.at += 1;
        this.skip();
      }
    }
    this.at += 1;
    return new Members(pairs);
  }

  array() {
    const values = [];
    this.at += 1;
    this.skip();
    if (this.text[this.at] !== "]") {
      for (;;) {
        values.push(this.value());
        this.skip();
        if (this.text[this.at] === "]") break;
        if (this.text[this.at] !== ",") throw new NotJson("expecting ',' delimiter", this.at);
        this.at += 1;
        this.skip();
      }
    }
    this.at += 1;
    return values;
  }

  string() {
    const { text } = this;
    const begin = this.at;
    let read = "";
    for (;;) {
      this.at += 1;
      const character = text[this.at];
      if (character === undefined) throw new NotJson("unterminated string starting at", begin);
      if (character === '"') break;
      if (character < " ") throw new NotJson("invalid control character at", this.at);
      read += character === "\\" ? this.escape(begin) : character;
    }
    this.at += 1;
    return read;
  }

  escape(begin) {
    this.at += 1;
    const character = this.text[this.at];
    if (character === undefined) throw new NotJson("unterminated string starting at", begin);
    if (character !== "u") {
      if (!Object.hasOwn(ESCAPED, character)) throw new NotJson("invalid \\escape", this.at - 1);
      return ESCAPED[character];
    }
    const digits = this.text.slice(this.at + 1, this.at + 5);
    if (!/^[0-9A-Fa-f]{4}$/.test(digits) || this.at + 5 >= this.text.length) {
      throw new NotJson("invalid \\uXXXX escape", this.at);
    }
    this.at += 4;
    return String.fromCharCode(parseInt(digits, 16));
  }
}
