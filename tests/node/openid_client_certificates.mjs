// npm openid-client with a certificate (RFC 8705); one JSON object a line, as openid_client_peer.mjs.
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { createInterface } from 'node:readline'
import * as client from 'openid-client'

let config, tokens

// Node's own fetch takes no client certificate without a further package.
const showing = (tls) => (url, { method, headers, body }) =>
  new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, ...tls }, async (answer) => {
      const parts = []
      for await (const part of answer) parts.push(part)
      const heard = Buffer.concat(parts)
      resolve(new Response(heard.length ? heard : null, { status: answer.statusCode, headers: answer.headers }))
    })
    asked.on('error', reject)
    asked.end(body?.toString())
  })

const deeds = {
  async discover({ issuer, client_id, ca, shown }) {
    const pem = readFileSync(shown)
    config = await client.discovery(new URL(issuer), client_id, { use_mtls_endpoint_aliases: true }, client.TlsClientAuth(), {
      [client.customFetch]: showing({ ca: readFileSync(ca), cert: pem, key: pem }),
    })
    return config.serverMetadata().mtls_endpoint_aliases.token_endpoint
  },
  async credentials({ scope }) {
    tokens = await client.clientCredentialsGrant(config, { scope })
    return tokens.token_type
  },
  async introspect() {
    return client.tokenIntrospection(config, tokens.access_token)
  },
  async revoke() {
    await client.tokenRevocation(config, tokens.access_token)
  },
  async refused({ scope }) {
    return client.clientCredentialsGrant(config, { scope }).catch((error) => error.status)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const asked = JSON.parse(line)
    answer = { ok: (await deeds[asked.do](asked)) ?? null }
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}${error.cause ? ` (${error.cause})` : ''}` }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
