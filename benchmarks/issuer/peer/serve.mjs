// npm oidc-provider with everything in memory, as its documentation sets it up: one client for each grant that is measured.
import { Provider } from 'oidc-provider';
import { generateKeyPairSync } from 'node:crypto';

const [port, families] = process.argv.slice(2).map(Number);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const client = { redirect_uris: [`${issuer}/callback`], response_types: ['code'], token_endpoint_auth_method: 'client_secret_basic' };

const provider = new Provider(issuer, {
  clients: [
    { ...client, client_id: 'service', client_secret: 'a secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    { ...client, client_id: 'app', client_secret: 'a secret', grant_types: ['authorization_code', 'refresh_token'] },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'one' }] },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:orders',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'orders:read', audience: 'orders', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
    },
  },
  scopes: ['openid', 'offline_access', 'orders:read'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  rotateRefreshToken: process.argv[4] === 'rotate',
});

const tokens = [];
for (let number = 0; number < families; number += 1) {
  const grant = new provider.Grant({ accountId: 'alice', clientId: 'app' });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope('urn:orders', 'orders:read');
  const grantId = await grant.save();
  const refresh = new provider.RefreshToken({
    accountId: 'alice', client: await provider.Client.find('app'), grantId, gty: 'authorization_code',
    scope: 'openid offline_access orders:read', resource: 'urn:orders', rotations: 0,
    iiat: Math.floor(Date.now() / 1000), expiresWithSession: false, sessionUid: 'session', authTime: Math.floor(Date.now() / 1000),
  });
  tokens.push(await refresh.save());
}
provider.listen(port, '127.0.0.1', () => console.log(JSON.stringify(tokens)));
