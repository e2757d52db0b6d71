// A server that nobody here wrote: Node's own HTTP/2, over TLS.
// Arguments: a PEM file with key and certificate, settings as JSON, GOAWAY after N requests (0: never).
"use strict";
const fs = require("node:fs");
const http2 = require("node:http2");

const pem = fs.readFileSync(process.argv[2]);
const settings = JSON.parse(process.argv[3]);
const patience = Number(process.argv[4]);

const server = http2.createSecureServer({ key: pem, cert: pem, settings });
server.on("session", (session) => {
  let seen = 0;
  let last = 0;
  session.on("stream", (stream, headers) => {
    last = stream.id;
    stream.on("error", () => {}); // refused after GOAWAY: the client's business
    const id = headers["apns-id"];
    const parts = [];
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => {
      seen += 1;
      const body = Buffer.concat(parts);
      const told = { path: headers[":path"], id, key: headers.authorization, size: body.length };
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end(JSON.stringify(told));
      if (seen === patience) session.goaway(http2.constants.NGHTTP2_NO_ERROR, last);
    });
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
