import { z } from 'zod';
import { endTokens, type GenerateOptions, type StopReason, TextGenerator, TextStream } from '../../generation/index.js';
import { loadModel, modelFolder, parameterSet } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { loadTokenizer, type Tokenizer } from '../../text/index.js';
import { warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { modelArgument } from '../model-argument.js';
import { givenConfig, modelOptions } from '../model-options.js';

const schema = z.strictObject({
  ...modelOptions.shape,
  prompt: z.string().optional().describe('text to go on with, as it is'),
  chat: z.string().optional().describe("what a user says, put into the model's chat template"),
  maxTokens: z.int().min(1).max(1_000_000).default(128).describe('most new tokens'),
  temperature: z.number().min(0).default(0).describe('how freely tokens are drawn; 0: not, the likeliest is taken'),
  topK: z.int().min(1).optional().describe('draw among so many of the likeliest tokens; default all'),
  topP: z.number().gt(0).lte(1).optional().describe('draw among the likeliest with this probability; default all'),
  seed: z.int().min(0).optional().describe('seed of the draws; default 1'),
});

/** Why a text is no longer than it is, where a reader might wonder. */
const ends: Partial<Record<StopReason, string>> = {
  length: 'stopped at --max-tokens',
  context: "stopped at the end of the model's context",
};

/** `weightlock generate`: a language model goes on with a text. */
export const generate = defineCommand({
  name: 'generate',
  summary: 'Continue a text with a language model, or answer in a chat; the text comes as it is computed.',
  arguments: [
    {
      name: 'model',
      description: 'Model directory, GGUF file, or id of the Hugging Face hub (owner/name).',
      required: true,
    },
  ],
  schema,
  examples: [
    'weightlock generate ./smollm2 --prompt "The capital of France is" --max-tokens 20',
    'weightlock generate ./smollm2 --chat "What is a lock?" --temperature 0.7 --top-p 0.9 --seed 3 --json',
  ],
  run: async (context) => {
    const { options, threads, device, dryRun, signal, write, print, note, result } = context;
    const sampling = samplingOf(options);
    const path = await modelArgument(context.arguments.model, context);
    if (path === undefined) return 0;
    const model = await loadModel(path, { config: await givenConfig(options) });
    warn({ note }, model.notes ?? []);
    const tokenizer = await loadTokenizer(await modelFolder(path));
    const prompt = promptOf(options, tokenizer);
    const generator = new TextGenerator(model, parameterSet(model.weights), { threads, device });
    generator.requirePrompt(prompt);
    if (dryRun) {
      print(`would go on with ${prompt.length} tokens by ${path}`);
      return 0;
    }
    const { maxTokens } = options;
    const text = new TextStream(tokenizer);
    const started = performance.now();
    const tokens: number[] = [];
    const settings = { prompt, maxTokens, endTokens: await endTokens(model), signal, ...sampling };
    const stream = generator.stream(settings);
    let next = await stream.next();
    const first = performance.now();
    for (; !next.done; next = await stream.next()) {
      tokens.push(next.value);
      write(text.push(next.value));
    }
    write(text.end());
    print('');
    await generator.release();
    signal.throwIfAborted();
    const seconds = { first: (first - started) / 1000, others: (performance.now() - first) / 1000 };
    const rate = tokens.length > 1 ? `, ${((tokens.length - 1) / seconds.others).toFixed(1)} a second` : '';
    const why = ends[next.value];
    note(`${tokens.length} tokens${rate}${why ? `; ${why}` : ''}`);
    result({
      path,
      prompt,
      tokens,
      text: tokenizer.decode(tokens, { skipSpecialTokens: true }),
      stop: next.value,
      sampling,
      seconds,
    });
    return 0;
  },
});

/** Tokens of what the model goes on with. */
function promptOf({ prompt, chat }: z.output<typeof schema>, tokenizer: Tokenizer): number[] {
  if ((prompt === undefined) === (chat === undefined)) {
    throw new InputError(
      `generate: expected either --prompt or --chat, found ${prompt === undefined ? 'none' : 'both'}`,
    );
  }
  if (chat === undefined) return tokenizer.encode(prompt ?? '').ids;
  const written = tokenizer.applyChatTemplate([{ role: 'user', content: chat }], { addGenerationPrompt: true });
  // The template has written the special tokens.
  return tokenizer.encode(written, undefined, { addSpecialTokens: false }).ids;
}

/** How tokens are drawn; what would change nothing is refused. */
function samplingOf({
  temperature,
  topK,
  topP,
  seed,
}: z.output<typeof schema>): Omit<GenerateOptions, 'prompt' | 'maxTokens'> {
  const given = Object.entries({ 'top-k': topK, 'top-p': topP, seed }).find(([, value]) => value !== undefined);
  if (temperature === 0 && given) {
    throw new InputError(`--${given[0]}: expected a --temperature above 0 with it, the likeliest token is not drawn`);
  }
  return temperature === 0 ? { temperature } : { temperature, topK, topP, seed: seed ?? 1 };
}
