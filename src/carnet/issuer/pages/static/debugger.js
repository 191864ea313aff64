// RFC 7519: takes apart what was pasted, explains and verifies it, in this page alone. The one request that is ever made is
// for the issuer's published keys; what was pasted goes into no request, no address, no storage.

import { inspect } from "./inspection.js";
import { jsonObject, Members, written } from "./lenient.js";
import { distance, span, utc } from "./readings.js";
import { Impossible, verifyWithKey, verifyWithSecret, verifyWithSet } from "./verification.js";

const byId = (id) => document.getElementById(id);
const [token, given, secret, isEncoded] = ["token", "key", "secret", "encoded"].map(byId);
const [bench, found, checks] = ["bench", "found", "checks"].map(byId);
const { issuer, keys: keysUrl } = bench.dataset;
const RETRY = 60; // seconds

const now = () => Math.floor(Date.now() / 1000);

// An element with properties and children; texts become text, never markup.
function el(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// What is shown

let ticking = []; // what to write anew each second, given what inspection says by then

function look() {
  return token.value.trim() ? inspect(token.value, now()) : null;
}

function show() {
  const seen = look();
  state = stateOf(seen);
  ticking = [];
  found.replaceChildren(...(seen ? explained(seen) : []));
  byId("empty").hidden = seen !== null;
  byId("verifying").hidden = !isVerifiable(seen);
  byId("clear").disabled = !token.value;
  verify(seen);
}

function isVerifiable(seen) {
  return seen !== null && (seen.kind === "jws" || seen.kind === "sd_jwt");
}

// `pick` finds the object in what inspection says of the whole.
function explained(seen, pick = (whole) => whole) {
  const shown = [
    el("section", {}, el("h2", {}, seen.title), noticed(seen, pick), pieces(seen)),
    members("Header", seen.header),
    members("Claims", seen.claims),
    ...seen.sections.map(({ title, members: of }) => members(title, of)),
    seen.content === null ? null : el("section", {}, el("h2", {}, "Content"), el("pre", {}, seen.content)),
  ];
  if (seen.nested) {
    shown.push(el("p", { className: "inside" }, "Inside of it:"), ...explained(seen.nested, (whole) => pick(whole).nested));
  }
  return shown.filter(Boolean);
}

function noticed({ defects, cautions }, pick) {
  if (!defects.length && !cautions.length) return el("p", { className: "hint" }, "Nothing in it deserves a second look.");
  const notice = (label, tone, text) => el("li", {}, el("span", { className: `chip ${tone}` }, label), text);
  return el(
    "ul",
    { className: "notices" },
    defects.map((sentence) => notice("Malformed", "bad", el("span", {}, sentence))),
    cautions.map(({ code, sentence }, index) => {
      const text = el("span", {}, sentence);
      ticking.push((whole) => write(text, pick(whole).cautions[index].sentence));
      return notice(words(code), code === "expired" || code === "alg_none" ? "bad" : "", text);
    }),
  );
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function words(code) {
  return code[0].toUpperCase() + code.slice(1).replaceAll("_", " ");
}

// The compact serialization, each part in a colour of its own.
function pieces({ kind, parts }) {
  if (!["jws", "jwe", "sd_jwt"].includes(kind)) return null;
  const dotted = parts.flatMap(({ name, text }, index) => [
    index ? el("span", { className: "dot" }, name.startsWith("disclosure") || name.startsWith("holder") ? "~" : ".") : null,
    el("span", { className: `piece piece-${index % 3}`, title: name }, text),
  ]);
  return el("p", { className: "pieces" }, dotted);
}

function members(title, list) {
  if (!list.length) return null;
  return el(
    "section",
    {},
    el("h2", {}, title),
    el("dl", { className: "members" }, list.flatMap(member)),
  );
}

function member({ name, value, meaning, source, reading, instant }) {
  return [
    el("dt", {}, el("code", {}, name)),
    el(
      "dd",
      {},
      el("code", { className: "value" }, written(value)),
      reading === null ? null : el("p", { className: "reading" }, instant === null ? reading : moment(name, instant)),
      meaning ? el("p", { className: "hint" }, `${meaning} `, el("span", { className: "source" }, source)) : null,
    ),
  ];
}

// RFC 3339, with a space: a moment by the reader's own clock, which is named: `2020-08-28 12:05:48 +02:00`.
function local(date) {
  const ahead = -date.getTimezoneOffset(); // minutes
  const clock = new Date(date.getTime() + ahead * 60_000).toISOString().slice(0, -5).replace("T", " ");
  const [hours, minutes] = [Math.trunc(Math.abs(ahead) / 60), Math.abs(ahead) % 60].map((part) => String(part).padStart(2, "0"));
  return `${clock} ${ahead < 0 ? "-" : "+"}${hours}:${minutes}`;
}

// A moment in local time, and how far away it is: that ticks.
function moment(name, instant) {
  const date = new Date(instant * 1000);
  const away = el("span", { className: "away-by" });
  const tell = () => write(away, distance(name, instant, now()));
  ticking.push(tell);
  tell();
  return [el("time", { dateTime: date.toISOString(), title: utc(instant) }, local(date)), " · ", away];
}

// What is verified, and what is not

let asked = 0;

async function verify(seen) {
  const turn = ++asked;
  const source = document.querySelector("input[name=source]:checked").value;
  for (const choice of ["key", "secret"]) byId(`with-${choice}`).hidden = source !== choice;
  byId("verdict").hidden = true; // what was said of another token or key counts no more
  checks.replaceChildren();
  if (!isVerifiable(seen)) return;
  const signature = await outcome(source, token.value);
  if (turn !== asked) return; // something else has been pasted meanwhile
  const rows = [signature, times(seen), ...unchecked(seen, source, signature)];
  checks.replaceChildren(...rows.map(checked));
  ticking.push((whole) => write(checks.children[1].querySelector("p"), times(whole).text));
  sum(rows);
}

// The result in one sentence.
function sum(rows) {
  const verdict = byId("verdict");
  const named = (tone) => rows.filter((row) => row.tone === tone).map(({ title }) => title.toLowerCase()).join(", ");
  const [bad, good, open] = ["bad", "good", ""].map(named);
  const sentences = [bad && `To be refused: ${bad}.`, `Verified: ${good || "nothing"}.`, open && `Not verified: ${open}.`];
  verdict.classList.toggle("bad", Boolean(bad));
  write(verdict, sentences.filter(Boolean).join(" "));
  verdict.hidden = false;
}

function checked({ tone, label, title, text }) {
  return el(
    "li",
    {},
    el("span", { className: `chip ${tone}` }, label),
    el("div", {}, el("strong", {}, title), el("p", { className: "hint" }, text)),
  );
}

async function outcome(source, text) {
  const title = "Signature";
  try {
    if (source === "key" && !given.value.trim()) throw new Impossible("Paste the key that it should be signed with.");
    if (source === "secret" && !secret.value) throw new Impossible("Enter the secret that it should be signed with.");
    const { good, alg, kid, short } = await verifiedWith(source, text);
    const whose = {
      issuer: `the key ${kid ?? "(the only one)"} that ${issuer} publishes`,
      key: "the key that you gave",
      secret: "the secret that you gave",
    }[source];
    if (!good) {
      return { tone: "bad", label: "Wrong", title, text: `It was not made over this content with ${whose} (${alg}).` };
    }
    const weak = short ? " But the secret is shorter than the hash (RFC 7518 section 3.2): Carnet refuses it." : "";
    return { tone: "good", label: "Good", title, text: `Made over this content with ${whose} (${alg}).${weak}` };
  } catch (error) {
    if (!(error instanceof Impossible)) throw error;
    return { tone: "", label: "Not verified", title, text: error.message };
  }
}

async function verifiedWith(source, text) {
  if (source === "key") return verifyWithKey(text, given.value);
  if (source === "secret") return verifyWithSecret(text, secret.value, isEncoded.checked);
  return verifyWithSet(text, await issuerKeys(), "this issuer's key set");
}

let fetched = null;

// The issuer's published keys: the only request of this page, the same for every token.
async function issuerKeys() {
  if (fetched === null || fetched.at + RETRY < now()) fetched = { at: now(), keys: readKeys() };
  return fetched.keys;
}

async function readKeys() {
  const options = { credentials: "omit", referrerPolicy: "no-referrer", redirect: "error", cache: "no-cache" };
  try {
    const answer = await fetch(keysUrl, options);
    const pairs = answer.ok ? jsonObject(new Uint8Array(await answer.arrayBuffer()), "The key set", []) : null;
    return new Map(pairs).get("keys").filter((key) => key instanceof Members);
  } catch {
    throw new Impossible("The issuer's keys could not be read. Try again in a minute, or give the key yourself.");
  }
}

function claim(seen, name) {
  return seen.claims.find((each) => each.name === name);
}

// RFC 7519 sections 4.1.4 and 4.1.5, judged by this computer's clock.
function times(seen) {
  const title = "Time";
  const at = now();
  const [ends, begins] = ["exp", "nbf"].map((name) => claim(seen, name)?.instant ?? null);
  if (begins !== null && begins > at) {
    return { tone: "bad", label: "Not yet", title, text: `Valid in ${span(begins - at)}: until then it must be refused.` };
  }
  if (ends === null) return { tone: "", label: "Not checked", title, text: "It has no expiry." };
  return ends <= at
    ? { tone: "bad", label: "Expired", title, text: `It expired ${span(at - ends)} ago: it must be refused.` }
    : { tone: "good", label: "Good", title, text: `By this computer's clock it expires in ${span(ends - at)}.` };
}

function unchecked(seen, source, signature) {
  const [iss, aud] = ["iss", "aud"].map((name) => claim(seen, name));
  const ours = source === "issuer" && signature.tone === "good";
  const rows = [];
  if (ours && iss?.value === issuer) {
    rows.push({ tone: "good", label: "Good", title: "Issuer", text: `It says ${issuer}, and that is whose key it is.` });
  } else if (ours) {
    const said = iss ? written(iss.value) : "nobody";
    rows.push({ tone: "bad", label: "Wrong", title: "Issuer", text: `The key is of ${issuer}, but the token says ${said}.` });
  } else if (iss) {
    const text = `The token says ${written(iss.value)}. Shown, not trusted: a verifier compares it with whom it expects.`;
    rows.push({ tone: "", label: "Not checked", title: "Issuer", text });
  }
  if (aud) {
    const text = `The token says ${written(aud.value)}. Everybody who is not named there must refuse it.`;
    rows.push({ tone: "", label: "Not checked", title: "Audience", text });
  }
  if (seen.kind === "sd_jwt") {
    const text = "Whether the token's digests and the holder's proof fit what is disclosed.";
    rows.push({ tone: "", label: "Not checked", title: "Disclosures", text });
  }
  const text = "Whether it has been taken back, only the issuer knows (introspection) and guards that follow its feed.";
  rows.push({ tone: "", label: "Not checked", title: "Revocation", text });
  return rows;
}

// What moves it

let state = "";

// What changes when a date passes, and then everything is shown anew.
function stateOf(seen) {
  return seen === null ? "" : `${seen.cautions.map(({ code }) => code)};${stateOf(seen.nested)}`;
}

function tick() {
  const seen = look();
  if (stateOf(seen) !== state) show();
  else for (const each of ticking) each(seen);
}

for (const control of [token, given, secret, isEncoded, ...document.querySelectorAll("input[name=source]")]) {
  control.addEventListener("input", show);
}
byId("clear").addEventListener("click", () => {
  for (const field of [token, given, secret]) field.value = "";
  show();
  token.focus();
});

byId("needs").remove();
bench.hidden = false;
setInterval(tick, 1000);
show();
token.focus();
