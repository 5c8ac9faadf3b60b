/** 108 mounts: 201 in the one case that the words name, else the same 202 to the byte, and a refusal without the right to push. */
import type { Report } from "../harness/report.ts";
import { digestOf } from "./content.ts";
import { type Answer, basic, codeOf } from "./wire.ts";
import { HOARD, ORG, OTHER, PASSWORD, restPath, scopeOf, type World } from "./world.ts";

const RIGHTS = ["none", "read", "write"] as const;
type Right = (typeof RIGHTS)[number];
const LEVELS = { read: "read-only", write: "read-write" } as const;
const SOURCES = { public: `${ORG}/mount-public`, private: `${ORG}/mount-private`, "other org": `${OTHER}/mount-other` };
type Source = keyof typeof SOURCES;
const DESTINATION = `${ORG}/mount-into`;
const ELSEWHERE = `${HOARD}/mount-else`;

interface Cell {
  readonly source: Right;
  readonly destination: Right;
  readonly from: Source;
  readonly carries: boolean;
  readonly inSource: boolean;
}

function* cells(): Generator<Cell> {
  for (const source of RIGHTS)
    for (const destination of RIGHTS)
      for (const from of Object.keys(SOURCES) as Source[])
        for (const carries of [true, false])
          for (const inSource of [true, false]) yield { source, destination, from, carries, inSource };
}

export async function runMountCells(report: Report, world: World): Promise<void> {
  await prepare(world);
  const { answer: reference } = await mount(world, { source: "none", destination: "write", from: "private" }, []);
  for (const cell of cells()) {
    const { source, destination, from, carries, inSource } = cell;
    const title = `mount: ${source} on a ${from} source, ${destination} on the destination, token ${carries ? "names both" : "without source"}, blob ${inSource ? "there" : "elsewhere"}`;
    await report.quietly(title, async () => {
      const blob = `mounted: ${title}`;
      await world.pushBlob(inSource ? SOURCES[from] : ELSEWHERE, blob);
      const { answer, held } = await mount(world, cell, carries ? [scopeOf(SOURCES[from], "pull")] : [], blob);
      mustBe(cell, answer, reference, held);
    });
  }
}

function mustBe(cell: Cell, answer: Answer, reference: Answer, held: boolean): void {
  const [wanted, code] = cell.destination !== "write" ? [401, "UNAUTHORIZED"] : [isMounted(cell) ? 201 : 202, ""];
  if (answer.status !== wanted || codeOf(answer) !== code || held !== (wanted === 201))
    throw new Error(`${answer.status} ${codeOf(answer)} (held ${held}) instead of ${wanted}\n${answer.body}`);
  if (wanted === 401 && !/error="insufficient_scope"/.test(answer.headers["www-authenticate"] ?? ""))
    throw new Error(`no insufficient_scope: ${answer.headers["www-authenticate"]}`);
  if (wanted !== 202) return;
  const [one, other] = [withoutIds(answer), withoutIds(reference)];
  if (one !== other) throw new Error(`${one}\nis not\n${other}`);
}

/** What is public everybody reads. */
function isMounted({ source, from, carries, inSource }: Cell): boolean {
  return (from === "public" || source !== "none") && carries && inSource;
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

function withoutIds({ status, rawHeaders, body }: Answer): string {
  const lines = rawHeaders.map((text, index) => (rawHeaders[index - 1] === "Date" ? "" : text.replace(UUID, "<id>")));
  return [status, ...lines, body.toString()].join("\n");
}

const userOf = (source: Right, destination: Right): string => `mount-${source}-${destination}`;

type Whose = Pick<Cell, "source" | "destination" | "from">;

async function mount(world: World, cell: Whose, more: readonly string[], blob = "nowhere") {
  const user = userOf(cell.source, cell.destination);
  const authorization = await world.bearer(basic(user, PASSWORD), [scopeOf(DESTINATION, "pull,push"), ...more]);
  const query = `?mount=${digestOf(blob)}&from=${SOURCES[cell.from]}`;
  const answer = await world.wire.ask("POST", `/v2/${DESTINATION}/blobs/uploads/${query}`, { authorization });
  const path = `/v2/${DESTINATION}/blobs/${digestOf(blob)}`;
  const { status } = await world.wire.ask("HEAD", path, { authorization: world.admin });
  return { answer, held: status === 200 };
}

async function prepare(world: World): Promise<void> {
  await world.makeRepository(DESTINATION);
  await world.makeRepository(ELSEWHERE);
  for (const [kind, name] of Object.entries(SOURCES))
    await world.must(201, "PUT", restPath(name), { visibility: kind === "public" ? "public" : "private" });
  for (const level of ["read", "write"] as const) {
    for (const [org, what, names] of [
      [ORG, "source", [SOURCES.public, SOURCES.private]],
      [OTHER, "source", [SOURCES["other org"]]],
      [ORG, "into", [DESTINATION]],
    ] as const) {
      const team = `mount-${what}-${level}`;
      await world.must(201, "PUT", `/api/v1/orgs/${org}/teams/${team}`, {});
      for (const name of names) await world.grant(team, name, LEVELS[level]);
    }
  }
  for (const source of RIGHTS) for (const destination of RIGHTS) await makeUser(world, source, destination);
}

async function makeUser(world: World, source: Right, destination: Right): Promise<void> {
  const name = userOf(source, destination);
  await world.must(201, "PUT", `/api/v1/users/${name}`, { password: PASSWORD });
  for (const org of [ORG, OTHER]) {
    await world.must(201, "PUT", `/api/v1/orgs/${org}/members/${name}`, { role: "member" });
    const into = org === ORG ? destination : "none";
    for (const [what, right] of [["source", source] as const, ["into", into] as const]) {
      if (right === "none") continue;
      await world.must(201, "PUT", `/api/v1/orgs/${org}/teams/mount-${what}-${right}/members/${name}`, {});
    }
  }
}
