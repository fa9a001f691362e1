import { expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { requireDevice } from './index.js';

it('opens what is there, and says of what is not what it needs', async () => {
  await requireDevice('cpu');
  const elsewhere = process.platform === 'darwin' ? 'dml' : 'coreml';
  const opening = requireDevice(elsewhere);
  await expect(opening).rejects.toThrow(
    /^device \w+: expected a device that opens on this machine, ONNX Runtime says: [^\n]+; it needs (macOS|Windows with DirectX 12) \(--device cpu works everywhere\)$/,
  );
  await expect(opening).rejects.toThrow(InputError);
  await expect(requireDevice('abacus')).rejects.toThrow('it is not known');
});
