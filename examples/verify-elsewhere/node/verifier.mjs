// RFC 9068 section 4: what verifies Carnet's access tokens with npm jose and nothing but the issuer's URL.
import { createRemoteJWKSet, jwtVerify } from 'jose'

// What the issuer signs with (`signing_algorithm`); two while that changes. Never read from the token, never a symmetric one.
export const ALGORITHMS = ['ES256']

export async function discover(issuer) {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`, { redirect: 'error' })
  if (!answer.ok) throw new Error(`discovery answered ${answer.status}`)
  const metadata = await answer.json()
  if (metadata.issuer !== issuer) throw new Error(`the metadata is of ${metadata.issuer}, not of ${issuer}`)
  return metadata
}

// The issuer's keys: fetched once, and again for a kid that is not there, at most each 30 s.
export const keysOf = (metadata) => createRemoteJWKSet(new URL(metadata.jwks_uri))

export function verifier(issuer, audience, keys) {
  return async (token) => {
    const verified = await jwtVerify(token, keys, {
      issuer,
      audience,
      typ: 'at+jwt', // an ID token or a logout token is no access token
      algorithms: ALGORITHMS,
      requiredClaims: ['exp', 'iat', 'sub', 'client_id', 'jti'],
    })
    // RFC 9449 section 7.1, RFC 8705 section 3: whoever does not ask for the proof must not take a bound token.
    if (verified.payload.cnf !== undefined) throw new Error('the token is bound to a key')
    return verified
  }
}
