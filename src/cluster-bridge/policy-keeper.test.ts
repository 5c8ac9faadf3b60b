import type { ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { useBridgeLab } from "./testing/bridge-lab.ts";

const lab = useBridgeLab();

it("asks once for all who wait, and answers each with what the registry had after he asked", async () => {
  const { policy } = await lab().start();
  const held: ServerResponse[] = [];
  const { registry } = lab();
  registry.attack = (_path, response) => held.length === 0 && held.push(response) > 0;
  const first = policy.fetch();
  await expect.poll(() => held.length).toBe(1);
  const old = registry.policy;
  const waiting = Array.from({ length: 50 }, () => policy.fetch());
  lab().setPolicy((document) => {
    document.version = 8;
  });
  held[0]?.end(old);

  expect((await first).document.version).toBe(7);
  expect([...new Set((await Promise.all(waiting)).map(({ document }) => document.version))]).toEqual([8]);
  expect(registry.asked.length).toBe(2);
  await policy.fetch();
  expect(registry.asked.length).toBe(3);
});

it("asks again for those who come after one that failed", async () => {
  const { policy } = await lab().start();
  lab().registry.attack = (_path, response) => response.writeHead(500).end() !== undefined;
  const all = await Promise.allSettled([policy.fetch(), policy.fetch()]);
  expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  lab().registry.attack = () => false;

  expect((await policy.fetch()).document.version).toBe(7);
});

it("asks nobody again for what was asked for since the time that counts, and never counts what was asked before", async () => {
  const { policy } = await lab().start();
  const { registry } = lab();
  const cameMs = performance.now();
  expect((await policy.fetch(cameMs)).document.version).toBe(7);
  lab().setPolicy((document) => {
    document.version = 8;
  });

  expect((await policy.fetch(cameMs)).document.version).toBe(7);
  expect(registry.asked.length).toBe(1);
  const laterMs = performance.now();
  registry.attack = (_path, response) => response.writeHead(500).end() !== undefined;
  await expect(policy.fetch(laterMs)).rejects.toMatchObject({ code: "REGISTRY" });
  registry.attack = () => false;
  expect((await policy.fetch(laterMs)).document.version).toBe(8);
  expect(registry.asked.length).toBe(3);
});

it("does not take an answer for newer than its question", async () => {
  const { policy } = await lab().start();
  const held: ServerResponse[] = [];
  lab().registry.attack = (_path, response) => held.length === 0 && held.push(response) > 0;
  const first = policy.fetch();
  await expect.poll(() => held.length).toBe(1);
  const cameMs = performance.now();
  const old = lab().registry.policy;
  lab().setPolicy((document) => {
    document.version = 8;
  });
  held[0]?.end(old);

  expect((await first).document.version).toBe(7);
  expect((await policy.fetch(cameMs)).document.version).toBe(8);
});
