// The layers of docs/architecture.md: a folder imports only from those above it, and only their index.ts.
const layers = [
  'registry',
  'formats',
  'text',
  'graph',
  'engine',
  'linalg',
  'spectra',
  'nn',
  'models',
  'data',
  'tasks',
  'symmetries',
  'training',
  'generation',
  'locks',
  'attacks',
  'theory',
  'evidence',
  'queue',
  'experiments',
  'report',
  'cli',
  'ui',
];

const order = layers.slice(0, -1).map((layer, index) => ({
  name: `layer-${layer}`,
  severity: 'error',
  comment: `src/${layer} may import only from the layers above it: ${layers.slice(0, index).join(', ') || 'none'}`,
  from: { path: `^src/${layer}/` },
  to: { path: `^src/(${layers.slice(index + 1).join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...order,
    {
      name: 'public-face',
      severity: 'error',
      comment: "A folder's index.ts is its public face; other folders import nothing else from it",
      from: { path: '^src/([^/]+)/' },
      to: { path: '^src/[^/]+/.+', pathNot: ['^src/$1/', '^src/[^/]+/index\\.ts$'] },
    },
    {
      name: 'one-place-loads-onnxruntime',
      severity: 'error',
      comment: 'src/engine/telemetry.ts turns the telemetry of ONNX Runtime off before it is loaded',
      from: { pathNot: '^src/engine/' },
      to: { path: 'onnxruntime-node' },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'known-folders',
      severity: 'error',
      from: { path: '^src/', pathNot: [`^src/(${layers.join('|')})/`, '^src/index\\.ts$'] },
      to: {},
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
