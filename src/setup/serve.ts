import { messageOf } from "./errors.ts";
import { type PrimaryParts, type Running, runPrimary } from "./primary.ts";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
/** Stopping takes less; this is for a part that hangs. */
const HARD_DEADLINE_MS = 9500;

export interface ServeParts extends Omit<PrimaryParts, "say"> {
  /** What else starts with it. */
  readonly whenReady?: () => void;
}

/** `goldseal start`: serves until a signal, or until the start script that holds our channel is gone. Answers the exit status. */
export async function serveUntilStopped({ whenReady, ...parts }: ServeParts): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => {
    stop.abort();
    setTimeout(() => process.exit(1), HARD_DEADLINE_MS).unref();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  if (process.connected) process.on("disconnect", onSignal);
  let accident: unknown;
  const onAccident = (error: unknown): void => {
    accident ??= error;
    parts.log.error("primary.accident", {
      message: messageOf(error),
      stack: error instanceof Error ? error.stack : "",
    });
    onSignal(); // a primary in an unknown state ends, and takes everything down in order
  };
  process.on("uncaughtException", onAccident);
  const say = (line: string): void => void process.stderr.write(`goldseal: ${line}\n`);
  try {
    await runPrimary(
      { ...parts, say },
      {
        signal: stop.signal,
        onReady: (running) => {
          greet(running);
          whenReady?.();
        },
      },
    );
    return accident === undefined ? 0 : 1;
  } catch (error) {
    if (stop.signal.aborted) return accident === undefined ? 0 : 1; // told to stop while it started
    say(messageOf(error).split("\n").join("\n  "));
    return 1;
  } finally {
    if (process.connected) process.disconnect?.();
  }
}

/** What a person needs next, then the line that scripts wait for. */
function greet(running: Running): void {
  const { host, hostname } = new URL(running.publicUrl);
  const lines = [`Goldseal    ${running.publicUrl}`];
  if (running.caFile !== undefined) {
    lines.push(
      `CA          ${running.caFile}`,
      `trust it    sudo install -D -m 0644 ${running.caFile} /etc/docker/certs.d/${host}/ca.crt`,
    );
  }
  lines.push("user        admin");
  if (running.generatedAdminPassword !== undefined) {
    lines.push(`password    ${running.generatedAdminPassword}   (shown only now)`);
  }
  lines.push(`log in      docker login ${host} --username admin`);
  if (hostname === "0.0.0.0" || hostname === "[::]") {
    lines.push("note        other machines need GOLDSEAL_PUBLIC_URL set to a name they can reach");
  }
  process.stdout.write(`${lines.join("\n")}\nready ${running.address}\n`);
}
