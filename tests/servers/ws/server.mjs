// A WebSocket server that nobody here wrote: ws, on the port that it is given.
// Says who knocked, sends every message back as it came, and closes with 4001 when it is asked to.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), perMessageDeflate: true });
server.on('connection', (socket, request) => {
  socket.send(`welcome, ${request.headers.authorization ?? 'stranger'}`);
  socket.on('message', (data, binary) => {
    if (!binary && data.toString() === 'close') socket.close(4001, 'as asked');
    else socket.send(data, { binary });
  });
});
process.on('SIGTERM', () => {
  for (const socket of server.clients) socket.terminate();
  server.close();
});
