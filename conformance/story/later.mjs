/** Loaded into the server by NODE_OPTIONS: its clock is LATER_SECONDS ahead of the machine's. */
const ahead = Number(process.env.LATER_SECONDS ?? 0) * 1000;
const { now } = Date;

globalThis.Date = class extends Date {
  constructor(...parts) {
    if (parts.length === 0) super(now() + ahead);
    else super(...parts);
  }

  static now() {
    return now() + ahead;
  }
};
