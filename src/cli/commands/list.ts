import { z } from 'zod';
import { type Configurable, Registry } from '../../registry/index.js';
import { courseSchedules, optimizers } from '../../training/index.js';
import { defineCommand } from '../command.js';
import { flagName, readOptions } from '../option-spec.js';
import { helpOf } from '../options.js';

/** An entry and what there is to say of it beside its options. */
interface Listed extends Configurable {
  readonly description: string;
  readonly remark?: string;
}

/** What can be listed. A further registry is one line. */
const lists = new Registry('list', [
  {
    name: 'optimizers',
    entries: (): Listed[] => optimizers.entries().map((entry) => ({ ...entry, remark: searchRemark(entry.search) })),
  },
  { name: 'schedules', entries: (): Listed[] => courseSchedules },
]);

/** `weightlock list`: what can be chosen, and the options of each. */
export const list = defineCommand({
  name: 'list',
  summary: 'List what an option can choose, and the options of each: optimizers, schedules.',
  arguments: [{ name: 'what', description: 'One of optimizers, schedules.', required: true }],
  schema: z.strictObject({}),
  examples: ['weightlock list optimizers', 'weightlock list schedules --json'],
  run: async ({ arguments: { what }, print, result }) => {
    const entries = lists.get(what).entries();
    const found = entries.map(({ name, description, remark, options }) => ({
      name,
      description,
      ...(remark !== undefined && { remark }),
      options: readOptions(options).specs.map((spec) => ({
        flag: flagName(`${name}.${spec.key}`),
        key: `${name}.${spec.key}`,
        description: spec.description,
        expected: spec.expectation,
        default: spec.defaultValue,
        help: helpOf(spec),
      })),
    }));
    for (const { name, description, remark, options } of found) {
      print(`${name}: ${description}${remark === undefined ? '' : `. ${remark}`}`);
      for (const { flag, help } of options) print(`  ${flag}: ${help}`);
      print('');
    }
    result(found.map(({ options, ...entry }) => ({ ...entry, options: options.map(({ help: _, ...rest }) => rest) })));
    return 0;
  },
});

/** What an attack does with an optimizer unless told otherwise. */
function searchRemark({ decades, options = {} }: { decades: readonly number[]; options?: object }): string {
  const defaults = Object.entries(options).map(([key, value]) => `${key} ${value}`);
  const own = defaults.length > 0 ? `, with ${defaults.join(', ')}` : '';
  return `Attacks try learning rates ${decades.map((decade) => `1e${decade}`).join(', ')}${own}`;
}
