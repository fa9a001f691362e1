import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ChatTemplate, loadTokenizer } from './index.js';

const folder = join(process.env.WEIGHTLOCK_DATA ?? '../shared/data', 'models', 'smollm2-135m-instruct');
const present = existsSync(folder);
if (!present) console.log(`skipped: no model in ${folder} (set WEIGHTLOCK_DATA)`);
const talk = [
  { role: 'user', content: 'Hello <b>& you' },
  { role: 'assistant', content: 'Hi!' },
];

describe.skipIf(!present)('the chat template of SmolLM2', () => {
  it('writes what transformers writes, and its tokens', async () => {
    const { chat } = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as {
      chat: { messages: typeof talk; rendered: string; prompt_ids: number[] };
    };
    const tokenizer = await loadTokenizer(folder);
    const text = tokenizer.applyChatTemplate(chat.messages, { addGenerationPrompt: true });
    expect(text).toBe(chat.rendered);
    expect(tokenizer.encode(text, undefined, { addSpecialTokens: false }).ids).toEqual(chat.prompt_ids);
    expect(tokenizer.applyChatTemplate(talk)).toMatch(/<\|im_start\|>assistant\nHi!<\|im_end\|>\n$/);
  });
});

describe('a chat template', () => {
  it('drops line ends and spaces of blocks as transformers, and escapes nothing', () => {
    const template = new ChatTemplate(
      'T',
      "{{ bos_token }}\n  {% for m in messages %}\n{{ m['role'] | upper }}: {{ m.content }}\n  {% endfor %}\n{% if add_generation_prompt %}A:{% endif %}",
      { bos_token: '<s>' },
    );
    // By jinja2 3.1.6 with trim_blocks and lstrip_blocks.
    expect(template.render(talk, { addGenerationPrompt: true })).toBe('<s>\nUSER: Hello <b>& you\nASSISTANT: Hi!\nA:');
  });

  it('has no clock', () => {
    const dated = "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}2024{% endif %}";
    expect(new ChatTemplate('T', dated).render(talk)).toBe('2024');
  });

  it('may refuse, and is told from other failures by its file', () => {
    const refuses = "{{ raise_exception('roles must\nalternate') }}";
    expect(() => new ChatTemplate('model/chat_template.jinja', refuses).render(talk)).toThrow(
      'model/chat_template.jinja: the chat template failed: "roles must\\nalternate"',
    );
    expect(() => new ChatTemplate('T', '{% for %}')).toThrow('T: the chat template failed: ');
  });

  it('that is hostile ends with an error, and reaches nothing of the program', () => {
    const fails = (template: string) => {
      try {
        return new ChatTemplate('T', template).render(talk).length;
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(fails('{{ range(1000000000) | length }}')).toContain('range: expected at most 100000 numbers');
    const loops = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}';
    expect(fails(loops)).toContain('timed out');
    const doubles =
      '{% set n = namespace(x="ab") %}{% for i in range(25) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}';
    expect(fails(doubles)).toContain('expected at most 16777216 characters, got 67108864');
    expect(fails(doubles.replace('25', '60'))).toContain('Invalid string length');
    expect(fails("{{ range.constructor('return process')() }}")).toContain('the chat template failed');
    expect(fails('{{ messages[0].__proto__ }}{{ messages.constructor }}')).toBe(0);
    expect(fails(`{{ ${'('.repeat(100_000)} }}`)).toContain('the chat template failed');
    expect(fails('x'.repeat(2 ** 20 + 1))).toBe('T: expected a template of at most 1048576 characters, found 1048577');
  });
});
