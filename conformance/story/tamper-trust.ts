/** Signatures in trust data, by docker, notary and our own command line, and each way to make them wrong. */
import { pushImage, pushIndex } from "./images.ts";
import { addKey, claimKey, makeDockerKey, ownDockerKey, publicHalf } from "./keys.ts";
import type { Machine } from "./machines.ts";
import { found, sign } from "./signing.ts";
import {
  askFor,
  type Case,
  makeRepository,
  mustRefuse,
  mustServe,
  ONE_TESTER,
  runCases,
  type Stage,
  TWO_TESTERS,
} from "./tamper.ts";
import { EXPIRED, REJUDGED } from "./tamper-time.ts";
import { must, type World } from "./world.ts";

export async function checkTrust(world: World): Promise<void> {
  const { quinn, quentin, dan } = world.people;
  await ownDockerKey(quinn, "quinn");
  await ownDockerKey(quentin, "quentin");
  await ownDockerKey(dan, "dan");
  await askFor(world, ONE_TESTER);
  await runCases(world, `trust data, ${world.docker}`, [...CASES, ...REJUDGED]);
  await askFor(world, TWO_TESTERS);
  await runCases(world, `trust data, ${world.docker}`, [ONE_PERSON, TWO_PEOPLE]);
  await askFor(world, ONE_TESTER);
  await runCases(world, `trust data, ${world.docker}`, [EXPIRED]);
}

const CASES: readonly Case[] = [
  {
    name: "a tester's signature counts, by tag and by digest; docker's",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      await pushImage(quinn.direct, repository, "1");
      await mustRefuse(stage, "1", /must be signed by one person of team testers .*goldseal trust sign/);
      await found(stage, quinn, "quinn");
      await must(quinn.docker(`pull ${image}:1`));
      await must(quinn.docker(`trust sign ${image}:1`), /Successfully signed/);
      const { headers } = await quinn.direct.manifest(repository, "1");
      await mustServe(stage, "1");
      await mustServe(stage, String(headers["docker-content-digest"]));
    },
  },
  {
    name: "a tester's signature counts; notary's",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const { digest, size } = await pushImage(quinn.direct, repository, "1");
      await found(stage, quinn, "quinn");
      const hex = digest.slice("sha256:".length);
      await must(quinn.notary(`addhash -p ${image} 1 ${size} --sha256 ${hex} --roles targets/quinn`));
      await mustServe(stage, "1");
    },
  },
  {
    name: "wrong key: nobody's",
    run: async (stage) => {
      const stranger = stage.world.another("quinn");
      await pushImage(stranger.direct, stage.repository, "1");
      await makeDockerKey(stranger, "stranger");
      await found(stage, stranger, "stranger");
      await sign(stage, stranger);
      await mustRefuse(stage, "1", /is by nobody; /);
    },
  },
  {
    name: "unproved key",
    run: async (stage) => {
      const machine = stage.world.another("quinn");
      await pushImage(machine.direct, stage.repository, "1");
      await makeDockerKey(machine, "claimed");
      await claimKey(machine, "claimed", publicHalf(machine, "claimed"));
      await found(stage, machine, "claimed");
      await sign(stage, machine);
      await mustRefuse(stage, "1", /by nobody \(a signature of quinn is by a key that quinn has not proved to hold/);
      await addKey(machine, "claimed");
      await mustServe(stage, "1");
    },
  },
  {
    name: "another user's key",
    run: async (stage) => {
      const machine = stage.world.another("quinn");
      await pushImage(machine.direct, stage.repository, "1");
      await makeDockerKey(machine, "dans-too");
      await claimElsewhere(stage, machine, "dans-too");
      await found(stage, machine, "dans-too");
      await sign(stage, machine);
      await mustRefuse(stage, "1", /is by nobody; /);
    },
  },
  {
    name: "other repository",
    run: async (stage) => {
      const { quinn, repository } = stage;
      const other = { ...stage, repository: `${repository}-copy`, image: `${stage.image}-copy` };
      await pushImage(quinn.direct, repository, "1");
      await found(stage, quinn, "quinn");
      await sign(stage, quinn);
      await makeRepository(other);
      await must(quinn.run("crane", ["copy", `${stage.image}:1`, `${other.image}:1`]));
      await mustServe(stage, "1");
      await mustRefuse(other, "1", /is by nobody/);
    },
  },
  {
    name: "moved tag",
    run: async (stage) => {
      const { quinn, repository } = stage;
      const first = await pushImage(quinn.direct, repository, "1");
      await found(stage, quinn, "quinn");
      await sign(stage, quinn);
      const second = await pushImage(quinn.direct, repository, "1");
      await mustRefuse(stage, "1", new RegExp(second.digest));
      await mustServe(stage, first.digest);
      await sign(stage, quinn);
      await mustServe(stage, "1");
      await mustRefuse(stage, first.digest, /is by nobody/);
    },
  },
  {
    name: "a signature under one tag says nothing of another",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      await pushImage(quinn.direct, repository, "1");
      await found(stage, quinn, "quinn");
      await sign(stage, quinn);
      await must(quinn.run("crane", ["tag", `${image}:1`, "2"]));
      await mustServe(stage, "1");
      await mustRefuse(stage, "2", /is for .*:1/);
    },
  },
  {
    name: "swapped index child",
    run: async (stage) => {
      const { quinn, repository } = stage;
      const children = [await pushImage(quinn.direct, repository), await pushImage(quinn.direct, repository)] as const;
      const stranger = await pushImage(quinn.direct, repository);
      await pushIndex(quinn.direct, repository, children, "1");
      await found(stage, quinn, "quinn");
      await sign(stage, quinn);
      for (const reference of ["1", ...children.map(({ digest }) => digest)]) await mustServe(stage, reference);
      await pushIndex(quinn.direct, repository, [children[0], stranger], "1");
      await mustRefuse(stage, "1", /is by nobody/);
      await mustRefuse(stage, stranger.digest, /is by nobody/);
      await mustServe(stage, children[0].digest);
    },
  },
  {
    name: "unrelated entry: the tag, with another image's digest; notary's",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const [one, two] = [
        await pushImage(quinn.direct, repository, "1"),
        await pushImage(quinn.direct, repository, "2"),
      ];
      await found(stage, quinn, "quinn");
      const hex = two.digest.slice("sha256:".length);
      await must(quinn.notary(`addhash -p ${image} 1 ${two.size} --sha256 ${hex} --roles targets/quinn`));
      await mustRefuse(stage, "1", new RegExp(`${one.digest} must be signed`));
      await mustRefuse(stage, "2", /is for .*:1/);
    },
  },
  {
    name: "only released: targets/releases is nobody's signature; notary's",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const { digest, size } = await pushImage(quinn.direct, repository, "1");
      await found(stage, quinn, "quinn");
      const hex = digest.slice("sha256:".length);
      await must(quinn.notary(`addhash -p ${image} 1 ${size} --sha256 ${hex} --roles targets/releases`));
      await mustRefuse(stage, "1", /is by nobody/);
    },
  },
  {
    name: "parse failure: what cannot be read is not taken, and nothing changes",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      await pushImage(quinn.direct, repository, "1");
      await found(stage, quinn, "quinn");
      await sign(stage, quinn);
      const { status } = await quinn.direct.ask(`/v2/${image}/_trust/tuf/`, {
        method: "POST",
        headers: { "content-type": "multipart/form-data; boundary=b" },
        body: Buffer.from(
          '--b\r\nContent-Disposition: form-data; name="files"; filename="targets/quinn"\r\n\r\n{"signed": [\r\n--b--\r\n',
        ),
      });
      if (status !== 400) throw new Error(`half a file was answered ${status}`);
      await mustServe(stage, "1");
    },
  },
  {
    name: "revoked by who signed",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      await pushImage(quinn.direct, repository, "1");
      await found(stage, quinn, "quinn");
      await sign(stage, quinn);
      await mustServe(stage, "1");
      await must(quinn.docker(`trust revoke --yes ${image}:1`), /Successfully deleted signature/);
      await mustRefuse(stage, "1", /is by nobody/);
    },
  },
];

