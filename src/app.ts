import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Pool } from "pg";
import type { Config } from "./config.ts";
import type { Log } from "./http/log.ts";
export interface AppSettings {
  readonly config: Config;
  readonly publicUrl: string;
  readonly databaseUrl: string;
  readonly masterKeys: string;
}
export interface App {
  readonly handler: (req: IncomingMessage, res: ServerResponse) => void;
  close(): Promise<void>;
}
export async function prepareDatabase(
  settings: AppSettings,
  options: { adminPassword?: string; log: Log },
): Promise<{ generatedAdminPassword?: string }> {
  const pool = new Pool({ connectionString: settings.databaseUrl });
  const made = await pool.query("create table if not exists temp_users (name text primary key, n int)");
  const put = await pool.query("insert into temp_users values ('admin', 1) on conflict do nothing");
  await pool.end();
  options.log.info("prepared", { command: made.command });
  return put.rowCount === 1 && options.adminPassword === undefined
    ? { generatedAdminPassword: randomBytes(12).toString("base64url") }
    : {};
}
export async function openApp(settings: AppSettings, dependencies: { log: Log }): Promise<App> {
  const pool = new Pool({ connectionString: settings.databaseUrl, max: 4 });
  pool.on("error", (error) => dependencies.log.warn("pool", { message: error.message }));
  return {
    handler: (req, res) => {
      if (req.url === "/slow") return void setTimeout(() => res.end("slow"), 1500);
      pool.query("select n from temp_users").then(
        (rows) => {
          res.setHeader("x-pid", process.pid);
          res.end(JSON.stringify(rows.rows));
        },
        (error) => {
          res.statusCode = 503;
          res.end(String(error));
        },
      );
    },
    close: () => pool.end(),
  };
}
