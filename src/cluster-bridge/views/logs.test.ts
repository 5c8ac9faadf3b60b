import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { serviceOf, taskOf } from "../testing/cluster-entries.ts";
import { SECRET, useClusterLab } from "../testing/cluster-lab.ts";

const lab = useClusterLab(["m1"]);
const manager = () => {
  const [found] = lab().cluster.nodes;
  if (found === undefined) throw new Error("no manager");
  return found;
};

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(stream);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

const withDetails = (text: string, task = "task-web-1-running"): string =>
  `2026-11-22T10:00:00.000000001Z com.docker.swarm.node.id=id-of-m1,com.docker.swarm.task.id=${task} ${text}`;
const plain = (text: string): Buffer => Buffer.from(withDetails(text));
const message = (text: string, { stream = 1, task = "task-web-1-running" } = {}): Buffer =>
  frame(stream, withDetails(text, task));

/** The engine's answer to whoever reads the log. */
function onLogs(answer: (response: ServerResponse) => void): void {
  manager().attack = (_method, path, response) => {
    if (!path.endsWith("/logs")) return false;
    answer(response.writeHead(200, { "content-type": "application/vnd.docker.raw-stream" }));
    return true;
  };
}

function addWeb(container = {}): void {
  lab().cluster.add("services", serviceOf("web", { environment: "prod", container }));
  lab().cluster.add("tasks", taskOf("web", "m1"));
}

const lines = async (query = ""): Promise<unknown[]> => {
  const { text } = await lab().get(`services/web/logs${query}`);
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
};

describe("GET services/NAME/logs", () => {
  it("tells each line with its stream, task, node and time", async () => {
    addWeb();
    onLogs((response) => response.end(Buffer.concat([message("one\n"), message("zwei €\n", { stream: 2 })])));

    const told = await lines();

    const common = { at: "2026-11-22T10:00:00.000000001Z", task: "task-web-1-running", name: "web.1", node: "m1" };
    expect(told).toEqual([
      { ...common, stream: "stdout", text: "one", partial: false },
      { ...common, stream: "stderr", text: "zwei €", partial: false },
    ]);
    const { headers } = await lab().get("services/web/logs");
    expect(headers.get("content-type")).toBe("application/x-ndjson");
    expect(headers.get("goldseal-environment")).toBe("prod");
  });

  it.each([
    ["", "follow=false", "tail=100"],
    ["?tail=5", "follow=false", "tail=5"],
    ["?since=2026-11-22T10:00:00Z", "since=1795341600", "tail=10000"],
    ["?follow=true&tail=0", "follow=true", "tail=0"],
  ])("asks the engine for no more than is asked with %s", async (query, ...expected) => {
    addWeb();
    onLogs((response) => response.end());

    await lines(query);

    const [asked = ""] = manager().asked.filter((line) => line.includes("/logs?"));
    expect(asked.split(/[?&]/)).toEqual(expect.arrayContaining([...expected, "timestamps=true", "details=true"]));
  });

  it("looks again for the name of a task that is new, once", async () => {
    addWeb();
    onLogs((response) => {
      lab().cluster.add("tasks", { ...taskOf("web", "m1", { slot: 2 }), ID: "new" });
      response.end(
        Buffer.concat([message("a\n", { task: "new" }), ...[1, 2].map(() => message("b\n", { task: "gone" }))]),
      );
    });

    expect(await lines()).toMatchObject([{ name: "web.2" }, { name: "web.m1" }, { name: "web.m1" }]);
    const looked = manager().asked.filter((line) =>
      decodeURIComponent(line).includes('/tasks?filters={"service":["id-of-web"]}'),
    );
    expect(looked).toHaveLength(3);
  });

  it("says what the engine could not show, and when it broke off or sent what is no log", async () => {
    addWeb();
    onLogs((response) => response.end(Buffer.concat([message("a\n"), frame(3, "node w1 is not available\n")])));
    expect(await lines()).toMatchObject([{ text: "a" }, { error: "node w1 is not available" }]);

    onLogs((response) => response.end(Buffer.concat([message("a\n"), Buffer.from("a terminal's")])));
    expect(await lines()).toMatchObject([{ text: "a" }, { error: "the engine's log is no stream of messages" }]);

    onLogs((response) => response.write(message("a\n"), () => response.destroy()));
    expect(await lines()).toMatchObject([{ text: "a" }, { error: expect.stringContaining("the engine broke off") }]);
  });

  it("tells the lines of terminals, which the engine sends as they are", async () => {
    addWeb({ TTY: true });
    onLogs((response) => response.end(Buffer.concat([plain("one\r\n"), plain("$ ")])));

    expect(await lines()).toMatchObject([
      { stream: "stdout", task: "task-web-1-running", name: "web.1", node: "m1", text: "one", partial: false },
      { text: "$ ", partial: true },
    ]);
  });

  it("says when the engine has none", async () => {
    addWeb();
    manager().attack = (_method, path, response) => path.endsWith("/logs") && response.writeHead(500).end() && true;
    expect(await lab().get("services/web/logs")).toMatchObject({ status: 502 });
  });

  it("passes on each line as it is written, and lets go of the engine when nobody reads any more", async () => {
    addWeb();
    const closed = Promise.withResolvers<void>();
    const following = Promise.withResolvers<ServerResponse>();
    onLogs((response) => {
      response.on("close", () => closed.resolve());
      following.resolve(response);
    });
    const leave = new AbortController();
    const headers = { "goldseal-user": "alice", "goldseal-relay": SECRET };
    const answer = lab().raw("services/web/logs?follow=true", { headers, signal: leave.signal });
    const engine = await following.promise;
    engine.write(message("first\n"));
    const reader = (await answer).body?.getReader();
    const piece = await reader?.read();

    expect(Buffer.from(piece?.value ?? []).toString()).toContain('"text":"first"');
    leave.abort();
    engine.write(message("nobody hears this\n"));
    await setImmediate();
    engine.write(message("nor this\n"));

    await closed.promise;
  });

  it("holds no more than so many logs open", async () => {
    addWeb();
    const open: ServerResponse[] = [];
    onLogs((response) => void open.push(response.write("") ? response : response));
    const headers = { "goldseal-user": "alice", "goldseal-relay": SECRET };
    const following = Array.from({ length: 64 }, () => lab().raw("services/web/logs?follow=true", { headers }));
    await vi.waitUntil(() => open.length === 64, { timeout: 60_000 });

    expect(await lab().get("services/web/logs")).toMatchObject({ status: 409, body: { code: "too-many" } });

    for (const response of open) response.end();
    await Promise.all(following.map(async (answer) => (await answer).text()));
    onLogs((response) => response.end());
    expect((await lab().get("services/web/logs")).status).toBe(200);
  });
});
