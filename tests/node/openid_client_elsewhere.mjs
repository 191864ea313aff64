// npm openid-client where the person is elsewhere: devices, CIBA, registration; one JSON object a line, as openid_client_peer.mjs.
import { createInterface } from 'node:readline'
import * as client from 'openid-client'

const options = { execute: [client.allowInsecureRequests] } // the issuer is on this machine, without TLS

// The pauses between two polls are over at once; a person has decided before the first.
const later = globalThis.setTimeout
globalThis.setTimeout = (deed, _, ...given) => later(deed, 0, ...given)

let config, waiting

const deeds = {
  async discover({ issuer, client_id, client_secret }) {
    const authentication = client_secret ? client.ClientSecretBasic(client_secret) : client.None()
    config = await client.discovery(new URL(issuer), client_id, {}, authentication, options)
    return Object.keys(config.serverMetadata())
  },
  async register({ issuer, token, metadata }) {
    config = await client.dynamicClientRegistration(new URL(issuer), metadata, undefined, {
      ...options,
      initialAccessToken: token,
    })
    return config.clientMetadata()
  },
  async device({ scope }) {
    waiting = await client.initiateDeviceAuthorization(config, { scope })
    return waiting
  },
  async device_tokens() {
    const tokens = await client.pollDeviceAuthorizationGrant(config, waiting)
    return { claims: tokens.claims(), scope: tokens.scope }
  },
  async backchannel({ scope, login_hint }) {
    waiting = await client.initiateBackchannelAuthentication(config, { scope, login_hint })
    return waiting
  },
  async backchannel_tokens() {
    const tokens = await client.pollBackchannelAuthenticationGrant(config, waiting)
    return { claims: tokens.claims(), scope: tokens.scope }
  },
  async refused() {
    const refusal = await client.pollBackchannelAuthenticationGrant(config, waiting).catch((error) => error.error)
    return refusal
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const asked = JSON.parse(line)
    answer = { ok: await deeds[asked.do](asked) }
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}${error.cause ? ` (${JSON.stringify(error.cause)})` : ''}` }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
