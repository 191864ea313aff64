// What the pages do by themselves: the access token's lifetime ticks down, and when the shop's back end has refreshed it
// behind the scenes, the page shows the new facts. No token ever comes here, only when it was issued and when it ends.
"use strict";

const RETRY = 5_000; // milliseconds

const clock = new Intl.DateTimeFormat([], { timeStyle: "medium", hourCycle: "h23" });
let papers = document.querySelector("[data-papers]");
let quietUntil = 0;

function showLocalTimes() {
  for (const time of document.querySelectorAll("time[data-clock]")) {
    time.textContent = clock.format(new Date(time.dateTime));
  }
}

function duration(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// Ask for this very page again: that the back end refreshes a token that is about to end is its own business. The parts
// that speak of the token are replaced; a half-filled form stays as it is.
async function renew() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", redirect: "manual" });
  if (answer.status >= 500) return; // something is away for the moment
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-papers]");
  if (!fresh) {
    location.reload(); // signed out meanwhile: the address itself says what to do
    return;
  }
  if (fresh.dataset.issued === papers.dataset.issued) return;
  for (const selector of ["[data-papers]", "[data-who]", "[data-live]"]) {
    const [here, there] = [document.querySelector(selector), page.querySelector(selector)];
    if (here && there) {
      here.replaceWith(there);
      there.classList.add("renewed");
    }
  }
  papers = fresh;
  started = performance.now();
  showLocalTimes();
}

let started = performance.now();

function tick() {
  const { now, expires, margin } = papers.dataset;
  const left = expires - now - (performance.now() - started) / 1000;
  for (const place of document.querySelectorAll("[data-left]")) place.textContent = duration(left);
  for (const bar of document.querySelectorAll("progress[data-life]")) bar.value = Math.max(0, left);
  if (left < margin && performance.now() > quietUntil) {
    quietUntil = performance.now() + RETRY;
    renew().catch(() => {}); // the shop does not answer: the next tick but four asks again
  }
}

showLocalTimes();
if (papers) {
  tick();
  setInterval(tick, 1000);
}
