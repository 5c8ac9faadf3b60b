import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answer } from "../testing/http-client.ts";
import { digestOf, OCI_MANIFEST, type Place, pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
const TAGS = ["0.1.2", "0.1.2-a", "0.1.20", "A", "_x", "a", "latest"];
const NAMES = ["a", "a-b", "a.b", "a/b", "a0"].map((name) => `carol/${name}`);
const subject = { mediaType: OCI_MANIFEST, digest: digestOf("a subject"), size: 9 };
const referrers: string[] = [];

beforeAll(async () => {
  app = await openTestApp();
  place = { app, as: "alice", repository: "alice/tagged" };
  const { manifest } = await pushParts(place);
  for (const tag of [...TAGS].reverse()) await putManifest(place, tag, manifest);
  for (let index = 0; index < 7; index++) {
    const body = JSON.stringify({ ...manifest, subject, artifactType: `application/x.${index % 2}`, n: index });
    await putManifest(place, digestOf(body), body);
    referrers.push(digestOf(body));
  }
  await app.addOrg("carol");
  for (const repository of NAMES) await pushParts({ app, as: "admin", repository });
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const PATHS = {
  "end-8 tags/list": "/v2/alice/tagged/tags/list",
  _catalog: "/v2/_catalog",
  "end-12 referrers": `/v2/alice/tagged/referrers/${subject.digest}`,
};

const get = (path: string) => app.ask("GET", path, { as: "admin" });

/** Repository names, tags or digests: whatever the listing lists. */
function entriesOf(answer: Answer): string[] {
  const body = JSON.parse(answer.body.toString());
  return body.tags ?? body.repositories ?? body.manifests.map(({ digest }: { digest: string }) => digest);
}

/** Follows the links from page to page. */
async function walk(path: string): Promise<string[][]> {
  const pages: string[][] = [];
  for (let next: string | undefined = path; next !== undefined; ) {
    const answer: Answer = await get(next);
    expect(answer.status).toBe(200);
    pages.push(entriesOf(answer));
    const { link } = answer.headers;
    next = link === undefined ? undefined : /^<([^>]+)>; rel="next"$/.exec(String(link))?.[1];
  }
  return pages;
}

describe.each(Object.entries(PATHS))("%s", (_name, path) => {
  it.each([
    "-1",
    "abc",
    "1e3",
    "0x10",
    "%20%225%22",
    "%205",
    "5%20",
    "",
    "1.0",
    "+1",
    "1_000",
    "٣",
    "%00",
    "5%00",
    "5,6",
  ])("answers 400 PAGINATION_NUMBER_INVALID for n=%s", async (n) => {
    const answer = await get(`${path}?n=${encodeURI(decodeURI(n))}`);

    expect([answer.status, answer.code]).toEqual([400, "PAGINATION_NUMBER_INVALID"]);
  });

  it("answers 400 PAGINATION_NUMBER_INVALID for two n, equal or not", async () => {
    for (const query of ["n=2&n=3", "n=2&n=2", "n=2&%6e=3"]) {
      const answer = await get(`${path}?${query}`);

      expect([answer.status, answer.code]).toEqual([400, "PAGINATION_NUMBER_INVALID"]);
    }
  });

  it("answers an empty list without Link for n=0", async () => {
    const answer = await get(`${path}?n=0`);

    expect([answer.status, entriesOf(answer), answer.headers.link]).toEqual([200, [], undefined]);
  });

  it("answers everything once, in ASCII order, for every page size", async () => {
    const all = entriesOf(await get(path));
    expect(all.length).toBeGreaterThan(5);

    for (let n = 1; n <= all.length + 1; n++) {
      const pages = await walk(`${path}?n=${n}`);

      expect(pages.flat()).toEqual(all);
      expect(pages.slice(0, -1).every((page) => page.length === n)).toBe(true);
    }
    expect(all).toEqual([...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  });

  it("answers an empty list, not null, after the last entry", async () => {
    const answer = await get(`${path}?last=~~~`);

    expect([answer.status, entriesOf(answer), answer.headers.link]).toEqual([200, [], undefined]);
  });

  it.each(["%0d%0aX:1", "%00", "%27%3bdrop%20table%20tags--", "%ff%fe", "%u2028", "a%00b", "%25", "_", "%F0%9F%98%80"])(
    "answers 200 for last=%s and no header more than without it",
    async (last) => {
      const [plain, strange] = [await get(`${path}?n=1&last=zzz`), await get(`${path}?n=1&last=${last}`)];

      expect(strange.status).toBe(200);
      expect(headerNames(strange).filter((name) => name !== "link")).toEqual(headerNames(plain));
    },
  );
});

function headerNames({ rawHeaders }: Answer): string[] {
  return rawHeaders
    .filter((_, index) => index % 2 === 0)
    .map((name) => name.toLowerCase())
    .sort();
}

describe("end-8 tags/list", () => {
  it("lists 0.1.20 beside 0.1.2", async () => {
    expect(entriesOf(await get(PATHS["end-8 tags/list"]))).toEqual(TAGS);
  });

  it("answers at most 10,000 tags and a Link, whatever n asks for", async () => {
    await app.database.query(
      "",
      `insert into tags (repository_id, name, manifest_digest)
       select t.repository_id, 'many-' || lpad(i::text, 6, '0'), t.manifest_digest
       from tags t join repositories r on r.id = t.repository_id, generate_series(1, 10005) i
       where r.name = 'alice/tagged' and t.name = 'latest'`,
    );
    for (const n of ["10001", "1000000000", "9223372036854775807", "9223372036854775808", "9".repeat(400)]) {
      const answer = await get(`${PATHS["end-8 tags/list"]}?n=${n}`);

      expect([answer.status, entriesOf(answer).length]).toEqual([200, 10_000]);
      expect(answer.headers.link).toContain('rel="next"');
    }
    expect((await walk(PATHS["end-8 tags/list"])).flat().length).toBe(10_005 + TAGS.length);
  });

  it("answers 404 NAME_UNKNOWN for a repository that is not there, and for one that is hidden, alike", async () => {
    const [missing, hidden] = [
      await app.ask("GET", "/v2/alice/missing/tags/list", { as: "bob" }),
      await app.ask("GET", "/v2/alice/tagged/tags/list", { as: "bob" }),
    ];

    expect([missing.status, missing.code]).toEqual([404, "NAME_UNKNOWN"]);
    const told = (body: Buffer) => body.toString().replaceAll(/(decision\W+)[a-z2-9]{16}/g, "$1<id>");
    expect([hidden.status, told(hidden.body)]).toEqual([404, told(missing.body)]);
  });
});

describe("_catalog", () => {
  it("lists names that begin with one another", async () => {
    const names = entriesOf(await get("/v2/_catalog"));

    expect(names.filter((name) => name.startsWith("carol/"))).toEqual(NAMES);
  });

  it("answers at most 1,000 repositories and a Link, whatever n asks for", async () => {
    await app.database.query(
      "",
      `insert into repositories (name, namespace) select 'carol/many-' || i, 'carol' from generate_series(1, 1005) i`,
    );
    for (const n of ["1001", "1000000000", "9223372036854775807"]) {
      const started = performance.now();
      const answer = await get(`/v2/_catalog?n=${n}`);

      expect([answer.status, entriesOf(answer).length]).toEqual([200, 1_000]);
      expect(answer.headers.link).toContain('rel="next"');
      expect(performance.now() - started).toBeLessThan(10_000);
    }
  });

  it("shows each user what that user may pull, and counts nothing else into a page", async () => {
    await pushParts({ app, as: "bob", repository: "bob/own" });

    const [alices, bobs] = [
      await app.ask("GET", "/v2/_catalog?n=5", { as: "alice" }),
      await app.ask("GET", "/v2/_catalog?n=1&last=alice/tagged", { as: "bob" }),
    ];

    expect([entriesOf(alices), alices.headers.link]).toEqual([["alice/tagged"], undefined]);
    expect([entriesOf(bobs), bobs.headers.link]).toEqual([["bob/own"], undefined]);
  });

  it.each(["/v2/_catalog/", "/v2//_catalog", "/v2/%5fcatalog", "/v2/_CATALOG", "/v2/_catalog;x", "//v2/_catalog"])(
    "is not to be had as %s",
    async (path) => {
      const answer = await app.ask("GET", path, {});

      expect(answer.status).toBe(404);
      expect(answer.body.toString()).not.toContain("carol/");
    },
  );
});

describe("end-12 referrers", () => {
  it("filters by artifactType, says so, and keeps the filter from page to page", async () => {
    const path = `${PATHS["end-12 referrers"]}?artifactType=${encodeURIComponent("application/x.1")}`;

    const answer = await get(path);
    const pages = await walk(`${path}&n=1`);

    expect(answer.headers["oci-filters-applied"]).toBe("artifactType");
    expect(entriesOf(answer)).toEqual(referrers.filter((_, index) => index % 2 === 1).sort());
    expect(pages.flat()).toEqual(entriesOf(answer));
    expect((await get(PATHS["end-12 referrers"])).headers["oci-filters-applied"]).toBeUndefined();
  });

  it("answers 400 when artifactType stands there twice", async () => {
    const answer = await get(`${PATHS["end-12 referrers"]}?artifactType=a/b&artifactType=c/d`);

    expect([answer.status, answer.code]).toEqual([400, "UNSUPPORTED"]);
  });
});
