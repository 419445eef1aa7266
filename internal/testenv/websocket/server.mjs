// A WebSocket server of npm's ws: it echoes at /echo and speaks only chat.v1, ends with 1011 at /error, cuts off at /cut,
// never answers at /silent, and refuses the handshake elsewhere.
import { createRequire } from "node:module";
import { createServer } from "node:http";

const { WebSocketServer } = createRequire(process.env.WS_MODULES + "/node_modules/")("ws");
const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => (offered.has("chat.v1") ? "chat.v1" : false) });
const behave = {
  "/echo": (ws) => ws.on("message", (data, binary) => ws.send(data, { binary })),
  "/error": (ws) => ws.close(1011),
  "/cut": (ws) => ws.terminate(),
  "/silent": () => {},
};
const server = createServer((_, answer) => answer.end("a page\n"));
server.on("upgrade", (request, socket, head) => {
  const act = behave[new URL(request.url, "http://a").pathname];
  if (!act) return socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  sockets.handleUpgrade(request, socket, head, act);
});
server.listen(Number(process.env.WS_PORT), "127.0.0.1");
