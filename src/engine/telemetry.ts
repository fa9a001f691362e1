import { isMainThread } from 'node:worker_threads';

const VARIABLE = 'ORT_DISABLE_TELEMETRY';

// ONNX Runtime from 1.29 on reports its use to Microsoft unless this is set while its library loads: who handles unreleased
// models must not find that out afterwards. An assignment in the main thread reaches the environment that native code and
// child processes see. Empty is how a shell unsets a variable, and means "on" to ONNX Runtime; "0" is a decision.
if (isMainThread) process.env[VARIABLE] ||= '1';

/**
 * Says why ONNX Runtime must not be loaded here: a worker thread has only a copy of the environment, which the native
 * library does not read.
 *
 * @returns `undefined` where its telemetry is off, or the user decided about it.
 */
export function telemetryObjection(): string | undefined {
  if (process.env[VARIABLE]) return undefined;
  return `expected ${VARIABLE} in the environment of this worker thread, which cannot set it for ONNX Runtime: import weightlock in the main thread before the worker starts, or set it to 1 for the process`;
}
