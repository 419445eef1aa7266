// Verifiers of JWTs from npm for tests, on loopback, with an issuer of their tokens. Each is a protected route of its own:
// the sound ones as their documentation has them, the others as people have got them wrong.
//
// Environment: VERIFIERS_MODULES, the folder with node_modules; VERIFIERS_PORT; VERIFIERS_SECRET, of the client.
import { createPublicKey, generateKeyPair, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const { VERIFIERS_MODULES, VERIFIERS_PORT, VERIFIERS_SECRET } = process.env;
const require = createRequire(join(VERIFIERS_MODULES, 'here.js'));
const load = (name) => import(pathToFileURL(require.resolve(name)));

// How often a verifier fetches the key set is limited. A minute of these limits takes a second, so that runs that follow
// each other at once are as far apart as those of an interval. The limits are the defaults: jwks-rsa's of 10 a minute,
// and jose's of one in 30 seconds. A lower one keeps its minute.
const limits = require('limiter');
const { RateLimiter } = limits;
limits.RateLimiter = function (tokens, interval) { return new RateLimiter(tokens, tokens < 10 ? interval : 1000, true); };
const cooldownDuration = 500;

const express = require('express');
const jwksRsa = require('jwks-rsa');
const jsonwebtoken8 = require('jsonwebtoken8');
const jwtSimple = require('jwt-simple');
const { auth } = require('express-oauth2-jwt-bearer');
const { expressjwt } = require('express-jwt');
const { EmbeddedJWK, SignJWT, createRemoteJWKSet, decodeProtectedHeader, jwtVerify } = await load('jose');

const issuer = `http://127.0.0.1:${VERIFIERS_PORT}`;
const audience = 'https://api.verifiers.test';
const jwksUri = `${issuer}/jwks`;
const expected = { issuer, audience };

// The issuer. /publish adds a key to its set, with which it signs after /rotate; those before stay, since their
// tokens live.
const generate = promisify(generateKeyPair);
const newKey = async () => ({ kid: randomUUID(), privateKey: (await generate('rsa', { modulusLength: 2048 })).privateKey });
let keys = [await newKey(), await newKey()];
let signer = keys[0];
const publicKey = ({ privateKey }) => createPublicKey(privateKey);
const pem = (key) => publicKey(key).export({ type: 'spki', format: 'pem' });
const published = (kid) => keys.find((key) => key.kid === kid);

const app = express();
app.get('/jwks', (req, res) => {
  const all = keys.map((key) => ({ ...publicKey(key).export({ format: 'jwk' }), kid: key.kid, use: 'sig', alg: 'RS256' }));
  res.json({ keys: all });
});
app.post('/publish', async (req, res) => {
  keys = [await newKey(), ...keys];
  res.sendStatus(204);
});
app.post('/rotate', (req, res) => {
  [signer] = keys;
  res.sendStatus(204);
});
app.post('/token', async (req, res) => {
  if (req.get('authorization') !== `Basic ${btoa(`prober:${VERIFIERS_SECRET}`)}`) {
    return res.status(401).json({ error: 'invalid_client' });
  }
  const { kid, privateKey } = signer;
  const token = await new SignJWT({}).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid })
    .setIssuer(issuer).setAudience(audience).setSubject('prober').setJti(randomUUID())
    .setIssuedAt().setExpirationTime('1h').sign(privateKey);
  res.json({ access_token: token, token_type: 'Bearer', expires_in: 3600 });
});

// by makes a route of a function that throws unless it accepts the token.
const by = (verify) => async (req, res, next) => {
  const [scheme, token] = (req.get('authorization') ?? '').split(' ');
  try {
    if (scheme !== 'Bearer') throw new Error('no token');
    await verify(token);
    next();
  } catch {
    res.status(401).json({ error: 'invalid_token' });
  }
};

const remote = createRemoteJWKSet(new URL(jwksUri), { cooldownDuration });
const withJwksRsa = (limit) => expressjwt({
  secret: jwksRsa.expressJwtSecret({ jwksUri, cache: true, rateLimit: true, ...limit }), audience, issuer, algorithms: ['RS256'],
});
const routes = {
  'express-oauth2-jwt-bearer': auth({ jwksUri, issuer, audience, tokenSigningAlg: 'RS256', cooldownDuration }),
  'express-jwt': withJwksRsa({}),
  'express-jwt-5-a-minute': withJwksRsa({ jwksRequestsPerMinute: 5 }), // as the examples of jwks-rsa have it
  jose: by((token) => jwtVerify(token, remote, { ...expected, algorithms: ['RS256'] })),

  // Takes the algorithm from the token: CVE-2016-10555 and CVE-2022-23541.
  'broken-jwt-simple': by((token) => {
    const claims = jwtSimple.decode(token, pem(published(decodeProtectedHeader(token).kid)));
    if (claims.iss !== issuer || claims.aud !== audience) throw new Error('not for us');
  }),
  'broken-jsonwebtoken': by((token) => {
    const key = published(decodeProtectedHeader(token).kid);
    return jsonwebtoken8.verify(token, pem(key), { ...expected, algorithms: ['RS256', 'HS256'] });
  }),
  // Takes the key from the token if there is one: CVE-2018-0114.
  'broken-embedded': by((token) => {
    const embedded = decodeProtectedHeader(token).jwk;
    return jwtVerify(token, embedded ? EmbeddedJWK : remote, { ...expected, algorithms: ['RS256'] });
  }),
  // Reads the claims and does not verify.
  'broken-decode': by((token) => {
    const claims = jsonwebtoken8.decode(token);
    if (claims.iss !== issuer || claims.aud !== audience || claims.exp * 1000 < Date.now()) throw new Error('not for us');
  }),
};
for (const [name, verifier] of Object.entries(routes)) {
  app.get(`/${name}`, verifier, (req, res) => res.json({ accepted: true }));
}
app.use((err, req, res, next) => res.status(err.status ?? 500).json({ error: err.code ?? 'server_error' }));

const server = app.listen(Number(VERIFIERS_PORT), '127.0.0.1', () => console.log('listening'));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
