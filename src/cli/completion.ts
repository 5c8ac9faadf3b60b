import type { Command } from "./command.ts";
import { allCommands } from "./commands.ts";
import { connectionOptions } from "./connection.ts";

export const completionCommands: readonly Command[] = [
  {
    noun: "completion",
    verb: "bash",
    args: [],
    help: "Print what bash needs to complete commands: source <(goldseal completion bash)",
    runLocally: async ({ io }) => void io.stdout.write(bashCompletion(await allCommands())),
  },
];

/** A script for bash's `complete`: nouns, then verbs, then options. */
function bashCompletion(commands: readonly Command[]): string {
  const nouns = [...new Set(commands.map(({ noun }) => noun)), "start", "doctor", "admin-password"];
  const cases = nouns.flatMap((noun) => {
    const ofNoun = commands.filter((command) => command.noun === noun);
    const verbs = ofNoun.map(({ verb }) => verb).filter((verb) => verb !== "");
    const options = ofNoun.map(
      (command) => `    "${`${noun} ${command.verb}`.trim()}") words="${optionsOf(command)}" ;;`,
    );
    return verbs.length === 0 ? options : [`    "${noun}") words="${verbs.join(" ")}" ;;`, ...options];
  });
  return `# goldseal completion for bash; in ~/.bashrc: source <(goldseal completion bash)
_goldseal() {
  local words="" before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  case "\${before[*]:0:2}" in
    "") words="${nouns.join(" ")}" ;;
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _goldseal goldseal
`;
}

function optionsOf({ options = {} }: Command): string {
  return [...Object.keys(options), ...Object.keys(connectionOptions), "help"].map((name) => `--${name}`).join(" ");
}
