/** An upload is its beginner's, in its repository: everybody else finds none, with push or without, and by no other host. */
import type { Report } from "../harness/report.ts";
import { CONFIG, digestOf } from "./content.ts";
import { type Ask, basic, codeOf, toComparable } from "./wire.ts";
import { ORG, PASSWORD, scopeOf, type World } from "./world.ts";

const PRINCIPALS = ["beginner", "colleague", "robot", "administrator"] as const;
type Principal = (typeof PRINCIPALS)[number];
const METHODS = ["GET", "PATCH", "PUT", "DELETE"] as const;
const PLACES = ["its repository", "another repository", "another host"] as const;
type Place = (typeof PLACES)[number];

export async function runSessionCells(report: Report, world: World): Promise<void> {
  const { names, credentials } = await prepare(world);
  for (const mode of ["basic", "bearer"] as const) {
    for (const principal of PRINCIPALS) {
      const password = credentials[principal];
      const scopes = names.map((name) => scopeOf(name, "pull,push"));
      const authorization = mode === "basic" ? password : await world.bearer(password, scopes);
      for (const place of PLACES) {
        for (const method of METHODS) {
          await report.quietly(`upload: ${method} by the ${principal} (${mode}) in ${place}`, () =>
            tryUpload(world, { names, beginner: credentials.beginner, principal, authorization, place, method }),
          );
        }
      }
    }
  }
  await report.quietly("upload: without credentials", async () => {
    const upload = await begin(world, names[0], credentials.beginner);
    const answer = await world.wire.ask("GET", upload);
    if (answer.status !== 401 || codeOf(answer) !== "UNAUTHORIZED") throw new Error(`${answer.status}`);
  });
  await report.quietly("upload: ids are 128 random bits", async () => {
    const ids = await Promise.all(Array.from({ length: 64 }, () => begin(world, names[0], credentials.beginner)));
    const bits = ids.map((path) => BigInt(`0x${path.split("/").at(-1)?.replaceAll("-", "")}`));
    // A bit that is the same in 64 of 64 is none: a version, a counter, a clock.
    const still = Array.from({ length: 128 }, (_, bit) => new Set(bits.map((id) => (id >> BigInt(bit)) & 1n)).size);
    if (still.some((values) => values !== 2)) throw new Error(`bits that stand still: ${still}`);
  });
}

async function prepare(world: World) {
  const names = [world.newName("upload"), world.newName("upload")] as const;
  for (const name of names) await world.makeRepository(name);
  await world.must(201, "PUT", `/api/v1/orgs/${ORG}/teams/uploaders`, {});
  for (const name of names) await world.grant("uploaders", name, "read-write");
  for (const user of ["beginner", "colleague"]) {
    await world.addUser(user);
    await world.addMember(user, "uploaders");
  }
  await world.putRobot(`${ORG}+uploader`, names, ["pull", "push"]);
  const credentials: Readonly<Record<Principal, string>> = {
    beginner: basic("beginner", PASSWORD),
    colleague: basic("colleague", PASSWORD),
    robot: basic(`${ORG}+uploader`, world.secrets.get(`${ORG}+uploader`) ?? ""),
    administrator: world.admin,
  };
  return { names, credentials };
}

async function begin(world: World, name: string, authorization: string): Promise<string> {
  const { headers } = await world.wire.must(202, "POST", `/v2/${name}/blobs/uploads/`, { authorization });
  return new URL(headers.location ?? "").pathname;
}

interface Try {
  readonly names: readonly [string, string];
  readonly beginner: string;
  readonly principal: Principal;
  readonly authorization: string;
  readonly place: Place;
  readonly method: (typeof METHODS)[number];
}

const OK = { GET: 204, PATCH: 202, PUT: 201, DELETE: 204 } as const;

async function tryUpload(world: World, { names, beginner, principal, authorization, place, method }: Try) {
  const [own, other] = names;
  const upload = await begin(world, own, beginner);
  await world.wire.must(202, "PATCH", upload, { authorization: beginner, body: CONFIG });
  const where = place === "another repository" ? upload.replace(own, other) : upload;
  const ask: Ask = { authorization, headers: place === "another host" ? { host: "evil.example:5443" } : {} };
  const send = (path: string) => {
    const body = method === "PATCH" ? { body: "more" } : {};
    return world.wire.ask(method, method === "PUT" ? `${path}?digest=${digestOf(CONFIG)}` : path, { ...ask, ...body });
  };
  const answer = await send(where);
  const isTheirs = principal === "beginner" && place !== "another repository";
  if (isTheirs) {
    if (answer.status !== OK[method]) throw new Error(`${answer.status} ${answer.body}`);
    if (/evil/.test(answer.rawHeaders.join())) throw new Error(`names the host it was asked by: ${answer.rawHeaders}`);
    return;
  }
  // As for an upload that never was: nothing of its size, nor that it is.
  const none = await send(where.replace(/[^/]+$/, "00000000-0000-0000-0000-000000000000"));
  const [one, missing] = [toComparable(answer, own), toComparable(none, own)];
  if (answer.status !== 404 || codeOf(answer) !== "BLOB_UPLOAD_UNKNOWN" || one !== missing)
    throw new Error(`${one}\n---\n${missing}`);
  const after = await world.wire.must(204, "GET", upload, { authorization: beginner });
  if (after.headers.range !== `0-${CONFIG.length - 1}`) throw new Error(`it moved on: ${after.headers.range}`);
}
