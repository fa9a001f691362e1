/** Ends a test run with the plain line `N passed, N failed`, after `N skipped` where there are any. */
export default class SummaryReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const count = { passed: 0, failed: 0, skipped: 0 };
    for (const module of testModules) {
      const tests = [...module.children.allTests()];
      for (const test of tests) count[test.result().state === 'pending' ? 'skipped' : test.result().state]++;
      // A file that fails to load has no tests of its own, and must not pass unseen.
      if (tests.every((test) => test.result().state !== 'failed') && module.state() === 'failed') count.failed++;
    }
    count.failed += unhandledErrors.length;
    process.on('exit', () => {
      if (count.skipped > 0) console.log(`${count.skipped} skipped`);
      console.log(`${count.passed} passed, ${count.failed} failed`);
    });
  }
}
