/** What an engine says in words that others would not take: it is seen all the same. */
import { describe, expect, it } from "vitest";
import { image } from "../../trust/testing/world.ts";
import { useWatchLab } from "../testing/watch-lab.ts";

const lab = useWatchLab();
const containers = () => lab().core.watch.states().containers;
/** The engine answers GET of `path` with this. */
const answer = (path: string | RegExp, text: () => string) => {
  lab().engine.attack = (method, asked, response) => {
    const isIt = method === "GET" && (typeof path === "string" ? asked === path : path.test(asked));
    return isIt && response.writeHead(200, { "content-type": "application/json" }).end(text()) !== undefined;
  };
};

describe("a container is seen", () => {
  it("whose limits have 64 bits", async () => {
    const Id = lab().run("evil");
    const text = `{"Id":"${Id}","Name":"/evil","Image":"sha256:1","HostConfig":{"Memory":9007199254740993},"Config":{"Image":"evil"}}`;
    answer(`/containers/${Id}/json`, () => text);

    await lab().until(() => containers().some(({ state }) => state === "unmanaged"));
    expect(containers()).toMatchObject([{ id: Id, name: "evil", image: "evil", service: undefined }]);
  });

  it("that cannot be read, and read again as soon as it can be", async () => {
    const Id = lab().run("evil");
    answer(`/containers/${Id}/json`, () => "{");

    await lab().until(() => containers().some(({ state }) => state === "unmanaged"));
    expect(containers()).toMatchObject([{ id: Id, image: "" }]);
    lab().engine.attack = () => false;

    await lab().until(() => containers()[0]?.image === "evil");
  });
});

it("services are seen, one of which has a number of 64 bits", async () => {
  await lab().deploy(image.digest);
  await lab().until(() => lab().service === "trusted: ");
  const evil =
    '{"ID":"evil","Version":{"Index":3},"Spec":{"Name":"evil","TaskTemplate":{"RestartPolicy":{"MaxAttempts":18446744073709551615}}}}';
  answer(
    "/services",
    () => `[${[...[...lab().engine.services.values()].map((one) => JSON.stringify(one)), evil].join()}]`,
  );

  await lab().until(() =>
    lab()
      .core.watch.states()
      .services.some(({ name }) => name === "evil"),
  );
  expect(
    lab()
      .core.watch.states()
      .services.map(({ name, state }) => `${name} ${state}`),
  ).toEqual(["web trusted", "evil unmanaged"]);
});
