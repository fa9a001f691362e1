import { describe, it } from 'vitest';
import { checkVisionCase } from './support/vision-check.js';
import { cases, nameOf, takesLong } from './support/vision-fixtures.js';

describe('a deep vision model against torchvision', () => {
  it.each(cases.filter(takesLong).map((one) => [nameOf(one), one] as const))(
    '%s: logits, loss, every gradient, running statistics',
    (_, one) => checkVisionCase(one),
  );
});
