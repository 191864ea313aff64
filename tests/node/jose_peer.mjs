// npm jose as a peer: reads one JSON object a line ({"do": name, …}) and answers with one ({"ok": …} or {"error": …}).
import { createInterface } from 'node:readline'
import * as jose from 'jose'

const { base64url, importJWK } = jose
const limits = { maxPBES2Count: 2_000_000 }

const deeds = {
  async sign({ jwk, alg, payload }) {
    const signed = new jose.CompactSign(base64url.decode(payload)).setProtectedHeader({ alg, kid: jwk.kid })
    return signed.sign(await importJWK(jwk, alg))
  },
  async verify({ jwk, alg, token }) {
    const found = await jose.compactVerify(token, await importJWK(jwk, alg), { algorithms: [alg] })
    return base64url.encode(found.payload)
  },
  async sign_unencoded({ jwk, alg, payload }) {
    const signed = new jose.FlattenedSign(base64url.decode(payload))
    signed.setProtectedHeader({ alg, kid: jwk.kid, b64: false, crit: ['b64'] })
    return signed.sign(await importJWK(jwk, alg))
  },
  async verify_unencoded({ jwk, alg, token, payload }) {
    const [protectedHeader, , signature] = token.split('.')
    const jws = { protected: protectedHeader, signature, payload: base64url.decode(payload) }
    const found = await jose.flattenedVerify(jws, await importJWK(jwk, alg), { algorithms: [alg] })
    return base64url.encode(found.payload)
  },
  async sign_general({ signers, payload }) {
    const signed = new jose.GeneralSign(base64url.decode(payload))
    for (const { jwk, alg } of signers) {
      signed.addSignature(await importJWK(jwk, alg)).setProtectedHeader({ alg, kid: jwk.kid })
    }
    return signed.sign()
  },
  async verify_general({ jwk, alg, document }) {
    const found = await jose.generalVerify(document, await importJWK(jwk, alg), { algorithms: [alg] })
    return base64url.encode(found.payload)
  },
  async encrypt({ jwk, alg, enc, payload }) {
    const encrypted = new jose.CompactEncrypt(base64url.decode(payload))
    encrypted.setProtectedHeader({ alg, enc, ...(jwk.kid && { kid: jwk.kid }) })
    return encrypted.encrypt(await importJWK(jwk, alg))
  },
  async decrypt({ jwk, alg, enc, token }) {
    const allowed = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: [enc], ...limits }
    const found = await jose.compactDecrypt(token, await importJWK(jwk, alg), allowed)
    return base64url.encode(found.plaintext)
  },
  async encrypt_flattened({ jwk, alg, enc, payload, aad }) {
    const encrypted = new jose.FlattenedEncrypt(base64url.decode(payload))
    encrypted.setProtectedHeader({ alg, enc }).setAdditionalAuthenticatedData(base64url.decode(aad))
    encrypted.setUnprotectedHeader({ kid: jwk.kid })
    return encrypted.encrypt(await importJWK(jwk, alg))
  },
  async decrypt_flattened({ jwk, alg, document }) {
    const found = await jose.flattenedDecrypt(document, await importJWK(jwk, alg))
    return [base64url.encode(found.plaintext), base64url.encode(found.additionalAuthenticatedData)]
  },
  async encrypt_general({ recipients, enc, payload, aad }) {
    const encrypted = new jose.GeneralEncrypt(base64url.decode(payload))
    encrypted.setProtectedHeader({ enc }).setAdditionalAuthenticatedData(base64url.decode(aad))
    for (const { jwk, alg } of recipients) {
      encrypted.addRecipient(await importJWK(jwk, alg)).setUnprotectedHeader({ alg, kid: jwk.kid })
    }
    return encrypted.encrypt()
  },
  async decrypt_general({ jwk, alg, document }) {
    const found = await jose.generalDecrypt(document, await importJWK(jwk, alg))
    return [base64url.encode(found.plaintext), base64url.encode(found.additionalAuthenticatedData)]
  },
  async thumbprint({ jwk }) {
    return jose.calculateJwkThumbprint(jwk)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const asked = JSON.parse(line)
    answer = { ok: await deeds[asked.do](asked) }
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
