import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/registry/index.js';
import {
  type Chart,
  frontierChart,
  type LearningCurve,
  learningCurves,
  learningCurvesSpec,
  type RenderOptions,
  rateCurves,
  rateCurvesSpec,
  renderChart,
  scatter,
  scatterSpec,
  scatterTable,
  searchCurves,
  searchCurvesSpec,
  seriesLines,
  seriesSpec,
  seriesTable,
  spectra,
  spectraSpec,
  tradeOff,
  tradeOffSpec,
} from '../../src/report/index.js';
import {
  exampleCurves,
  exampleFrontier,
  exampleSearches,
  exampleSeries,
  exampleSpectra,
  exampleTradeOff,
} from './example.js';

/** In tests a warning of Vega is an error. */
const strict: RenderOptions = {
  onWarning: (message) => {
    throw new Error(`Vega warns: ${message}`);
  },
};

const exampleRates = [
  {
    label: 'unlocked',
    points: [1e-3, 1e-5, 1e-8].map((rate, i) => ({ rate, scores: [0.6 - 0.05 * i, 0.62 - 0.05 * i] })),
  },
  { label: 'locked', points: [1e-3, 1e-5, 1e-8].map((rate) => ({ rate, scores: [0.53] })) },
];

const exampleScatter = {
  title: 'The slowdown',
  quantity: 'slowdown',
  within: 2,
  pairs: ['gradient descent', 'AdamW'].flatMap((panel, index) =>
    [1, 10, 100].flatMap((predicted, i) => [
      { panel, label: 'mlp', form: 'locked', predicted, measured: predicted * (1 + index + 0.3 * i) },
      { panel, label: 'cnn', form: 'σ_max set', predicted, measured: i === 2 ? null : predicted * 8 },
    ]),
  ),
};

const gallery: Record<string, () => Promise<Chart>> = {
  'learning-curves': () => learningCurves(exampleCurves(), { ...strict, metric: 'accuracy' }),
  'learning-curves-linear': () => {
    const curves = exampleCurves().filter(({ attack }) => attack === 'AdamW');
    return learningCurves(curves, { ...strict, stepScale: 'linear', target: null, metric: 'accuracy' });
  },
  spectra: () => spectra(exampleSpectra(), strict),
  'trade-off': () => tradeOff(exampleTradeOff(), strict),
  'series-lines': () => seriesLines(exampleSeries(false), strict),
  'series-lines-panels': () => seriesLines(exampleSeries(true), strict),
  scatter: () => scatter(exampleScatter, strict),
  frontier: () => frontierChart(exampleFrontier, strict),
  'search-curves': () => searchCurves(exampleSearches(), { ...strict, metric: 'accuracy' }),
  'rate-curves': () => rateCurves(exampleRates, { ...strict, metric: 'accuracy', guessing: 0.53 }),
};

