export interface Log {
  info(event: string, fields?: object): void;
  warn(event: string, fields?: object): void;
  error(event: string, fields?: object): void;
}
export function createLog(options: { write?: (line: string) => void; level?: string } = {}): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const at = (level: string) => (event: string, fields?: object) => {
    if (options.level !== "off")
      write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`);
  };
  return { info: at("info"), warn: at("warn"), error: at("error") };
}
