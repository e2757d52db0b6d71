// firebase-admin for Node, pointed at the simulator: reads what to do as JSON, tells what came.
// In: {port, account, messages, pieces?}; the CA comes by NODE_EXTRA_CA_CERTS.
"use strict";
const tls = require("node:tls");

const told = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

// Its hosts cannot be configured: the dialler takes every name to this machine. The name
// stays what the certificate is checked against.
const connect = tls.connect;
tls.connect = (...given) => {
  const options = given.find((one) => typeof one === "object" && one !== null) ?? {};
  const servername = options.servername || options.host;
  return connect({ ...options, host: "127.0.0.1", port: told.port, servername });
};

const { cert, deleteApp, initializeApp } = require("firebase-admin/app");
const { getMessaging } = require("firebase-admin/messaging");

async function main() {
  const app = initializeApp({ credential: cert(told.account), projectId: told.account.project_id });
  const { responses } = await getMessaging(app).sendEach(told.messages);
  await deleteApp(app);
  const seen = responses.map((one) =>
    one.success ? { name: one.messageId } : { code: one.error.code, message: one.error.message },
  );
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
