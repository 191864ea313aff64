// RFC 9068 section 4: what verifies Carnet's access tokens with npm jose and nothing but the issuer's URL.
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify } from 'jose'

// What the issuer signs with (`signing_algorithm`); two while that changes. Never read from the token, never a symmetric one.
export const ALGORITHMS = ['ES256']

export async function discover(issuer) {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`, { redirect: 'error' })
  if (!answer.ok) throw new Error(`discovery answered ${answer.status}`)
  const metadata = await answer.json()
  if (metadata.issuer !== issuer) throw new Error(`the metadata is of ${metadata.issuer}, not of ${issuer}`)
  return metadata
}

// The issuer's keys: fetched each five minutes, and for a kid that is not there, at most each 30 s; kept for a day while it is away.
export function keysOf({ jwks_uri: keysAt }) {
  const keys = createRemoteJWKSet(new URL(keysAt), { cacheMaxAge: 300_000, cooldownDuration: 30_000 })
  let kept, since
  return async (header, token) => {
    try {
      const key = await keys(header, token)
      ;[kept, since] = [keys.jwks(), Date.now()]
      return key
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || kept === undefined || Date.now() - since > 86_400_000) throw error
      return createLocalJWKSet(kept)(header, token)
    }
  }
}

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
