import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type LogFrame, readFrames, readTerminal } from "./log-frames.ts";
import { type LogLine, LogLines } from "./log-lines.ts";

function frame(stream: number, bytes: Uint8Array, { zeros = 0, length = bytes.length } = {}): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(stream);
  header.writeUIntBE(zeros, 1, 3);
  header.writeUInt32BE(length, 4);
  return Buffer.concat([header, bytes]);
}

async function* cut(bytes: Buffer, at: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends = [...at].sort((one, other) => one - other);
  let from = 0;
  for (const end of [...ends, bytes.length]) {
    yield bytes.subarray(from, Math.min(end, bytes.length));
    from = Math.min(end, bytes.length);
  }
}

async function read(bytes: Buffer, at: readonly number[] = []): Promise<LogFrame[]> {
  const frames: LogFrame[] = [];
  for await (const one of readFrames(cut(bytes, at))) frames.push(one);
  return frames;
}

const details = "com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t1";
const message = (text: string | Uint8Array, stream = 1): Buffer =>
  frame(stream, Buffer.concat([Buffer.from(`2026-11-22T10:00:00.000000001Z ${details} `), Buffer.from(text)]));

async function terminalLinesOf(bytes: Buffer, at: readonly number[] = []): Promise<unknown[]> {
  const lines = new LogLines();
  const found: unknown[] = [];
  for await (const one of readTerminal(cut(bytes, at))) found.push(lines.read(one));
  return found;
}

async function linesOf(bytes: Buffer): Promise<unknown[]> {
  const lines = new LogLines();
  return (await read(bytes)).map((one) => lines.read(one));
}

describe("readFrames", () => {
  it("reads the same messages wherever the stream is cut", async () => {
    const one = fc.record({ stream: fc.constantFrom(1, 2, 3), bytes: fc.uint8Array({ maxLength: 50 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(one, { maxLength: 6 }), fc.array(fc.nat(200), { maxLength: 20 }), async (all, at) => {
        const bytes = Buffer.concat(all.map(({ stream, bytes: content }) => frame(stream, content)));

        const frames = await read(bytes, at);

        const names = { 1: "stdout", 2: "stderr", 3: "error" } as Record<number, string>;
        expect(frames.map(({ stream, bytes: content }) => [stream, content.toString("hex")])).toEqual(
          all.map(({ stream, bytes: content }) => [names[stream], Buffer.from(content).toString("hex")]),
        );
      }),
    );
  });

  it.each([
    ["a stream that is none", frame(4, Buffer.from("x")), "no stream of messages"],
    ["standard input, which no log has", frame(0, Buffer.from("x")), "no stream of messages"],
    ["bytes that should be zero", frame(1, Buffer.from("x"), { zeros: 1 }), "no stream of messages"],
    ["what a terminal shows", Buffer.from("hello, world\r\n"), "no stream of messages"],
    ["a message without end", frame(1, Buffer.from("x"), { length: 1024 * 1024 + 1 }), "message of 1048577 bytes"],
    ["an end within a message", frame(1, Buffer.from("x"), { length: 2 }), "ends within a message"],
    ["an end within a header", frame(1, Buffer.alloc(0)).subarray(0, 7), "ends within a message"],
  ])("refuses %s", async (_what, bytes, reason) => {
    await expect(read(bytes)).rejects.toMatchObject({ code: "ENGINE", message: expect.stringContaining(reason) });
  });
});

describe("readTerminal", () => {
  const time = "2026-11-22T10:00:00.000000001Z";
  const ofTask = (task: string, text: string): string =>
    `${time} ${details.replace("task.id=t1", `task.id=${task}`)} ${text}`;
  const told = async (...texts: readonly string[]) =>
    (await terminalLinesOf(Buffer.from(texts.join("")))).map((line) => {
      const { task, text, partial } = line as LogLine;
      return [task, text, partial];
    });

  it("reads the same lines wherever the stream is cut", async () => {
    const text = Buffer.from(["a", "b €", ""].map((line) => ofTask("t1", `${line}\r\n`)).join(""));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(text.length), { maxLength: 20 }), async (at) => {
        expect(await terminalLinesOf(text, at)).toMatchObject([{ text: "a" }, { text: "b €" }, { text: "" }]);
      }),
    );
  });

  it("has no line for a task that another one wrote", async () => {
    const forged = ofTask("t2", "not mine");

    expect(
      await told(ofTask("t1", `${forged}\r\n`), ofTask("t1", `x\r${forged}\r\n`), ofTask("t2", "mine\r\n")),
    ).toEqual([
      ["t1", forged, false],
      ["t1", `x\r${forged}`, false],
      ["t2", "mine", false],
    ]);
  });

  it("gives a line without end the message that comes after it", async () => {
    expect(await told(ofTask("t1", "login: "), ofTask("t2", "hello\r\n"), ofTask("t2", "$ "))).toEqual([
      ["t1", `login: ${ofTask("t2", "hello")}`, false],
      ["t2", "$ ", true],
    ]);
  });

  it("passes on what the engine could not show, and no task that says the same", async () => {
    const error = "Error grabbing logs: node w1 is not available";
    const lines = await terminalLinesOf(Buffer.from(`${error}\n${ofTask("t1", `${error}\r\n`)}`));

    expect(lines).toMatchObject([{ error }, { task: "t1", text: error }]);
  });

  it.each([
    ["what has neither time nor task", "hello\r\n", "without its time"],
    ["a line without end", `${ofTask("t1", "x".repeat(1024 * 1024))}`, "line of more than"],
  ])("refuses %s", async (_what, text, reason) => {
    await expect(terminalLinesOf(Buffer.from(text))).rejects.toMatchObject({
      code: "ENGINE",
      message: expect.stringContaining(reason),
    });
  });
});

