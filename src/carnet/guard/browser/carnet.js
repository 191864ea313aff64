// The browser's side of Carnet's browser back end: no token ever comes here, only who is signed in and a CSRF token.
// Without dependencies; its types are in carnet.d.ts, its events and an example in the documentation of carnet.guard.browser.

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Who is signed in, and `fetch` on their behalf. Dispatches session-changed, sign-in-required, session-ended, step-up-required. */
export class Carnet extends EventTarget {
  #base;
  #session = null;
  #loading = null;
  #asked = null;

  /** `base`: where the back end's own routes are. */
  constructor({ base = new URL(".", import.meta.url).href } = {}) {
    super();
    this.#base = new URL(base.endsWith("/") ? base : `${base}/`, location.href);
  }

  /** The session as it was last loaded; null before that. */
  get current() {
    return this.#session;
  }

  /** Asks the back end who is signed in. Concurrent calls share one request. */
  session() {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  /** Like window.fetch, to the back end and the services behind it. A refusal is told by an event, and answered as it is. */
  async fetch(input, init) {
    const request = new Request(input, { credentials: "include", ...init });
    const again = request.clone();
    const response = await this.#send(request, false);
    if (response.status !== 403 || (await reason(response)) !== "request_forged") return this.#told(response);
    return this.#told(await this.#send(again, true)); // somebody has signed in meanwhile, in another tab
  }

  /** Leaves the page to sign in. With `acrValues` or `maxAge`, the issuer asks for a stronger or fresher proof. */
  signIn({ returnTo = location.pathname + location.search, prompt, acrValues, maxAge } = {}) {
    const url = new URL("login", this.#base);
    const asked = { return_to: returnTo, prompt, acr_values: acrValues, max_age: maxAge };
    for (const [name, value] of Object.entries(asked)) {
      if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
    }
    location.assign(url);
  }

  /**
   * Leaves the page to give the proof that a service has asked for, and comes back to it: for `step-up-required`, whose detail
   * it takes. Without an argument it gives what was asked for last.
   */
  stepUp(asked = this.#asked) {
    if (!asked?.acrValues && asked?.maxAge === undefined) throw new Error("No service has asked for another proof.");
    this.signIn(asked);
  }

  /** Ends the session here and leaves the page to end it at the issuer too. */
  async signOut() {
    const response = await this.fetch(new URL("logout", this.#base), { method: "POST" });
    if (!response.ok) throw new Error(`Signing out failed with status ${response.status}.`);
    const { location: next } = await response.json();
    this.#become({ signed_in: false, ended: false });
    location.assign(next);
  }

  async #load() {
    const response = await fetch(new URL("session", this.#base), { credentials: "include", cache: "no-store" });
    if (!response.ok) throw new Error(`The session could not be loaded: status ${response.status}.`);
    return this.#become(await response.json());
  }

  async #send(request, anew) {
    const headers = new Headers(request.headers);
    if (!SAFE_METHODS.has(request.method)) {
      const session = anew || this.#session === null ? await this.session() : this.#session;
      headers.set("X-Carnet-CSRF", session.csrf ?? "none");
    }
    return fetch(new Request(request, { headers }));
  }

  async #told(response) {
    if (response.status !== 401) return response;
    const challenge = response.headers.get("WWW-Authenticate") ?? "";
    if (challenge.includes('error="insufficient_user_authentication"')) {
      const acrValues = /acr_values="([^"]*)"/.exec(challenge)?.[1];
      const maxAge = /max_age="(\d+)"/.exec(challenge)?.[1];
      const detail = { acrValues, maxAge: maxAge === undefined ? undefined : Number(maxAge) };
      this.#asked = detail;
      this.dispatchEvent(new CustomEvent("step-up-required", { detail }));
      return response;
    }
    const error = await reason(response);
    if (error === "session_ended" || error === "session_required") {
      this.#become({ signed_in: false, ended: error === "session_ended" });
      this.dispatchEvent(new CustomEvent(error === "session_ended" ? "session-ended" : "sign-in-required"));
    }
    return response;
  }

  #become(session) {
    const before = this.#session;
    this.#session = session;
    if (before === null || before.subject !== session.subject || before.renews_at !== session.renews_at) {
      this.dispatchEvent(new CustomEvent("session-changed", { detail: session }));
    }
    return session;
  }
}

async function reason(response) {
  if (!(response.headers.get("Content-Type") ?? "").startsWith("application/json")) return null;
  try {
    return (await response.clone().json()).error ?? null;
  } catch {
    return null;
  }
}
