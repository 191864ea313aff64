// docs/reference/feed-protocol.md: follows the issuer's revocation feed, so that what was taken back is refused within a second.
import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { blake2b } from '@noble/hashes/blake2.js'
import { jwtVerify } from 'jose'
import { ALGORITHMS } from './verifier.mjs'

const BOUND = 30 // seconds without a signed time: then nobody can tell whether a token has been taken back
const AHEAD = 60 // seconds that the issuer's clock may be before ours
const RECORD = 16 // bytes of a packed entry
const PATIENCE = [1, 2, 4, 8, 16, 30] // seconds between tries

const seconds = () => Math.floor(Date.now() / 1000)

export class Revocations {
  #entries = new Map() // mark, in hex -> the epoch below which tokens are refused; 0: all are
  #key
  #stream
  #sequence
  #newest = 0 // the newest signed time
  #stopping = new AbortController()

  constructor(metadata, keys) {
    this.metadata = metadata
    this.keys = keys
  }

  // Take a snapshot; from then on follow in the background.
  async start() {
    await this.#takeSnapshot()
    this.#followForever()
  }

  stop() {
    this.#stopping.abort()
  }

  // Throws if a verified token was taken back, or nobody can tell: answer 401 to the first, 503 to the second.
  check(header, claims) {
    const { jti, client_id: client, sid, sub, sep = 0 } = claims
    const names = [['t', jti], ['c', client], ['k', header.kid], ['s', sid], ['f', jti.includes('.') ? jti.split('.')[0] : undefined]]
    const listed = names.some(([letter, name]) => name !== undefined && this.#entries.has(this.#mark(letter, name)))
    const epoch = this.#entries.get(this.#mark('u', sub))
    if (listed || epoch === 0 || sep < epoch) throw new Error('the token was taken back')
    if (seconds() - this.#newest > BOUND) throw new Error('nobody can tell whether the token was taken back')
  }

  #mark(letter, name) {
    return Buffer.from(blake2b(Buffer.from(letter + name), { key: this.#key, dkLen: 8 })).toString('hex')
  }

  async #verified(token) {
    const { issuer } = this.metadata
    const options = { issuer, audience: issuer, typ: 'revocations+jwt', algorithms: ALGORITHMS, requiredClaims: ['iat', 'stream', 'seq'] }
    const { payload } = await jwtVerify(token, this.keys, options)
    if (payload.iat > seconds() + AHEAD) throw new Error('the feed is ahead of its time')
    return payload
  }

  async #takeSnapshot() {
    const answer = await fetch(this.metadata.revocations_snapshot_endpoint, { signal: this.#stopping.signal })
    if (!answer.ok) throw new Error(`the snapshot answered ${answer.status}`)
    const body = Buffer.from(await answer.arrayBuffer())
    const end = body.indexOf('\n')
    const claims = await this.#verified(body.subarray(0, end).toString('ascii'))
    const packed = body.subarray(end + 1)
    if (createHash('sha256').update(packed).digest('base64url') !== claims.sha256) throw new Error('the snapshot is not what was signed')
    this.#entries = new Map()
    this.#key = Buffer.from(claims.key, 'base64url')
    this.#add(packed)
    this.#stream = claims.stream
    this.#reach(claims)
  }

  #reach({ seq, iat }) {
    this.#sequence = seq
    this.#newest = Math.max(this.#newest, iat)
  }

  // Three columns: marks of 8 bytes, epochs of 4, expiries of 4; little-endian. An expired entry does no harm.
  #add(packed) {
    const count = packed.length / RECORD
    for (let index = 0; index < count; index += 1) {
      const mark = packed.subarray(8 * index, 8 * index + 8).toString('hex')
      const epoch = packed.readUInt32LE(8 * count + 4 * index)
      const known = this.#entries.get(mark)
      this.#entries.set(mark, known === 0 || epoch === 0 ? 0 : Math.max(known ?? 0, epoch))
    }
  }

  async #followForever() {
    for (let tries = 0; !this.#stopping.signal.aborted; tries += 1) {
      try {
        const begun = this.#sequence
        await this.#follow()
        await this.#takeSnapshot() // something did not join on
        if (this.#sequence !== begun) tries = 0
      } catch {
        // What is known goes on to be refused; staleness says the rest.
      }
      const pause = PATIENCE[Math.min(tries, PATIENCE.length - 1)] * (0.5 + Math.random() / 2)
      await wait(1000 * pause, undefined, { signal: this.#stopping.signal }).catch(() => {})
    }
  }

  async #follow() {
    const place = new URLSearchParams({ stream: this.#stream, after: this.#sequence })
    const answer = await fetch(`${this.metadata.revocations_endpoint}?${place}`, {
      headers: { Accept: 'text/event-stream' },
      signal: this.#stopping.signal,
    })
    if (answer.status !== 200) return
    for await (const token of events(answer.body)) {
      const message = await this.#verified(token)
      if (message.stream !== this.#stream || message.after !== this.#sequence) return
      this.#add(Buffer.from(message.entries ?? '', 'base64url'))
      this.#reach(message)
    }
  }
}

// The data of server-sent events, each one line here; that of the event `gap` is no message, and so asks for a snapshot.
async function* events(body) {
  let rest = ''
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim()
  }
}
