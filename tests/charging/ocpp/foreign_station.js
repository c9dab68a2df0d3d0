// A charging station on npm's ocpp-rpc in strict mode: both sides' messages are held against the schemas there.
// node foreign_station.js URL IDENTITY PASSWORD PROTOCOL; prints one JSON document of what it said and heard.
const { RPCClient } = require("ocpp-rpc");

const [url, identity, password, protocol] = process.argv.slice(2);
const old = protocol === "ocpp1.6";
const told = [];
const heard = {};
const violations = [];
const client = new RPCClient({
  endpoint: url,
  identity,
  password,
  protocols: [protocol],
  strictMode: true,
  reconnect: false,
});
client.on("strictValidationFailure", (event) => violations.push(String(event.error)));
client.handle(({ method, params }) => {
  told.push([method, params]);
  return { status: "Accepted" };
});

const now = () => new Date().toISOString();
const meter = (value) => ({ timestamp: now(), sampledValue: [{ value: old ? String(value) : value }] });

async function say(action, payload) {
  heard[action] = await client.call(action, payload);
  return heard[action];
}

async function sayOld() {
  await say("BootNotification", { chargePointVendor: "Foreign", chargePointModel: "RPC" });
  await say("StatusNotification", { connectorId: 1, errorCode: "NoError", status: "Preparing", timestamp: now() });
  await say("Authorize", { idTag: "AABBCC" });
  const start = { connectorId: 1, idTag: "AABBCC", meterStart: 0, timestamp: now() };
  const { transactionId } = await say("StartTransaction", start);
  await say("MeterValues", { connectorId: 1, transactionId, meterValue: [meter(500)] });
  await pause();
  await say("StopTransaction", { transactionId, meterStop: 1500, timestamp: now() });
}

async function sayNew() {
  const event = (eventType, seqNo, value) => ({
    eventType,
    seqNo,
    timestamp: now(),
    triggerReason: "CablePluggedIn",
    transactionInfo: { transactionId: "foreign-1" },
    evse: { id: 1, connectorId: 1 },
    idToken: { idToken: "AABBCC", type: "MacAddress" },
    meterValue: [meter(value)],
  });
  await say("BootNotification", { reason: "PowerUp", chargingStation: { vendorName: "Foreign", model: "RPC" } });
  const status = { evseId: 1, connectorId: 1, connectorStatus: "Occupied", timestamp: now() };
  await say("StatusNotification", status);
  await say("Authorize", { idToken: { idToken: "AABBCC", type: "MacAddress" } });
  await say("TransactionEvent", event("Started", 0, 0));
  await say("TransactionEvent", event("Updated", 1, 500));
  await pause();
  await say("TransactionEvent", event("Ended", 2, 1500));
}

// Until the profile for the transaction has come.
async function pause() {
  for (let tenths = 0; tenths < 80 && told.length < 2; tenths += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function main() {
  await client.connect();
  await (old ? sayOld() : sayNew());
  await say("Heartbeat", {});
  await client.close();
  console.log(JSON.stringify({ protocol: client.protocol, told, heard, violations }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
