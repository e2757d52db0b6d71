// firebase-admin for Node against the sink, sendEach with 500 messages a call, as its manual says.
// Arguments: port, folder with google.json, number of messages. The CA comes by NODE_EXTRA_CA_CERTS.
"use strict";
const fs = require("node:fs");
const http2 = require("node:http2");
const tls = require("node:tls");

const [port, folder, messages] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];

// Its hosts cannot be configured: every name is dialled at this machine.
const connect = tls.connect;
tls.connect = (...given) => {
  const options = given.find((one) => typeof one === "object" && one !== null) ?? {};
  return connect({ ...options, host: "127.0.0.1", port, servername: options.servername || options.host });
};
// It writes ":scheme: https:" with the colon, which nginx refuses: corrected in its favour.
const open = http2.connect;
http2.connect = (...given) => {
  const session = open(...given);
  const request = session.request.bind(session);
  session.request = (headers, options) => request({ ...headers, ":scheme": "https" }, options);
  return session;
};

const { cert, initializeApp } = require("firebase-admin/app");
const { getMessaging } = require("firebase-admin/messaging");

async function main() {
  const account = JSON.parse(fs.readFileSync(`${folder}/google.json`, "utf8"));
  const text = "Twenty percent off everything until midnight. Your basket is still here. ".repeat(2);
  const messaging = getMessaging(initializeApp({ credential: cert(account), projectId: account.project_id }));
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  for (let start = 0; start < messages; start += 500) {
    const page = [];
    for (let n = start; n < Math.min(start + 500, messages); n += 1) {
      const number = String(n);
      const token = `${number.padStart(22, "0")}:APA91b${number.padStart(134, "0")}`;
      page.push({ token, notification: { title: "Sale", body: text } });
    }
    const answer = await messaging.sendEach(page);
    if (answer.failureCount) throw new Error(JSON.stringify(answer.responses.find((one) => !one.success)));
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
