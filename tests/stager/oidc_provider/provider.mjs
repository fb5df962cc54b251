// A certified OpenID provider on 127.0.0.1: node provider.mjs PORT
// People log in on its development pages, with any name and password.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'test' };

const client = {
  application_type: 'native',
  grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
  redirect_uris: [],
  response_types: [],
};
const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: ['only for tests'] },
  clients: [
    { ...client, client_id: 'daq-people', token_endpoint_auth_method: 'none' },
    // oidc-agent always names itself with a secret.
    { ...client, client_id: 'daq-agent', client_secret: 'a-secret-of-the-agent' },
  ],
  features: {
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    // Access tokens that STS can read: JWTs for one audience.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:cygno:daq',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid',
        audience: 'daq-staging',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
});

createServer(provider.callback()).listen(port, '127.0.0.1', () => console.log(issuer));
