// The image's health check: whoever listens here says that it lives. `node healthcheck.mjs [URL]`, default: what GOLDSEAL_LISTEN and
// GOLDSEAL_TLS say. The certificate is for the public name, and this asks on the loopback: whose it is does not matter here.
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";

const { GOLDSEAL_LISTEN = "127.0.0.1:5443", GOLDSEAL_TLS = "auto" } = process.env;
const port = GOLDSEAL_LISTEN.slice(GOLDSEAL_LISTEN.lastIndexOf(":") + 1);
const url = process.argv[2] ?? `${GOLDSEAL_TLS === "off" ? "http" : "https"}://127.0.0.1:${port}/readyz`;
const send = url.startsWith("https:") ? httpsRequest : httpRequest;

send(url, { rejectUnauthorized: false, timeout: 4000 }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1))
  .on("timeout", () => process.exit(1))
  .on("error", () => process.exit(1))
  .end();
