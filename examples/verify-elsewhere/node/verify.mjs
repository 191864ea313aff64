// node verify.mjs ISSUER AUDIENCE < tokens: one token a line; for each it prints `accepted SUBJECT` or `refused REASON`.
// With `--feed` it follows the issuer's revocation feed, and refuses what was taken back.
import { createInterface } from 'node:readline'
import { discover, keysOf, verifier } from './verifier.mjs'

const [issuer, audience, option] = process.argv.slice(2)
const metadata = await discover(issuer)
const keys = keysOf(metadata)
const verify = verifier(issuer, audience, keys)
let feed
if (option === '--feed') {
  const { Revocations } = await import('./revocations.mjs')
  feed = new Revocations(metadata, keys)
  await feed.start()
}

async function judge(token) {
  const { protectedHeader, payload } = await verify(token)
  feed?.check(protectedHeader, payload)
  return payload.sub
}

for await (const token of createInterface({ input: process.stdin })) {
  console.log(await judge(token).then((subject) => `accepted ${subject}`, (error) => `refused ${error.message}`))
}
feed?.stop()
