// An identity provider, certified for OpenID Connect, and a small API that takes its tokens: `node oidc.mjs`.
//
// It says its address on standard output, and ends with its standard input. Whoever comes is logged in as the farmer.
import http from 'node:http';
import Provider from 'oidc-provider';

const server = http.createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const client = (id, more) => ({
  client_id: id,
  client_secret: 'a secret: 50% of it/longer+than most',
  response_types: [],
  redirect_uris: [],
  ...more,
});
const login = {
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: ['http://127.0.0.1:9/callback'],
};
const provider = new Provider(issuer, {
  clients: [
    client('machine', { grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_basic' }),
    client('poster', { grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_post' }),
    client('web', { ...login, token_endpoint_auth_method: 'client_secret_basic' }),
    { client_id: 'desktop', ...login, token_endpoint_auth_method: 'none' },
  ],
  features: {
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: false },
  },
  scopes: ['openid', 'offline_access', 'farms'],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  ttl: { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 86400 },
  findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  cookies: { keys: ['test'] },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
});
const counts = { tokens: 0, unauthorized: 0 };
const oidc = provider.callback();

// The farmer is logged in, and consents to all.
async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'farmer' } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } });
}

async function tokenOf(request) {
  const [scheme, value] = (request.headers.authorization ?? '').split(' ');
  if (scheme !== 'Bearer') return undefined;
  return (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value));
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

server.on('request', async (request, response) => {
  try {
    if (request.url.startsWith('/interaction/')) return await interact(request, response);
    if (request.url === '/counts') return answer(response, 200, counts);
    if (request.url.startsWith('/api/')) {
      const token = await tokenOf(request);
      if (token?.isValid !== true) {
        counts.unauthorized += 1;
        return answer(response, 401, { error: 'invalid_token' });
      }
      // The token is void from now on, and its client does not know.
      if (request.url === '/api/end') await token.destroy();
      return answer(response, 200, { client: token.clientId, account: token.accountId ?? null });
    }
    if (request.url === '/token') counts.tokens += 1;
    return oidc(request, response);
  } catch (error) {
    return answer(response, 500, { error: String(error) });
  }
});
process.stdin.resume().on('end', () => process.exit(0));
console.log(issuer);
