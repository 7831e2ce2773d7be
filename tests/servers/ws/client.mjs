// A WebSocket client that nobody here wrote: ws, or with `--builtin` Node's own. Prints what it heard, as JSON.
import { createHash } from 'node:crypto';
import Ws from 'ws';

const [url, kind] = process.argv.slice(2);
const heard = [];
const told = (text) => heard.push(text);
const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const big = Buffer.alloc(3 * 1024 * 1024, '0123456789abcdef-');
const builtin = kind === '--builtin';
const socket = new (builtin ? WebSocket : Ws)(url, ['chat']);
socket.binaryType = 'arraybuffer';

// What is said next, once the answer to what was said before has come.
const script = [
  () => socket.send('hallo \u00fc'),
  () => socket.send(big),
  () => socket.send(''),
  () => {
    if (builtin) return socket.send('in two');
    socket.send('in ', { fin: false });
    socket.send('two', { fin: true });
  },
  () => socket.send('close'),
];
socket.onmessage = ({ data }) => {
  told(typeof data === 'string' ? data : sha256(Buffer.from(data)));
  if (heard.length === 2 && !builtin) {
    socket.once('pong', (payload) => {
      told(`pong ${payload}`);
      script.shift()();
    });
    socket.ping('here');
  } else {
    script.shift()();
  }
};
socket.onopen = () => told(`open ${socket.protocol}`);
socket.onerror = ({ message }) => told(`error ${message}`);
socket.onclose = ({ code, reason, wasClean }) => {
  told(`closed ${code} ${reason}${wasClean ? '' : ', not cleanly'}`);
  console.log(JSON.stringify(heard));
};