const ONE_PERSON: Case = {
  name: "one person with two keys is one person",
  run: async (stage) => {
    const machine = stage.world.another("quinn");
    await pushImage(machine.direct, stage.repository, "1");
    await ownDockerKey(machine, "first");
    await ownDockerKey(machine, "second");
    await found(stage, machine, "first");
    await found(stage, machine, "second");
    await sign(stage, machine);
    await mustRefuse(stage, "1", /2 people of team testers .* is by quinn/);
  },
};

const TWO_PEOPLE: Case = {
  name: "two people are two",
  run: async (stage) => {
    const { quinn, world, repository, image } = stage;
    await pushImage(quinn.direct, repository, "1");
    await found(stage, quinn, "quinn");
    const key = publicHalf(world.people.quentin, "quentin");
    await must(quinn.run("tee", ["quentin.pub"], key));
    await found(stage, quinn, "quentin");
    await sign(stage, quinn);
    await mustRefuse(stage, "1", /2 people of team testers .* is by quinn/);
    await must(world.people.quentin.goldseal(`trust sign ${image}:1`), /^signed /);
    await mustServe(stage, "1");
  },
};

/** The key lies at quinn's machine, and dan has proved that it is his. */
async function claimElsewhere({ world }: Stage, machine: Machine, name: string): Promise<void> {
  const dan = world.another("dan");
  for (const folder of [".", ".docker/trust/private"])
    await must(
      dan.run("sh", [
        "-c",
        `mkdir -p ${folder} && cp ${machine.home}/${folder}/*.pub ${machine.home}/${folder}/*.key ${folder}/ || true`,
      ]),
    );
  await addKey(dan, name);
}
