import { beforeEach, describe, expect, test } from 'vitest';

// A test whose only expectations stand in a loop that never ran, or in a callback that nobody called, fails.
beforeEach(() => {
  expect.hasAssertions();
});

/** Makes `each` refuse an empty table: a fixture that lost its cases would take their tests along in silence. */
function refuseEmptyTables(target: { each: unknown }): void {
  const each = target.each as (this: unknown, table: unknown, ...values: unknown[]) => unknown;
  target.each = function (this: unknown, table: unknown, ...values: unknown[]) {
    if (Array.isArray(table) && table.length === 0) throw new Error('each: expected at least one case, found none');
    return each.call(this, table, ...values);
  };
}
refuseEmptyTables(test);
refuseEmptyTables(describe);
