import { z } from "zod";
import { capabilities, deploySection, ulimits } from "./deploy-section.ts";
import { mounts, tmpfs } from "./mounts.ts";
import { ports } from "./ports.ts";
import { forms, labels, oneOrMore, pairs, section, span, text, texts, whole, words, yesOrNo } from "./shapes.ts";

/** A value may be left to the variables of whoever deploys. docker refuses true and false: shells differ about them. */
const environment = pairs(
  z.union([text, z.null().transform(() => undefined)], "text or a number: put true and false in quotes"),
);

/** A name under the file's `secrets` or `configs`. */
const mounted = forms(
  z.string().transform((source) => ({ source })),
  section({
    source: z.string(),
    target: text.optional(),
    uid: text.optional(),
    gid: text.optional(),
    mode: whole.optional(),
  }),
);

const member = z.preprocess((value) => value ?? {}, section({ aliases: texts.default([]) }));
const networks = forms(
  z
    .array(z.string())
    .transform((names) => Object.fromEntries(names.map((name) => [name, { aliases: [] as string[] }]))),
  z.record(z.string(), member),
);

const health = section({
  test: z
    .union([texts, z.string().transform((line) => ["CMD-SHELL", line])], "a list, or a line for a shell")
    .optional(),
  interval: span.optional(),
  timeout: span.optional(),
  start_period: span.optional(),
  retries: whole.optional(),
  disable: yesOrNo.optional(),
});

/** `name=address` or `name:address`, or a map of them. */
const hosts = forms(
  z.array(z.string().transform((line) => line.replace("=", ":"))),
  z.record(z.string(), text).transform((found) => Object.entries(found).map(([name, address]) => `${name}:${address}`)),
);

/** One of the file's `services`, each thing in its one form. */
export const serviceSection = section({
  image: z.string(),
  command: words.optional(),
  entrypoint: words.optional(),
  environment: environment.default({}),
  env_file: oneOrMore.default([]),
  user: text.optional(),
  working_dir: z.string().optional(),
  hostname: text.optional(),
  labels: labels.default({}),
  deploy: deploySection.optional(),
  healthcheck: health.optional(),
  secrets: z.array(mounted).default([]),
  configs: z.array(mounted).default([]),
  ports: ports.default([]),
  networks: networks.optional(),
  volumes: mounts.default([]),
  tmpfs: tmpfs.default([]),
  cap_add: capabilities.default([]),
  cap_drop: capabilities.default([]),
  read_only: yesOrNo.optional(),
  stop_grace_period: span.optional(),
  stop_signal: text.optional(),
  init: yesOrNo.optional(),
  tty: yesOrNo.optional(),
  stdin_open: yesOrNo.optional(),
  dns: oneOrMore.optional(),
  dns_search: oneOrMore.optional(),
  dns_opt: texts.optional(),
  extra_hosts: hosts.default([]),
  sysctls: labels.default({}),
  ulimits: ulimits.default({}),
  logging: section({ driver: z.string(), options: labels.default({}) }).optional(),
});

export type ServiceSection = z.output<typeof serviceSection>;
