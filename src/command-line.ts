/** The commands that ask a running registry, alone: what a server needs (see main.ts) takes longer to load than most of them run. */
import { runCli } from "./cli/main.ts";

// A reader that goes away (goldseal … | head) is no error.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

process.exitCode = await runCli(process.argv.slice(2), process.env, process);
