import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../registry/index.js';
import { learningCurves, picture, spectra, tradeOff } from '../charts/index.js';
import { type Report, renderReport } from './html.js';

const HOSTILE = `</title></style></pre><script src="https://evil.example/x.js">alert('1')</script><img src=x onerror="alert(1)"> ]]> {{x}} \${x} \u202e\u0000 ' + alert(1) + '`;

function report(parts: Partial<Report> = {}): Report {
  return { title: 'A report', summary: ['It holds.'], sections: [], environment: {}, config: '', ...parts };
}

/** All tags of the page, the raw text of style elements left out. */
function tagsOf(html: string): string[] {
  return html.replace(/<style>[^<]*<\/style>/g, '').match(/<[^>]*>/g) ?? [];
}

/** The attribute names of a tag, without what stands between quotes. */
function attributesOf(tag: string): string[] {
  return [...tag.matchAll(/\s([^\s="/>]+)(?:="[^"]*")?/g)].map(([, name]) => name);
}

const ACTIVE = /^(?:src|srcset|href|xlink:href|style|action|on\w+)$/i;

/** A report in which every text comes from an enemy, charts included. */
async function hostileReport(): Promise<string> {
  const points = [{ step: 1, score: 0.2 }];
  const curves = [
    { attack: HOSTILE, start: HOSTILE, seed: 1, points },
    { attack: 'b', start: 'locked', seed: 1, points },
  ];
  const charts = [
    await learningCurves(curves),
    await spectra([{ layer: HOSTILE, before: [2], after: [3] }]),
    await tradeOff([{ label: HOSTILE, authorized: 0.9, advantage: 0.5 }]),
  ];
  return renderReport({
    title: HOSTILE,
    summary: [HOSTILE],
    sections: charts.map((chart) => ({
      heading: HOSTILE,
      paragraphs: [HOSTILE],
      table: { title: HOSTILE, columns: [{ key: 'x', header: HOSTILE }], rows: [{ x: HOSTILE }], notes: [HOSTILE] },
      ...picture(chart),
      caption: HOSTILE,
    })),
    environment: { [HOSTILE]: HOSTILE },
    config: HOSTILE,
  });
}

describe('renderReport', () => {
  it('gives the same bytes for the same input, in order, with headings and escaped text', () => {
    const input = report({
      sections: [{ heading: 'Cost & censoring', paragraphs: ['a < b'], caption: 'No picture.' }],
      environment: { node: '20.19.0' },
      config: 'lock:\n  alpha: 0.1\n',
    });
    const html = renderReport(input);
    expect(renderReport(input)).toBe(html);
    expect(html).toMatch(
      /<h1>A report<\/h1>[\s\S]*<p>It holds\.<\/p>[\s\S]*<h2>Cost &amp; censoring<\/h2>[\s\S]*<p>a &lt; b<\/p>/,
    );
    expect(html).toContain('<dt>node</dt><dd>20.19.0</dd>');
    expect(html).toContain('<code>lock:\n  alpha: 0.1\n</code>');
  });

  it('requests nothing and admits exactly its own style sheets', async () => {
    const { svg } = await tradeOff([{ label: 'k 4', authorized: 0.9, advantage: 0.5 }]);
    const html = renderReport(report({ sections: [{ heading: 'Chart', svg }] }));
    const policy = html.match(/Content-Security-Policy" content="([^"]*)"/)?.[1] ?? '';
    const styles = [...html.matchAll(/<style>([^<]*)<\/style>/g)].map(([, style]) => style);
    expect(styles.length).toBe(2);
    for (const style of styles) {
      expect(policy).toContain(`'sha256-${createHash('sha256').update(style).digest('base64')}'`);
      expect(style).not.toMatch(/url\(|@import|@font-face/);
    }
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+' 'sha256-[^']+'; base-uri 'none'; form-action 'none'$/,
    );
    expect(
      tagsOf(html)
        .flatMap(attributesOf)
        .filter((name) => ACTIVE.test(name)),
    ).toEqual([]);
  });

  it('lets no text from outside become markup, in no place', async () => {
    const html = await hostileReport();
    const names = new Set(tagsOf(html).map((tag) => tag.match(/^<[/!]?(\w+)/)?.[1]));
    const expected =
      'doctype html head meta title style body main header h1 h2 div p section table caption thead tbody tr th td figure figcaption details summary dl dt dd pre code svg desc g path text tspan line';
    expect([...names].filter((name) => !expected.split(' ').includes(name ?? ''))).toEqual([]);
    expect(
      tagsOf(html)
        .flatMap(attributesOf)
        .filter((name) => ACTIVE.test(name)),
    ).toEqual([]);
    expect(html).not.toContain('\u202e');
    expect(html.match(/<section>/g)?.length).toBe(4);
  });

  it('shows one picture on a wide screen and another on a narrow one, with the numbers folded away below', async () => {
    const chart = await tradeOff([{ label: 'k 4', authorized: 0.9, advantage: 0.5 }]);
    const html = renderReport(report({ sections: [{ heading: 'Chart', ...picture(chart), caption: 'Below.' }] }));
    expect(html.match(/<div class="scroll if-wide"[^>]*>\n<svg/g)).toHaveLength(1);
    expect(html.match(/<div class="scroll if-narrow"[^>]*>\n<svg/g)).toHaveLength(1);
    expect(html).toMatch(
      /<figcaption>Below\.<\/figcaption>\n<details>\n<summary>Data of this chart<\/summary>\n<div class="scroll"[^>]*>\n<table>/,
    );
    expect(html).toContain('<th scope="row">k 4</th><td class="right">90.0 %</td>');
    // Exactly one of the two is there at any width, for eyes and for screen readers.
    expect(html).toMatch(/\.if-narrow \{ display: none; \}/);
    expect(html).toMatch(
      /\(max-width: 42rem\) \{\s*\.if-wide \{ display: none; \}\s*\.if-narrow \{ display: block; \}/,
    );
  });

  it('gives every picture identifiers of its own', async () => {
    const ids = [...(await hostileReport()).matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(ids.length).toBe(12);
    expect(new Set(ids).size).toBe(12);
  });

  it.each([
    ['<svg><script>alert(1)</script></svg>', '<script>'],
    ['<svg onload="alert(1)"></svg>', 'onload'],
    ['<svg><foreignObject></foreignObject></svg>', '<foreignObject>'],
    ['<svg><path fill="url(https://evil.example)"/></svg>', 'fill='],
    ['<svg><g style="background:red"/></svg>', 'style='],
    ['<svg><a href="https://evil.example"/></svg>', '<a>'],
    ['<svg><style>@import "https://evil.example"</style></svg>', 'style sheet'],
    ["<svg onload='alert(1)'></svg>", 'stray'],
    ['<svg/onload="alert(1)"></svg>', 'stray'],
    ['<svg></svg><svg></svg>', 'after its end'],
    ['<svg></svg> and text', 'does not end'],
    ['<svg><g></svg></g>', 'misplaced'],
    ['<svg><!-- x --></svg>', 'stray'],
    ['text <svg></svg>', 'at its start'],
    ['<svg>', 'does not end'],
    ['', 'does not end'],
  ])('refuses %s as a chart', (svg, message) => {
    const draw = () => renderReport(report({ sections: [{ heading: 'Chart', svg }] }));
    expect(draw).toThrow(InputError);
    expect(draw).toThrow(message);
  });
});
