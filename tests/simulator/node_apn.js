// @parse/node-apn, pointed at the simulator by its own options: reads what to do as JSON.
// In: {port, ca, key, keyId, teamId, topic, tokens: [[…], …]}: one list after the other.
"use strict";
const apn = require("@parse/node-apn");

const told = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

async function main() {
  const provider = new apn.Provider({
    token: { key: told.key, keyId: told.keyId, teamId: told.teamId },
    address: "api.push.apple.com", // its name for TLS and :authority
    host: "127.0.0.1", // where that name is found, as Node's tls.connect wants it
    port: told.port,
    ca: told.ca,
  });
  const seen = { sent: [], failed: [] };
  for (const tokens of told.tokens) {
    const note = new apn.Notification();
    note.topic = told.topic;
    note.alert = { title: "Sale", body: "Twenty percent off" };
    note.expiry = Math.floor(Date.now() / 1000) + 3600;
    note.pushType = "alert";
    const { sent, failed } = await provider.send(note, tokens);
    seen.sent.push(...sent.map((one) => one.device));
    for (const one of failed) {
      const { device, status, response, error } = one;
      seen.failed.push({ device, status, ...response, error: error && error.message });
    }
  }
  await provider.shutdown();
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
