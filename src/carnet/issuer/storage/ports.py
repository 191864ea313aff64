"""The port behind which every storage backend sits: each method is one atomic verb whose answer names the loser.

Every verb is one transaction. A verb that ends something writes the revocations that follow from it in the same
transaction; when it has returned, nothing is issued any more for what it ended. Two calls that compete for one artifact get
different answers: exactly one is `Fresh`. Backends pass `carnet.testing.storage`, the public conformance suite.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from carnet.ambient import Instant
from carnet.issuer.definition import Definition
from carnet.issuer.storage.records import (
    Account,
    Artifact,
    ArtifactKind,
    Client,
    Consent,
    Digest,
    Event,
    FeedReport,
    Happening,
    ListedToken,
    Participant,
    Pseudonym,
    Revocation,
    Session,
    Signal,
    SignalStream,
    SigningKeyRecord,
    Stream,
)


class StorageError(Exception):
    """The database could not do what was asked; nothing was changed.

    One case is open: a connection that breaks while a commit is under way. The message says so; reading shows what happened.
    """


class AlreadyExistsError(StorageError):
    """A record with this key is there already (an email, a client_id, a digest)."""


class StaleError(StorageError):
    """The record was changed since it was read: read it again."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """This caller, and no other, has spent the artifact; what it was spent into is stored."""

    artifact: Artifact


@dataclass(frozen=True, slots=True)
class Spent:
    """Somebody else has spent it before."""

    artifact: Artifact
    spent_at: Instant
    receipt: bytes | None = field(repr=False)
    """What the spender left for a retry: the sealed successor."""
    successor_unused: bool
    """Whether all that it was spent into is still unspent and unrevoked."""
    replays: int
    """How often `replay` has counted a retry in this family during the last hour."""


class Artifacts(Protocol):
    """Codes, refresh tokens, invitations, replay ids: everything that is handed out and redeemed once.

    A family belongs to the subject, the client and the session of its first artifact. When a new sign-in takes the place of
    that session, the family passes to the new one, whatever `sid` its next artifacts are made with.
    """

    async def put(self, artifact: Artifact) -> bool:
        """Store a new artifact.

        False, and nothing is stored, if its session has ended, its account is disabled, its client is gone or its family was
        revoked.

        Raises:
            AlreadyExistsError: this digest is there already (that is how a replay id is caught).
            StorageError: its family belongs to another subject or client.
        """

    async def get(self, kind: ArtifactKind, digest: Digest, *, at: Instant) -> Artifact | Spent | None:
        """Look at it: unspent, spent, or None when it is unknown, expired or revoked, or its session has ended.

        A spent one counts as expired only when nothing unspent of its family lives any more: so its reuse is always seen.
        """

    async def spend(
        self,
        kind: ArtifactKind,
        digest: Digest,
        *,
        at: Instant,
        into: Sequence[Artifact] = (),
        receipt: bytes | None = None,
        found: Artifact | None = None,
    ) -> Fresh | Spent | None:
        """Spend it and store what it was spent into, or neither. `found` is what `get` has said of it, if that was asked.

        None when it is unknown, expired or revoked, or when its session has ended, its account is disabled or its client is
        gone: then nothing is stored.
        """

    async def renew(self, found: Artifact, *, at: Instant, until: Instant) -> bool:
        """Hand the same artifact out once more: from then on it counts as made at `at`, and lives until `until`.

        `found` is what `get` has said of it. False, and nothing is changed, if it was spent, and where `spend` would answer None.
        """

    async def replay(
        self, kind: ArtifactKind, digest: Digest, *, at: Instant, window: int, per_hour: int
    ) -> bytes | None:
        """Take the receipt of a spent artifact once more and count it.

        None unless it was spent less than `window` seconds ago, its successor is unused, and fewer than `per_hour` replays of
        its family were counted in the last hour; and None where `spend` would answer None.
        """

    async def revoke_family(self, family: str, *, at: Instant, revocations: Sequence[Revocation] = ()) -> int:
        """End all artifacts of a family; the answer is how many lived. The revocations are written in any case."""

    async def families(self, subject: str, *, at: Instant, kind: ArtifactKind = "refresh_token") -> list[Artifact]:
        """The live artifacts of a kind that a subject has, newest first: what an account page lists."""

    async def ownerless(
        self, kind: ArtifactKind, *, at: Instant, after: tuple[Instant, Digest] | None = None, limit: int = 100
    ) -> list[Artifact]:
        """A page of the live artifacts of a kind that belong to nobody, in the order of their ends.

        `after`: the end, and the digest, of the last one of the page before.
        """


class Accounts(Protocol):
    async def add(self, account: Account) -> None:
        """Raises AlreadyExistsError if the subject, or the email without regard to case, is taken."""

    async def get(self, subject: str) -> Account | None: ...

    async def by_email(self, email: str) -> Account | None: ...

    async def list(self, *, after: str | None = None, limit: int = 100, search: str | None = None) -> list[Account]:
        """A page in the order of emails; `after` is the last email of the page before; `search` is part of an email or name."""

    async def count(self) -> int: ...

    async def replace(
        self,
        before: Account,
        after: Account,
        *,
        revocations: Sequence[Revocation] = (),
        witness: Account | None = None,
        ending_at: Instant | None = None,
        at: Instant | None = None,
    ) -> None:
        """Compare and swap the whole record (the subject stays).

        If `after` is disabled and `before` was not, or `ending_at` says when, all sessions and artifacts of the subject end in
        the same transaction.
        `witness`: another account, on whose staying as it is the change depends. `at`: when it is changed, where that is not
        `updated_at`: what the change means is told of that time.

        Raises:
            StaleError: the stored record is not `before`, or that of the witness is not what was read.
            AlreadyExistsError: the new email is taken.
        """

    async def remove(
        self,
        subject: str,
        *,
        at: Instant,
        revocations: Sequence[Revocation] = (),
        witness: Account | None = None,
        seen: Account | None = None,
    ) -> bool:
        """Delete it with its sessions, consents and artifacts; False if there is none (the revocations are then not written).

        `seen`: the account as it was read.

        Raises:
            StaleError: as `replace`, of the witness and of what was seen.
        """


class Clients(Protocol):
    async def add(self, client: Client) -> None: ...

    async def get(self, client_id: str) -> Client | None: ...

    async def list(self, *, after: str | None = None, limit: int = 100) -> list[Client]:
        """A page in the order of client_ids."""

    async def replace(self, before: Client, after: Client, *, revocations: Sequence[Revocation] = ()) -> None:
        """Compare and swap; raises StaleError."""

    async def remove(
        self, client_id: str, *, at: Instant, revocations: Sequence[Revocation] = (), seen: Client | None = None
    ) -> bool:
        """Delete it with its consents and artifacts; False if there is none.

        Raises:
            StaleError: it is not as it was `seen` any more.
        """


class Sessions(Protocol):
    async def start(self, session: Session, *, ending: str | None = None) -> bool:
        """Store a new session, ending in the same transaction the one (a sid) that it takes the place of.

        The subject's artifacts of the ended one pass to the new one, unless it had ended before. False if the account is
        disabled or gone.
        """

    async def by_digest(self, digest: Digest) -> Session | None:
        """Ended and expired ones included: the caller applies the rule."""

    async def get(self, sid: str) -> Session | None: ...

    async def heir(self, sid: str) -> Session | None:
        """The session that has not ended of this one and those that took its place, one after another.

        A session of the same subject that began in the second in which this one was ended for good counts as well: whoever asks
        has looked for the revocation that an end writes.
        """

    async def of(self, subject: str, *, at: Instant) -> list[Session]:
        """The live ones, newest first."""

    async def touch(self, sid: str, *, at: Instant) -> None:
        """Note that it was seen; never brings back an ended one, and never moves back."""

    async def end(self, sid: str, *, at: Instant, revocations: Sequence[Revocation] = ()) -> bool:
        """End it and all its artifacts; False if it had ended before (the revocations are then not written).

        The same revocations are written for the sessions that it took the place of, while tokens may still name those.
        """

    async def end_all(self, subject: str, *, at: Instant, lifetime: int) -> int:
        """Sign a subject out everywhere: raise the account's epoch, end all sessions and artifacts of the subject.

        Writes one revocation (kind `subject`) with the new epoch, which expires `lifetime` seconds after `at`. The answer is
        the new epoch; 0 if there is no such account.
        """


class Participants(Protocol):
    """The clients that are told when a session ends. Whatever ends one makes its participants due in the same transaction."""

    async def join(self, sid: str, client_id: str, *, at: Instant) -> bool:
        """Have a client that has learnt of a session told of its end; False if it has ended, and then it is due at once."""

    async def of(self, sid: str) -> list[Participant]:
        """Those that take part in a session."""

    async def due(self, *, at: Instant, pauses: Sequence[int], limit: int = 20) -> list[Participant]:
        """Take those that are to be told now; each call takes others.

        One is due again so many seconds later as `pauses` says for its tries; after the last of them it is forgotten.
        """

    async def leave(self, participant: Participant) -> None:
        """It has been told."""


class Pseudonyms(Protocol):
    """What pairwise clients know people and sessions as.

    Whatever writes a revocation of a subject or a session writes the same, in the same transaction, for each of its pseudonyms.
    """

    async def keep(self, pseudonyms: Sequence[Pseudonym]) -> None:
        """Remember those of one subject, before anything is issued under them; those of what is not there are not kept.

        When it has returned, a change of the account that was under way is done: what is read of it then is new enough.
        """

    async def find(self, value: str) -> Pseudonym | None: ...


class Consents(Protocol):
    async def get(self, subject: str, client_id: str) -> Consent | None: ...

    async def grant(self, consent: Consent) -> None:
        """Add its scope and its audience to what was allowed before.

        Raises:
            StaleError: the account or the client is gone.
        """

    async def of(self, subject: str) -> list[Consent]: ...

    async def withdraw(self, subject: str, client_id: str, *, at: Instant, lifetime: int) -> bool:
        """Forget it and end the client's artifacts of that subject; False if there was neither.

        Writes a revocation (kind `family`) for each family that ends, which expires `lifetime` seconds after `at`: the client
        may have access tokens and nothing else.
        """


class SigningKeys(Protocol):
    async def list(self) -> list[SigningKeyRecord]:
        """All of them, oldest first."""

    async def add(
        self, key: SigningKeyRecord, *, only_if_none: bool = False, retiring: str | None = None, retires_at: Instant = 0
    ) -> bool:
        """Store it, and give the key `retiring` its end.

        False, and nothing is stored, if `only_if_none` and there is one that does the same (of keys for tokens any that there
        ever was, of others one of the same algorithm that has no end), or if `retiring` is not there or has its end already: of
        two rotations at once, one wins.

        Raises:
            AlreadyExistsError: there is a key with this kid.
        """

    async def retire(
        self, kid: str, *, at: Instant, compromised: bool = False, revocations: Sequence[Revocation] = ()
    ) -> bool:
        """Stop publishing it from `at` on, or from its end if that is earlier; False if there is none."""

    async def bring_forward(self, kid: str, *, signs_from: Instant, retires_at: Instant) -> bool:
        """Have a key that waits sign from then on, and give the one before it that end if it is earlier than its own.

        False if there is no such key, or it does not wait any more.
        """


class FeedReports(Protocol):
    """What each node says of those who listen to its revocation feed."""

    async def put(self, report: FeedReport) -> None:
        """Take the place of what the node said before."""

    async def list(self, *, since: Instant) -> list[FeedReport]:
        """The newest of each node, unless that is older."""


class Revocations(Protocol):
    async def add(self, revocations: Sequence[Revocation]) -> None:
        """Write entries. One about the same thing as another becomes one that refuses at least as much, published again."""

    async def publish(self, *, limit: int = 1000) -> list[Revocation]:
        """Number the committed entries that have no number, in the order of commits and without a gap; the answer is those."""

    async def since(self, sequence: int, *, at: Instant, limit: int = 10_000) -> list[Revocation]:
        """The published ones with a higher number that have not expired, in order."""

    async def head(self) -> int:
        """The highest number given so far."""

    async def settled(self) -> int | None:
        """The same, if every entry has its number; None: some wait for theirs.

        So whoever reads entries between two answers that are the same has read all that there are.
        """

    async def find(self, kind: str, value: str, *, at: Instant) -> Revocation | None: ...

    async def stream(self, fresh: Stream) -> Stream:
        """The stream that the numbers belong to; `fresh` becomes it where there is none yet."""

    async def forget_stream(self) -> None:
        """The numbers that were given may be given again: the database is an old one that was put back.

        It does not know the places that tokens have got since: all status lists end.
        """

    async def longest_token(self, longest: int, *, at: Instant) -> int:
        """Note how long access tokens may live from now on, in seconds; the answer is how long living ones may at most.

        That is more than `longest` for a while after it was lowered: until those that were issued before have expired.
        """


class Signals(Protocol):
    """Streams of security events (OpenID Shared Signals Framework section 8), and the events that wait on them.

    Whatever ends sessions, or changes or deletes an account, tells the streams in the same transaction: those that are not
    disabled, asked for such events and have not excluded the person.
    """

    async def add(self, stream: SignalStream, *, most: int) -> bool:
        """Store a new stream; False if its client is gone or has `most` of them."""

    async def get(self, stream_id: str) -> SignalStream | None: ...

    async def of(self, client_id: str) -> list[SignalStream]:
        """All that a client has."""

    async def replace(self, before: SignalStream, after: SignalStream, *, telling: bool = False) -> None:
        """Compare and swap; a disabled stream holds nothing. With `telling` the stream is told of its new status.

        Raises:
            StaleError: the stored record is not `before`.
        """

    async def remove(self, stream_id: str, *, seen: SignalStream | None = None) -> bool:
        """Delete it with all that waits on it; False if there is none.

        Raises:
            StaleError: it is not as it was `seen` any more.
        """

    async def exclude(self, stream_id: str, subject: str) -> None:
        """Tell it nothing of this person from now on."""

    async def include(self, stream_id: str, subject: str) -> None:
        """Tell it of this person again."""

    async def put(self, stream_id: str, happening: Happening, *, at: Instant) -> bool:
        """Have a stream told of itself; False if it is disabled or gone."""

    async def waiting(self, stream_id: str, *, limit: int) -> tuple[list[Signal], bool]:
        """What may be delivered now, the oldest first, and whether there is more.

        On a stream that is not enabled that is the word of its status alone.
        """

    async def delivered(self, stream_id: str, marks: Sequence[tuple[int, Instant]]) -> None:
        """Whoever receives this stream has these, or does not want them: named by their numbers and times.

        A number alone could come again, after an old database was put back.
        """

    async def due(self, *, at: Instant, lease: int, limit: int = 20) -> list[tuple[SignalStream, int]]:
        """Take the streams to which something is to be pushed now, with how often that has failed in a row.

        Nobody else is given them for `lease` seconds.
        """

    async def rest(self, stream_id: str, *, until: Instant, tries: int) -> None:
        """Push nothing to it until then."""

    async def restrain(self, *, at: Instant, most: int, age: int) -> list[SignalStream]:
        """Drop what has waited for `age` seconds, and the oldest beyond `most`.

        An enabled stream that loses something is paused, and told so; the answer is those.
        """

    async def list(self, *, after: str | None = None, limit: int = 100) -> list[tuple[SignalStream, int]]:
        """A page in the order of stream_ids, each with the number of events that wait on it."""


class StatusLists(Protocol):
    """Token Status List: the places that access tokens have in lists."""

    async def place(self, token: ListedToken) -> bool:
        """Give a token its place; False if somebody has it already."""

    async def there(self, list_id: str, *, at: Instant) -> bool:
        """Whether there is such a list still."""

    async def taken_back(self, list_id: str, *, at: Instant) -> list[int] | None:
        """The places of the tokens that live and are taken back, in order; None if there is no such list any more."""

    async def published(self, *, at: Instant) -> list[str]:
        """The lists in which tokens may still be looked up."""


class Throttle(Protocol):
    """Counters that slow guessing down (rule O12)."""

    async def hit(self, key: str, *, at: Instant, window: int) -> int:
        """Count one more in the current window of that many seconds, which begins with a first hit; the answer is the count."""

    async def take_back(self, keys: Sequence[str]) -> None:
        """Count one less of each, for what has turned out to be no guess."""

    async def clear(self, key: str) -> None: ...


class Events(Protocol):
    async def add(self, event: Event) -> None: ...

    async def list(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        subject: str | None = None,
        client_id: str | None = None,
        name: str | None = None,
        actor: str | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> list[tuple[int, Event]]:
        """Newest first, with their numbers; those for which all that is given holds. `until` itself is not in it."""

    async def sweep(self, *, before: Instant, limit: int = 500) -> int:
        """Delete at most `limit` of those that are older, the oldest first; the answer is how many went."""


class Definitions(Protocol):
    """What scope values, claims and audiences are, as administrators have defined them."""

    async def list(self) -> list[Definition]:
        """All of them, by kind and name."""

    async def add(self, definition: Definition) -> None:
        """Raises AlreadyExistsError."""

    async def replace(self, before: Definition, after: Definition) -> None:
        """Compare and swap; kind and name stay. Raises StaleError."""

    async def remove(self, definition: Definition) -> None:
        """Delete it as it was read. Raises StaleError."""


class Store(Protocol):
    """One deployment's storage."""

    artifacts: Artifacts
    accounts: Accounts
    clients: Clients
    sessions: Sessions
    participants: Participants
    pseudonyms: Pseudonyms
    consents: Consents
    signing_keys: SigningKeys
    revocations: Revocations
    feed_reports: FeedReports
    signals: Signals
    status_lists: StatusLists
    throttle: Throttle
    events: Events
    definitions: Definitions

    async def migrate(self) -> int:
        """Bring the schema to this version's; the answer is the schema's number. Raises StorageError if the schema is newer."""

    async def sweep(self, *, at: Instant, limit: int = 500) -> int:
        """Delete at most about `limit` rows that nobody can need any more; the answer is how many went."""

    async def check(self) -> None:
        """Raises StorageError if the database does not answer or was not migrated."""

    async def close(self) -> None: ...
