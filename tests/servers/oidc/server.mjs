// An OAuth 2.0 token endpoint that nobody here wrote: oidc-provider, with client_credentials and JWT access tokens.
// Takes its settings as one JSON argument; prints one JSON line per answered token request.
import { Provider } from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
const client = (client_id, token_endpoint_auth_method, credentials = { client_secret: settings.client_secret }) => ({
  client_id,
  ...credentials,
  token_endpoint_auth_method,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

const provider = new Provider(settings.issuer, {
  clients: [
    client(settings.basic_client_id, 'client_secret_basic'),
    client(settings.post_client_id, 'client_secret_post'),
    client(settings.jwt_client_id, 'private_key_jwt', { jwks: { keys: [settings.jwt_client_key] } }),
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => settings.audience,
      getResourceServerInfo: () => ({
        scope: 'read',
        audience: settings.audience,
        accessTokenTTL: settings.token_life_s,
        accessTokenFormat: 'jwt',
      }),
    },
  },
});

provider.use(async (ctx, next) => {
  await next();
  if (ctx.path === '/token') console.log(JSON.stringify({ at: Date.now() / 1000, status: ctx.status }));
});

const server = provider.listen(settings.port, '127.0.0.1');
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
