// A certified OpenID provider (npm oidc-provider) for tests, on loopback. It has a client for each way to send a secret.
// Its key is made anew at each start, so a restart is a rotation. Access tokens are JWTs for whoever asks for the
// resource below, else opaque.
//
// Environment: OIDC_MODULES, the folder with node_modules; OIDC_PORT; OIDC_SECRET, of both clients.
import { generateKeyPairSync } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { OIDC_MODULES, OIDC_PORT, OIDC_SECRET } = process.env;
const main = createRequire(join(OIDC_MODULES, 'here.js')).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(main));

const issuer = `http://127.0.0.1:${OIDC_PORT}`;
const resource = 'https://api.oidc.test';
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const client = (client_id, token_endpoint_auth_method) => ({
  client_id,
  client_secret: OIDC_SECRET,
  token_endpoint_auth_method,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

const provider = new Provider(issuer, {
  clients: [client('basic:client', 'client_secret_basic'), client('post-client', 'client_secret_post')],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
  cookies: { keys: [OIDC_SECRET] },
  ttl: { ClientCredentials: 300 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        audience: resource,
        scope: 'read',
        accessTokenTTL: 300,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

// What takes opaque tokens: it asks the provider's own store, as an API does by introspection.
provider.use(async (ctx, next) => {
  if (ctx.path !== '/api') return next();
  const [, token] = (ctx.get('authorization') || '').split(' ');
  const found = token && await provider.ClientCredentials.find(token);
  ctx.status = found ? 200 : 401;
  ctx.body = found ? { client: found.clientId } : { error: 'invalid_token' };
});

const server = provider.listen(Number(OIDC_PORT), '127.0.0.1', () => console.log('listening'));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
