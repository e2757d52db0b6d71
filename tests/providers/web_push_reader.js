// A push service and a browser of Node's own: checks who sends, and decrypts. Reads JSON.
// In: [{authorization, body, key, auth}], all binary in base64url. Out: [{claims, text}].
"use strict";
const crypto = require("node:crypto");
const ece = require(require.resolve("http_ece", { paths: [require.resolve("web-push")] }));

const bytes = (text) => Buffer.from(text, "base64url");
const json = (text) => JSON.parse(bytes(text).toString());

function claims(authorization) {
  const [, token, key] = /^vapid t=([^,]+),k=(.+)$/.exec(authorization);
  const [head, body, signature] = token.split(".");
  const point = bytes(key);
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((one) => one.toString("base64url"));
  const made = crypto.createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
  const signed = Buffer.from(`${head}.${body}`);
  const proof = { key: made, dsaEncoding: "ieee-p1363" };
  if (json(head).alg !== "ES256" || !crypto.verify("sha256", signed, proof, bytes(signature)))
    throw new Error("the signature does not fit");
  return json(body);
}

function text({ body, key, auth }) {
  const browser = crypto.createECDH("prime256v1");
  browser.setPrivateKey(bytes(key));
  const options = { version: "aes128gcm", privateKey: browser, authSecret: auth };
  return ece.decrypt(bytes(body), options).toString();
}

const told = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const read = told.map((one) => ({ claims: claims(one.authorization), text: text(one) }));
process.stdout.write(JSON.stringify(read));
