/** A browser that is not signed in. */
export interface SignedOut {
  signed_in: false;
  /** There was a session, and it has ended. */
  ended: boolean;
  subject?: undefined;
  csrf?: undefined;
  renews_at?: undefined;
}

/** A browser that is signed in. Instants are seconds since 1970-01-01T00:00:00Z. */
export interface SignedIn {
  signed_in: true;
  subject: string;
  /** What the issuer says of the person: name, email, roles and so on. */
  claims: Readonly<Record<string, unknown>>;
  signed_in_at: number;
  renews_at: number;
  expires_at: number;
  /** For the header X-Carnet-CSRF of requests that change something; `Carnet.fetch` sends it. */
  csrf: string;
}

export type Session = SignedIn | SignedOut;

export interface SignInOptions {
  /** A path of this host; the present page if it is left out. */
  returnTo?: string;
  prompt?: "login" | "consent" | "select_account" | "create" | "none";
  /** Space-delimited, the preferred one first. */
  acrValues?: string;
  /** Seconds. */
  maxAge?: number;
}

/** What a service asks for before it goes on (RFC 9470): pass it to `stepUp`. */
export interface StepUp {
  /** A path of this host to come back to; the present page if it is left out. */
  returnTo?: string;
  acrValues?: string;
  maxAge?: number;
}

export interface CarnetEvents {
  "session-changed": CustomEvent<Session>;
  "sign-in-required": CustomEvent<null>;
  "session-ended": CustomEvent<null>;
  "step-up-required": CustomEvent<StepUp>;
}

export class Carnet extends EventTarget {
  constructor(options?: { base?: string });
  readonly current: Session | null;
  session(): Promise<Session>;
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  signIn(options?: SignInOptions): void;
  /** Throws if nothing was asked for. */
  stepUp(asked?: StepUp): void;
  signOut(): Promise<void>;
  addEventListener<Name extends keyof CarnetEvents>(
    type: Name,
    listener: (event: CarnetEvents[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