describe.each(Object.entries(gallery))('%s', (name, draw) => {
  it('is the picture in test/snapshots', async () => {
    const { svg } = await draw();
    await expect(svg.replaceAll('><', '>\n<')).toMatchFileSnapshot(`../snapshots/${name}.svg`);
  });

  it('is the same in a second run, and says what it shows', async () => {
    const [first, second] = [await draw(), await draw()];
    expect(first.svg).toBe(second.svg);
    expect(first.svg).toMatch(
      /^<svg class="weightlock-chart" role="img" aria-labelledby="chart-\w+-title chart-\w+-desc"/,
    );
    expect(first.svg).toContain(`<desc id="${first.svg.match(/chart-\w+-desc/)?.[0]}">`);
    expect(first.svg).not.toContain('NaN');
    // Identifiers of clips and gradients would collide when several charts share a page.
    expect(first.svg.match(/ id="/g)?.length).toBe(2);
  });

  it('has a specification that survives JSON and draws the same picture', async () => {
    const { spec, svg, data } = await draw();
    expect((await renderChart(JSON.parse(JSON.stringify(spec)), { data }, strict)).svg).toBe(svg);
  });

  it('only uses colours that have a dark counterpart', async () => {
    const { svg } = await draw();
    const used = [...svg.matchAll(/ (?:fill|stroke)="(#[^"]*|[a-z]+)"/g)].map(([, color]) => color);
    const mapped = [...svg.matchAll(/\[fill="(#\w+)"\]/g)].map(([, color]) => color);
    expect([...new Set(used)].filter((color) => color !== 'none' && !mapped.includes(color))).toEqual([]);
  });
});

function linesOf(curves: LearningCurve[]): unknown {
  const { data } = learningCurvesSpec(curves);
  return data && 'values' in data ? data.values : undefined;
}

describe('searchCurves', () => {
  it('refuses nothing to draw, and what is no number', () => {
    expect(() => searchCurvesSpec([])).toThrow('search curves: expected at least one curve, got none');
    const [curve] = exampleSearches();
    const points = [{ steps: 0, flops: 0, score: Number.NaN }];
    expect(() => searchCurvesSpec([{ ...curve, points }])).toThrow('expected a score of "unlocked", got NaN');
  });

  it('gives the numbers with the attack that they are of', async () => {
    const { data } = await searchCurves(exampleSearches(), { ...strict, metric: 'accuracy' });
    expect(data.rows[0]).toEqual({
      ...{ start: 'unlocked', steps: '0', flops: '0.0', score: '20.0 % (18.0 to 22.0)', best: 'no attack' },
    });
    expect(data.rows[2]).toMatchObject({ start: 'unlocked', best: 'fine-tune, adamw' });
  });
});

describe('learningCurves', () => {
  const curve = (seed: number, scores: Record<number, number>, start = 'locked'): LearningCurve => ({
    attack: 'AdamW',
    start,
    seed,
    points: Object.entries(scores).map(([step, score]) => ({ step: Number(step), score })),
  });

  it('draws mean and range at the steps that every seed measured, without step 0 on the log scale', () => {
    expect(
      linesOf([curve(1, { 0: 0.1, 10: 0.25, 20: 0.5, 40: 0.9 }), curve(2, { 0: 0.2, 20: 0.75, 10: 0.5 })]),
    ).toEqual([
      { attack: 'AdamW', start: 'locked', step: 10, mean: 0.375, low: 0.25, high: 0.5, seeds: 2 },
      { attack: 'AdamW', start: 'locked', step: 20, mean: 0.625, low: 0.5, high: 0.75, seeds: 2 },
    ]);
  });

  it.each<[string, LearningCurve[]]>([
    ['at least one curve', []],
    ['a step that all 2 seeds of "locked"', [curve(1, { 10: 0.5 }), curve(2, { 20: 0.5 })]],
    ['a score from 0 to 1, got 98', [curve(1, { 10: 98 })]],
    ['a score from 0 to 1, got NaN', [curve(1, { 10: Number.NaN })]],
  ])('refuses: expected %s', (message, curves) => {
    expect(() => learningCurvesSpec(curves)).toThrow(InputError);
    expect(() => learningCurvesSpec(curves)).toThrow(message);
  });
});

describe('what a chart of learning curves says of itself', () => {
  const lines = (start: string, last: number, seeds = [1, 2, 3]): LearningCurve[] =>
    seeds.map((seed) => ({
      attack: 'AdamW',
      start,
      seed,
      points: [
        { step: 10, score: 0.2 },
        { step: 20, score: last },
      ],
    }));
  const many = [
    ...lines('unlocked', 0.9),
    ...lines('locked', 0.5),
    ...lines('locked, clipped', 0.6),
    ...lines('locked, rescaled', 0.8),
    ...lines('locked, reset', 0.7),
    ...lines('random weights', 0.4),
  ];

  it('draws the best of the other attacks, names the bands, and says what is left out', async () => {
    const { svg, data } = await learningCurves(many, strict);
    for (const shown of ['unlocked', 'locked', 'random weights', 'locked, rescaled']) {
      expect(svg).toContain(`>${shown}</text>`);
    }
    for (const hidden of ['locked, clipped', 'locked, reset']) expect(svg).not.toContain(`>${hidden}</text>`);
    expect(svg).toContain('Line: mean of 3 seeds. Band: worst to best seed.');
    expect(svg).toContain('Not drawn: 2 weaker attacks, in the table.');
    expect(data.columns.map(({ header }) => header)).toContain('locked, reset');
    const one = await learningCurves(lines('locked', 0.5, [1]), strict);
    expect(one.svg).toContain('>Line: one seed.</text>');
  });

  it('gives each line a colour of its own, the same in another chart of the page', () => {
    const rangeOf = (curves: LearningCurve[], others: number) => {
      const colors = new Map<string, string>();
      JSON.stringify(learningCurvesSpec(curves, { others }), (name, value) => {
        if (name === 'scale' && value.domain && String(value.range?.[0]).startsWith('#')) {
          for (const [index, start] of value.domain.entries()) colors.set(start, value.range[index]);
        }
        return value;
      });
      return colors;
    };
    const all = rangeOf(many, 3);
    expect(all.size).toBe(6);
    expect(new Set(all.values()).size).toBe(6);
    for (const [start, color] of rangeOf(many, 1)) expect(color, start).toBe(all.get(start));
  });

  it('puts the target beside the plot, where no curve strikes it through', () => {
    const { spec } = learningCurvesSpec(many) as unknown as {
      spec: {
        width: number;
        layer: { mark: { align: string; dx: number; text?: string[] }; encoding: { x: { value?: number } } }[];
      };
    };
    const labels = spec.layer.filter(({ mark }) => mark.text?.[0] === 'target');
    expect(labels.map(({ mark: { align, dx, text }, encoding }) => [align, dx > 0, text, encoding.x.value])).toEqual([
      ['left', true, ['target', '95 %'], spec.width],
    ]);
  });

  it('puts its panels below one another for a narrow screen', async () => {
    const curves = ['AdamW', 'SGD', 'Adadelta'].flatMap((attack) => many.map((curve) => ({ ...curve, attack })));
    const { svg, narrow = '' } = await learningCurves(curves, strict);
    const size = (picture: string) => (picture.match(/viewBox="0 0 (\d+) (\d+)"/) ?? []).slice(1).map(Number);
    expect(size(narrow)[0]).toBeLessThanOrEqual(360);
    expect(size(narrow)[1]).toBeGreaterThan(2 * size(svg)[1]);
    for (const attack of ['AdamW', 'SGD', 'Adadelta']) expect(narrow).toContain(`>${attack}</text>`);
  });
});

describe('the data behind a chart', () => {
  it('holds mean and range of every line and step', async () => {
    const points = [1, 2].map((seed) => ({
      attack: 'AdamW',
      start: 'locked',
      seed,
      points: [{ step: 1000, score: 0.25 * seed }],
    }));
    const { data } = await learningCurves(points, strict);
    expect(data.rows).toEqual([{ attack: 'AdamW', step: '1,000', 'start locked': '37.5 % (25.0 to 50.0)' }]);
    expect(data.notes).toEqual(['Mean (least to most) over 2 seeds, at the steps that all of them measured.']);
  });

  it('holds every singular value, small ones too', async () => {
    const { data } = await spectra([{ layer: 'a', before: [2, 0.00012345], after: [3, 1] }], strict);
    expect(data.rows).toEqual([
      { layer: 'a', index: 'σ1', before: '2', after: '3' },
      { layer: 'a', index: 'σ2', before: '0.0001234', after: '1' },
    ]);
  });

  it('holds every setting', async () => {
    const { data } = await tradeOff([{ label: 'k 4', authorized: 0.9, advantage: -0.21, advantageRange: [-0.3, 0] }]);
    expect(data.rows).toEqual([{ label: 'k 4', authorized: '90.0 %', advantage: '−0.21', range: '−0.30 to 0.00' }]);
  });
});

describe('edge cases draw without a warning', () => {
  const layer = (name: string, before: number[], after: number[]) => ({ layer: name, before, after });

  it.each<[string, () => Promise<Chart>]>([
    [
      'a single step',
      () => learningCurves([{ attack: 'a', start: 'locked', seed: 1, points: [{ step: 5, score: 0.5 }] }], strict),
    ],
    ['equal singular values', () => spectra([layer('a', [1], [1])], strict)],
    ['eleven orders of magnitude', () => spectra([layer('a', [1e-5], [1e6])], strict)],
    ['one setting', () => tradeOff([{ label: 'a', authorized: 0.5, advantage: 0.5 }], strict)],
    [
      'settings far from one another',
      () =>
        tradeOff(
          [
            { label: 'a', authorized: 1, advantage: -8 },
            { label: 'b', authorized: 0, advantage: 3 },
          ],
          strict,
        ),
    ],
  ])('%s', async (_, draw) => expect((await draw()).svg).not.toContain('NaN'));

  it('shows a line of a single step as a dot', async () => {
    const points = [{ step: 5, score: 0.5 }];
    const { svg } = await learningCurves([{ attack: 'a', start: 'locked', seed: 1, points }], strict);
    expect(svg).toContain('class="mark-symbol role-mark');
  });

  it('names layers by start and end in the picture, in full in the description', async () => {
    const name = 'encoder.layer.0.attention.self.query.weight';
    const { svg } = await spectra([layer(name, [2], [3])], strict);
    expect(svg).toContain('>encoder.lay…tion.self.query.weight</text>');
    expect(svg).toContain(`${name}: σ1 2.00 before, 3.00 after (1.5×).</desc>`);
  });
});

describe('spectra', () => {
  it.each([
    ['at least one layer', []],
    ['as many singular values', [{ layer: 'a', before: [2, 1], after: [2] }]],
    ['singular values from 0 up', [{ layer: 'a', before: [2, -1], after: [2, 1] }]],
    ['singular values from 0 up', [{ layer: 'a', before: [2, 1], after: [2, Number.NaN] }]],
    ['"a" twice', [1, 2].map(() => ({ layer: 'a', before: [2], after: [3] }))],
  ])('refuses: %s', (message, layers) => expect(() => spectraSpec(layers)).toThrow(message));

  it('draws a matrix of lower rank without the values that are 0, also as doubles round them, and says so', async () => {
    const low = { layer: 'low', before: [2, 3e-16], after: [4, 0] };
    const { spec, svg } = await spectra([low, { layer: 'full', before: [2, 1], after: [3, 1] }], strict);
    const { values } = spec.data as { values: { layer: string; sigma: number }[] };
    expect(values.map(({ layer, sigma }) => [layer, sigma])).toEqual([
      ['low', 2],
      ['low', 4],
      ['full', 2],
      ['full', 3],
      ['full', 1],
      ['full', 1],
    ]);
    expect(svg).toContain(
      'low: σ1 2.00 before, 4.00 after (2.0×). 2 of its values are 0 and have no place on the axis.',
    );
    expect(svg).toContain('full: σ1 2.00 before, 3.00 after (1.5×).</desc>');
  });

  it('draws a matrix that was zero, and one that is', async () => {
    const layers = [
      { layer: 'raised', before: [0, 0], after: [1, 0] },
      { layer: 'zero', before: [0, 0], after: [0, 0] },
    ];
    const { svg } = await spectra(layers, strict);
    expect(svg).not.toContain('NaN');
    expect(svg).toContain('raised: σ1 0.00 before, 1.00 after. 3 of its values');
    expect((await spectra([layers[1]], strict)).svg).not.toContain('NaN');
  });
});

describe('tradeOff', () => {
  it.each([
    ['at least one point', []],
    ['metric from 0 to 1', [{ label: 'a', authorized: 98, advantage: 1 }]],
    ['a finite advantage', [{ label: 'a', authorized: 0.98, advantage: Number.NaN }]],
  ])('refuses: %s', (message, points) => expect(() => tradeOffSpec(points)).toThrow(message));
});

describe('rateCurves', () => {
  const curve = (rate: number, score: number) => [{ label: 'a', points: [{ rate, scores: [score] }] }];
  it.each([
    ['expected at least one point, got none', []],
    ['expected a positive learning rate for "a", got 0', curve(0, 0.5)],
    ['expected scores from 0 to 1 for "a", got 2 to 2', curve(1e-3, 2)],
  ])('refuses: %s', (message, curves) => expect(() => rateCurvesSpec(curves, { metric: 'accuracy' })).toThrow(message));

  it('has a table with a row for each rate, the largest first', async () => {
    const { data } = await rateCurves(exampleRates, { ...strict, metric: 'accuracy' });
    expect(data.rows.map(({ rate }) => rate)).toEqual(['1e-3', '1e-5', '1e-8']);
    expect(data.rows[0]).toMatchObject({ 'of unlocked': '61.0 %', 'of locked': '53.0 %' });
  });
});

describe('seriesLines', () => {
  const line = (points: { x: number; values: number[]; missed?: number }[]) => ({
    title: 'Steps by κ',
    x: 'κ',
    y: 'steps',
    lines: [{ label: 'Adam', panel: 'mlp', points }],
  });

  it('says which seeds have no number, and means by their ratio', () => {
    const table = seriesTable(
      line([
        { x: 1, values: [1, 100] },
        { x: 10, values: [7], missed: 2 },
        { x: 100, values: [], missed: 3 },
      ]),
    );
    expect(table.rows).toEqual([
      { x: '1', 'of mlp: Adam': '10.0 (1 to 100)' },
      { x: '10', 'of mlp: Adam': '7, 2 seeds beyond the budget' },
      { x: '100', 'of mlp: Adam': '3 seeds beyond the budget' },
    ]);
  });

  it('refuses what a logarithmic axis cannot hold, and nothing', () => {
    for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => seriesSpec(line([{ x: 1, values: [bad] }]))).toThrow(InputError);
    }
    expect(() => seriesSpec(line([{ x: 1, values: [] }]))).toThrow('at least one point');
  });
});

