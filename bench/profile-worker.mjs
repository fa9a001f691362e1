// Runs some steps of a benchmark with ONNX Runtime's profile on and prints the milliseconds by phase.
import { makeStep } from './cases.mjs';

const [name, threads, steps, profilePrefix] = process.argv.slice(2);
const phases = {};
const { step, release } = await makeStep(name, { threads: Number(threads), profilePrefix }, phases);
await step();
for (const phase of Object.keys(phases)) phases[phase] = 0;
for (let i = 1; i < Number(steps); i++) await step();
await release();
console.log(JSON.stringify(phases));
