// Signs bodies by the libraries that senders of webhooks use, and by Node's own Ed25519. It prints a list of deliveries.
import { generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = join(process.env.HOOK_MODULES, "node_modules");
const standard = createRequire(join(modules, "x.js"))("standardwebhooks");
const svix = await import(pathToFileURL(join(modules, "svix", "dist", "index.mjs")).href);
const secret = process.env.HOOK_SECRET;
const bodies = ['{"event_id":"7"}', "{}", '{"text":"Grüße, 🐚"}', JSON.stringify({ text: "x".repeat(100_000) })];
const now = new Date();
const stamp = String(Math.floor(now / 1000));
const out = [];

for (const body of bodies) {
  for (const [by, family, Webhook] of [["standardwebhooks", "webhook-", standard.Webhook], ["svix", "svix-", svix.Webhook]]) {
    const id = "msg_" + randomUUID();
    const signature = new Webhook(secret).sign(id, now, body);
    out.push({ by, body, headers: { [family + "id"]: id, [family + "timestamp"]: stamp, [family + "signature"]: "v1,bm9uZQ== " + signature } });
  }
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const id = "msg_" + randomUUID();
  const signature = sign(null, Buffer.from(`${id}.${stamp}.${body}`), privateKey).toString("base64");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("base64");
  out.push({ by: "node", key: "whpk_" + raw, body, headers: { "webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": "v1a," + signature } });
}
console.log(JSON.stringify(out));
