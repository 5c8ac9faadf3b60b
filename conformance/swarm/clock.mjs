/** Loaded into a bridge by NODE_OPTIONS: its clock is as many seconds ahead of the machine's as the file CLOCK_FILE says. */
import { readFileSync } from "node:fs";

const { now } = Date;
const read = () => now() + Number(readFileSync(process.env.CLOCK_FILE, "utf8")) * 1000;

globalThis.Date = class extends Date {
  constructor(...parts) {
    if (parts.length === 0) super(read());
    else super(...parts);
  }

  static now() {
    return read();
  }
};
