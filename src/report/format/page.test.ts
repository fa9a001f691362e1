import { expect, it } from 'vitest';
import { renderPage } from './page.js';

it('shows text as it is, whoever wrote it, and names its pictures', () => {
  const { markdown, charts } = renderPage(
    {
      title: 'A `lock` <i>',
      summary: ['`erase` leaves *it* <img src=x>', '- no list'],
      sections: [
        { heading: 'One | two', paragraphs: ['# no heading'], svg: '<svg/>', chart: 'curve' },
        { heading: 'Other', svg: '<svg></svg>', caption: 'Below_it_' },
      ],
      environment: { node: '20' },
      config: 'a: ```\n<b>\n',
    },
    'page',
  );
  expect(markdown.split('\n\n')).toEqual([
    '<!-- Written by weightlock. -->',
    '# A \\`lock\\` &lt;i>',
    '`erase` leaves \\*it\\* &lt;img src=x>',
    '\\- no list',
    '## One \\| two',
    '\\# no heading',
    '![One \\| two](page-curve.svg)',
    '*One \\| two*',
    '## Other',
    '![Below_it\\_](page-2.svg)',
    '*Below_it\\_*',
    '## Environment',
    '| what | value |\n| --- | --- |\n| node | 20 |',
    '## Configuration',
    '````yaml\na: ```\n<b>\n````\n',
  ]);
  expect([...charts]).toEqual([
    ['page-curve.svg', '<svg/>'],
    ['page-2.svg', '<svg></svg>'],
  ]);
});

it.each([
  ['path: /home/ann/models/net', 'path: …/net'],
  ['  unlocked: "C:\\Users\\ann\\net"', '  unlocked: "…/net"'],
  ['  - /data/set/', '  - …/set'],
  ["a: '~/x y'", "a: '…/x y'"],
  ['a: /', 'a: …/'],
  ['locked: models/net', 'locked: models/net'],
  ['task: causal-lm', 'task: causal-lm'],
  ['lr: 1/2', 'lr: 1/2'],
])('tells nobody’s folders: %s', (line, expected) => {
  const { markdown } = renderPage({ title: 't', summary: [], sections: [], environment: {}, config: line }, 'page');
  expect(markdown).toContain(`\`\`\`yaml\n${expected}\n`);
});
