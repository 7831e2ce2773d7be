// A token endpoint that nobody here wrote, and that fails on demand: oauth2-mock-server, with faults by its own hooks.
// Takes its settings as one JSON argument. `POST /faults` with a JSON list has each of the next token requests meet one:
// {status, body, retry_after, expires_in}, all optional.
import { createServer } from 'node:http';
import { Events, OAuth2Server } from 'oauth2-mock-server';

const settings = JSON.parse(process.argv[2]);
const mock = new OAuth2Server();
await mock.issuer.keys.generate('RS256');
mock.issuer.url = settings.issuer;
let faults = [];
let met = null;

mock.service.on(Events.BeforeTokenSigning, (token) => {
  if (met?.expires_in) token.payload.exp = token.payload.iat + met.expires_in;
});
mock.service.on(Events.BeforeResponse, (response) => {
  if (met?.status) response.statusCode = met.status;
  if (met?.expires_in) response.body.expires_in = met.expires_in;
  if (met && 'body' in met) response.body = met.body;
});

const server = createServer((request, response) => {
  if (request.url === '/faults') {
    let text = '';
    request.on('data', (piece) => (text += piece));
    request.on('end', () => {
      faults = JSON.parse(text);
      response.writeHead(204).end();
    });
    return;
  }
  if (request.url === '/token') {
    met = faults.shift() ?? null;
    if (met?.retry_after) response.setHeader('Retry-After', met.retry_after);
  }
  mock.service.requestHandler(request, response);
});
server.listen(settings.port, '127.0.0.1');
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
