import { describe, expect, it } from 'vitest';
import { checkVisionCase } from './support/vision-check.js';
import { cases, nameOf, takesLong } from './support/vision-fixtures.js';

describe('vision models against torchvision, transformers and a literal CIFAR ResNet', () => {
  it('has cases', () => expect(cases.length).toBeGreaterThanOrEqual(6));
  it.each(cases.filter((one) => !takesLong(one)).map((one) => [nameOf(one), one] as const))(
    '%s: logits, loss, every gradient, running statistics',
    (_, one) => checkVisionCase(one),
  );
});