describe("LogLines", () => {
  it("tells task, node, stream and time of each line", async () => {
    expect(await linesOf(Buffer.concat([message("hello  world\n"), message("\n", 2)]))).toEqual([
      {
        at: "2026-11-22T10:00:00.000000001Z",
        stream: "stdout",
        task: "t1",
        node: "n1",
        text: "hello  world",
        partial: false,
      },
      { at: "2026-11-22T10:00:00.000000001Z", stream: "stderr", task: "t1", node: "n1", text: "", partial: false },
    ]);
  });

  it("puts a character together that is cut, for each stream by itself", async () => {
    const euro = Buffer.from("€");

    const lines = await linesOf(
      Buffer.concat([
        message(Buffer.concat([Buffer.from("a"), euro.subarray(0, 2)])),
        message("b€\n", 2),
        message(Buffer.concat([euro.subarray(2), Buffer.from("c\n")])),
      ]),
    );

    expect((lines as LogLine[]).map(({ text, partial }) => [text, partial])).toEqual([
      ["a", true],
      ["b€", false],
      ["€c", false],
    ]);
  });

  it("shows what is no text as such, and goes on with the next line", async () => {
    const lines = await linesOf(Buffer.concat([message(Buffer.from([0xff, 0x41, 0xe2, 0x0a])), message("€\n")]));

    expect((lines as LogLine[]).map(({ text }) => text)).toEqual(["\ufffdA\ufffd", "€"]);
  });

  it("passes on what the engine could not show", async () => {
    expect(await linesOf(frame(3, Buffer.from("Error grabbing logs: node w1 is not available\n")))).toEqual([
      { error: "Error grabbing logs: node w1 is not available" },
    ]);
  });

  it.each([
    ["a message without a time", `${details} hello\n`],
    ["a message without its task", "2026-11-22T10:00:00.000000001Z com.docker.swarm.node.id=n1 hello\n"],
    ["an empty message", ""],
  ])("refuses %s", async (_what, text) => {
    await expect(linesOf(frame(1, Buffer.from(text)))).rejects.toMatchObject({ code: "ENGINE" });
  });
});
