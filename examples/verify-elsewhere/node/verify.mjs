// RFC 9068 section 4: verifies Carnet's access tokens with npm jose and nothing but the issuer's URL.
// node verify.mjs ISSUER AUDIENCE < tokens: one token a line; for each it prints `accepted SUBJECT` or `refused REASON`.
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

// What the issuer signs with (`signing_algorithm`); two while that changes. Never read from the token, never a symmetric one.
const ALGORITHMS = ['ES256']

async function discover(issuer) {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`, { redirect: 'error' })
  if (!answer.ok) throw new Error(`discovery answered ${answer.status}`)
  const metadata = await answer.json()
  if (metadata.issuer !== issuer) throw new Error(`the metadata is of ${metadata.issuer}, not of ${issuer}`)
  return metadata
}

async function verifier(issuer, audience) {
  const { jwks_uri: keysAt } = await discover(issuer)
  const keys = createRemoteJWKSet(new URL(keysAt)) // fetched once, and again for a kid that it lacks, at most each 30 s
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      typ: 'at+jwt', // an ID token or a logout token is no access token
      algorithms: ALGORITHMS,
      requiredClaims: ['exp', 'iat', 'sub', 'client_id', 'jti'],
    })
    // RFC 9449 section 7.1, RFC 8705 section 3: whoever does not ask for the proof must not take a bound token.
    if (payload.cnf !== undefined) throw new Error('the token is bound to a key')
    return payload
  }
}

const [issuer, audience] = process.argv.slice(2)
const verify = await verifier(issuer, audience)
for await (const token of createInterface({ input: process.stdin })) {
  const said = await verify(token).then(({ sub }) => `accepted ${sub}`, (error) => `refused ${error.message}`)
  console.log(said)
}
