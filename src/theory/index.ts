export { balanced, type Rewritten, rescaled } from './balance.js';
export type { BlockBound, Values } from './bounds/bound.js';
export { cnnBounds } from './bounds/cnn.js';
export { mlpBounds } from './bounds/mlp.js';
export type { PrintedBound } from './bounds/printed.js';
export { cumulative, type DensityOptions, type SpectralMeasure, spectralDensity, spectralMeasure } from './density.js';
export {
  adamConstants,
  type Descent,
  type Goal,
  type MeasuredDescent,
  type Method,
  measuredStableRate,
  measuredSteps,
  stabilitySteps,
} from './descent.js';
export {
  type CheckedBound,
  type Convergence,
  checkBounds,
  constantLoss,
  figure2Bounds,
  figure2Outputs,
  figure2Printed,
  type HessianCheck,
  largestSingularValuesOf,
  stepsToConverge,
  withLargestSingularValue,
} from './figure2.js';
export {
  blockOf,
  type CurvatureMatrix,
  type DenseBlock,
  eigenvalues,
  exactCurvature,
  largestSize,
  spectralNorm,
} from './hessian.js';
export {
  type Extremes,
  type ExtremesOptions,
  extremeEigenvalues,
  lanczos,
  type RitzValue,
  type SymmetricProduct,
  type Tridiagonal,
} from './lanczos.js';
export { type Course, trained, withRaisedSingularValues } from './locked.js';
export {
  type Figure2Data,
  type Figure2Name,
  type Figure2Network,
  figure2Data,
  figure2Names,
  figure2Networks,
  figure2Surface,
  figure2Weights,
} from './networks.js';
export { type PathOptions, type PredictedPath, pathModels, pathSteps } from './path.js';
export { type LocalModel, type LocalModelOptions, localModel, predictedSteps, stableRate } from './predict.js';
export {
  gaussianQuadratic,
  largestStableRate,
  type MethodEntry,
  minimize,
  type Quadratic,
  type QuadraticMethod,
  type QuadraticRun,
  quadraticMethods,
  stepsAt,
} from './quadratic.js';
export {
  type Block,
  type Evaluated,
  type LossParts,
  LossSurface,
  lossGraph,
  type ModelSurfaceOptions,
  modelSurface,
} from './surface.js';
