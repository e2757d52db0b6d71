// @parse/node-apn against the sink, 500 devices a call. Arguments: port, folder, number of messages.
"use strict";
const fs = require("node:fs");
const apn = require("@parse/node-apn");

const [port, folder, messages] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];

async function main() {
  const provider = new apn.Provider({
    token: { key: fs.readFileSync(`${folder}/apple.pem`), keyId: "ABCDE12345", teamId: "TEAM123456" },
    address: "api.push.apple.com",
    host: "127.0.0.1",
    port,
    ca: fs.readFileSync(`${folder}/ca.pem`),
  });
  const note = new apn.Notification();
  note.topic = "com.example.shop";
  note.alert = {
    title: "Sale",
    body: "Twenty percent off everything until midnight. Your basket is still here. ".repeat(2),
  };
  note.expiry = Math.floor(Date.now() / 1000) + 3600;
  note.pushType = "alert";
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  for (let start = 0; start < messages; start += 500) {
    const tokens = [];
    for (let n = start; n < Math.min(start + 500, messages); n += 1) tokens.push(n.toString(16).padStart(64, "0"));
    const { failed } = await provider.send(note, tokens);
    if (failed.length) throw new Error(JSON.stringify(failed[0]));
  }
  const used = process.cpuUsage(before);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  console.log(JSON.stringify({ seconds, cpu: (used.user + used.system) / 1e6 }));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