describe('what has no intervals', () => {
  it('is drawn without a warning', async () => {
    const single = exampleRates.map(({ label, points }) => ({
      label,
      points: points.map(({ rate, scores: [score] }) => ({ rate, scores: [score] })),
    }));
    const point = { label: 'a', authorized: 0.9, advantage: 0.5 };
    expect((await rateCurves(single, { ...strict, metric: 'accuracy', guessing: 0.5 })).svg).toContain('<svg');
    expect((await tradeOff([point], strict)).svg).toContain('<svg');
  });
});

describe('scatter', () => {
  it('counts what is near, and what lacks a number', () => {
    const [first, second] = scatterTable(exampleScatter).rows;
    expect(first).toMatchObject({ form: 'locked', n: '3', near: '3 of 3 (100.0 %)' });
    expect(second).toMatchObject({ form: 'σ_max set', n: '3', near: '0 of 2 (0.0 %)', ratio: '8 (8 to 8)' });
  });

  it('refuses numbers that have no place on its axes', () => {
    const pair = { panel: '', label: 'a', form: 'b', predicted: 1, measured: 0 };
    expect(() => scatterSpec({ ...exampleScatter, pairs: [pair] })).toThrow('above 0');
    expect(() => scatterSpec({ ...exampleScatter, pairs: [{ ...pair, measured: null }] })).toThrow('at least one pair');
  });
});
