// npm openid-client as a relying party: reads one JSON object a line and answers with one ({"ok": …} or {"error": …}).
// {"do": "begin", …} answers the address for the browser; {"do": "finish", "landed": …} goes on from where it came back.
import { createInterface } from 'node:readline'
import * as client from 'openid-client'

let config, checks, redirectUri, keys, dpop

const methods = {
  client_secret_basic: client.ClientSecretBasic,
  client_secret_post: client.ClientSecretPost,
  client_secret_jwt: client.ClientSecretJwt,
  none: client.None,
}

// What an authorization request says, and what its answer is held against.
async function asked(redirect_uri, scope) {
  checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
  }
  return {
    redirect_uri,
    scope,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
  }
}

const deeds = {
  async begin({ issuer, client_id, client_secret, method, redirect_uri, scope }) {
    const authentication = methods[method](client_secret)
    const options = { execute: [client.allowInsecureRequests] } // the issuer is on this machine, without TLS
    config = await client.discovery(new URL(issuer), client_id, {}, authentication, options)
    redirectUri = redirect_uri
    return client.buildAuthorizationUrl(config, await asked(redirect_uri, scope)).href
  },
  async finish({ landed }) {
    const tokens = await client.authorizationCodeGrant(config, new URL(landed), { ...checks, idTokenExpected: true })
    const { sub } = tokens.claims()
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, sub)
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
    const again = await client.fetchUserInfo(config, refreshed.access_token, sub)
    await client.tokenRevocation(config, refreshed.refresh_token)
    const afterwards = await client.refreshTokenGrant(config, refreshed.refresh_token).catch((error) => error.error)
    return {
      claims: tokens.claims(),
      userinfo,
      again,
      rotated: refreshed.refresh_token !== tokens.refresh_token,
      expires_in: refreshed.expires_in,
      afterwards,
      end_session: client.buildEndSessionUrl(config, { post_logout_redirect_uri: redirectUri }).href,
    }
  },
  // FAPI 2.0 Message Signing: a key of its own, a signed and pushed request, a bound code, a signed answer, bound tokens.
  async keys() {
    keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', keys.publicKey)
    return { keys: [{ kty, crv, x, y, kid: 'peer', use: 'sig', alg: 'ES256' }] }
  },
  async begin_signed({ issuer, client_id, redirect_uri, scope }) {
    const key = { key: keys.privateKey, kid: 'peer' }
    const options = { execute: [client.allowInsecureRequests, client.useJwtResponseMode] }
    config = await client.discovery(new URL(issuer), client_id, {}, client.PrivateKeyJwt(key), options)
    dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
    const signed = await client.buildAuthorizationUrlWithJAR(config, await asked(redirect_uri, scope), key)
    const url = await client.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP: dpop })
    return url.href
  },
  async finish_signed({ landed }) {
    const options = { DPoP: dpop }
    const tokens = await client.authorizationCodeGrant(
      config,
      new URL(landed),
      { ...checks, idTokenExpected: true },
      undefined,
      options,
    )
    const { sub } = tokens.claims()
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, sub, options)
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, options)
    const bare = await client
      .refreshTokenGrant(config, refreshed.refresh_token)
      .then(() => 'let in', (error) => error.error)
    return { token_type: refreshed.token_type, userinfo, parameters: [...new URL(landed).searchParams.keys()], bare }
  },
  // Answers that are signed with RS256 and encrypted, of every kind; the refresh comes last, so that all is read twice.
  async encryption_keys() {
    keys = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits'])
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', keys.publicKey)
    return { keys: [{ kty, crv, x, y, kid: 'opens', use: 'enc', alg: 'ECDH-ES+A256KW' }] }
  },
  async begin_encrypted({ issuer, client_id, client_secret, redirect_uri, scope, metadata }) {
    const options = { execute: [client.allowInsecureRequests, client.useJwtResponseMode, client.enableNonRepudiationChecks] }
    config = await client.discovery(new URL(issuer), client_id, metadata, client.ClientSecretBasic(client_secret), options)
    client.enableDecryptingResponses(config, ['A256GCM'], { key: keys.privateKey, kid: 'opens', alg: 'ECDH-ES+A256KW' })
    return client.buildAuthorizationUrl(config, await asked(redirect_uri, scope)).href
  },
  async finish_encrypted({ landed }) {
    const tokens = await client.authorizationCodeGrant(config, new URL(landed), { ...checks, idTokenExpected: true })
    const opened = client.getDecryptedResponses(tokens)
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
    const said = await client.tokenIntrospection(config, tokens.access_token)
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
    const algorithm = (jws) => JSON.parse(Buffer.from(jws.split('.')[0], 'base64url')).alg
    return {
      algorithms: [opened.authorization_response, opened.id_token.token_endpoint, client.getDecryptedResponses(userinfo)].map(
        algorithm,
      ),
      subjects: [tokens.claims().sub, userinfo.sub, said.sub, refreshed.claims().sub],
      email: userinfo.email,
    }
  },
  async own_token({ resource }) {
    const tokens = await client.clientCredentialsGrant(config, resource ? { resource } : {})
    const said = await client.tokenIntrospection(config, tokens.access_token)
    return { active: said.active, client_id: said.client_id, aud: said.aud }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const deed = JSON.parse(line)
    answer = { ok: await deeds[deed.do](deed) }
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}${error.cause ? ` (${JSON.stringify(error.cause)})` : ''}` }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
