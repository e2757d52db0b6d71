// web-push, pointed at the simulator: reads what to do as JSON, tells what came.
// In: {port, publicKey, privateKey, subscriptions, payload}; the CA comes by NODE_EXTRA_CA_CERTS.
"use strict";
const https = require("node:https");
const tls = require("node:tls");
const webpush = require("web-push");

const told = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

// Push services are found at this machine; the name is still what the certificate is checked for.
class Near extends https.Agent {
  createConnection(options) {
    const servername = options.servername || options.host;
    return tls.connect({ ...options, host: "127.0.0.1", port: told.port, servername });
  }
}

async function main() {
  const agent = new Near();
  const vapidDetails = {
    subject: "mailto:push@shop.example",
    publicKey: told.publicKey,
    privateKey: told.privateKey,
  };
  const options = { agent, vapidDetails, TTL: 600, urgency: "low", topic: "sale" };
  const seen = [];
  for (const subscription of told.subscriptions) {
    try {
      const { statusCode } = await webpush.sendNotification(subscription, told.payload, options);
      seen.push({ status: statusCode });
    } catch (error) {
      seen.push({ status: error.statusCode, body: error.body, message: error.message });
    }
  }
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
