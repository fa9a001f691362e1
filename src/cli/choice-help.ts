import { Option } from 'commander';
import { flagName, type OptionSet, type OptionSpec } from './option-spec.js';
import { sentence, showDefault } from './options.js';

/** Help for the options that belong to what another option chooses. */
export interface ChoiceHelp {
  /** Heading over an option's group; none for the command's own options. */
  heading(spec: OptionSpec): string | undefined;
  /** The lines under the headings, in place of one for each option. */
  readonly lines: readonly Option[];
}

/**
 * One line of help for each entry that can be chosen, `--sgd.*  momentum 0.9, ...`: a line for each of their options would be
 * pages. A command that has the same choice several times gets one line for each choice.
 */
export function choiceHelp(specs: readonly OptionSpec[]): ChoiceHelp {
  const chosen = specs.flatMap((spec) => (spec.optionOf === undefined ? [] : [{ spec, chooser: spec.optionOf }]));
  const choosers = [...new Set(chosen.map(({ chooser }) => chooser))];
  if (new Set(choosers.map(kindOf)).size < choosers.length) {
    const heading = 'Options of what other options choose (see weightlock list):';
    const lines = choosers.map((chooser) => {
      const example = chosen.find((each) => each.chooser === chooser)?.spec.flag;
      return new Option(groupOf(String(example)), `Of what ${flagName(chooser)} chooses, such as ${example}.`);
    });
    return {
      heading: ({ optionOf }) => (optionOf === undefined ? undefined : heading),
      lines: lines.map((line) => line.helpGroup(heading)),
    };
  }
  const heading = (chooser: string) =>
    `Options of what ${flagName(chooser)} chooses (see weightlock list ${kindOf(chooser)}s):`;
  const groups = new Map(chosen.map(({ spec, chooser }) => [groupOf(spec.flag), chooser]));
  return {
    heading: ({ optionOf }) => (optionOf === undefined ? undefined : heading(optionOf)),
    lines: Array.from(groups, ([group, chooser]) => {
      const own = specs.filter(({ flag, optionOf }) => optionOf === chooser && groupOf(flag) === group);
      return new Option(group, own.map((spec) => withDefault(spec, group)).join(', ')).helpGroup(heading(chooser));
    }),
  };
}

/** Help for the options that groups have in common with a group before them. */
export interface RepeatedHelp {
  /** Whether an option is one of those: its line would be there twice. */
  has(spec: OptionSpec): boolean;
  /** A line for each such group. */
  readonly lines: readonly Option[];
}

/** One line of help for each group whose options are those of another: `--retain.*  Examples like ... Options as of --data.*.` */
export function repeatedHelp({ repeated }: OptionSet): RepeatedHelp {
  return {
    has: ({ key }) => [...repeated.keys()].some((group) => key.startsWith(`${group}.`)),
    lines: Array.from(repeated, ([group, { like, description }]) => {
      const what = [sentence(description), `Options as of ${flagName(like)}.*.`].filter((part) => part).join(' ');
      return new Option(`${flagName(group)}.*`, what);
    }),
  };
}

/** What is chosen, in the singular: `optimizer` for `attack.optimizers`. */
function kindOf(chooser: string): string {
  return chooser.slice(chooser.lastIndexOf('.') + 1).replace(/s$/, '');
}

/** `--sgd.*` for `--sgd.momentum`. */
function groupOf(flag: string): string {
  return `${flag.slice(0, flag.lastIndexOf('.'))}.*`;
}

function withDefault({ flag, defaultValue }: OptionSpec, group: string): string {
  const name = flag.slice(group.length - 1);
  return defaultValue === undefined ? name : `${name} ${showDefault(defaultValue)}`;
}
