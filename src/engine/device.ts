import { Graph, mul } from '../graph/index.js';
import { InputError } from '../registry/index.js';
import { compile } from './program.js';

/** What a device needs, for who asked for it in vain. */
const needs: Readonly<Record<string, string>> = {
  cuda: 'it needs an NVIDIA GPU with its driver, and the CUDA files of onnxruntime-node, which npm leaves out unless it is told onnxruntime-node-install=cuda12',
  webgpu: 'it needs a GPU with a driver for Vulkan, Metal or Direct3D 12',
  coreml: 'it needs macOS',
  dml: 'it needs Windows with DirectX 12',
};

/**
 * Opens a device with a graph of one operator: ask before work that would find out in its middle.
 *
 * @param device - As in {@link EngineOptions}.
 * @throws InputError saying what ONNX Runtime finds wrong, and what to do.
 */
export async function requireDevice(device: string): Promise<void> {
  if (device === 'cpu') return;
  const fail = (found: string) =>
    new InputError(
      `device ${device}: expected a device that opens on this machine, ${found}; ${needs[device] ?? 'it is not known'} (--device cpu works everywhere)`,
    );
  const graph = new Graph();
  let y: number;
  try {
    const program = await compile({ y: mul(graph.input('x', [2]), 3) }, { device, threads: 1 });
    y = Number((await program.run({ x: Float32Array.of(1, 2) })).y[1]);
    await program.release();
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().replace(/^(compile|run): /, '') : String(error);
    throw fail(`ONNX Runtime says: ${reason.split('\n')[0].slice(-200)}`);
  }
  if (y !== 6) throw fail(`it computes 3 · 2 = ${y}`);
}
