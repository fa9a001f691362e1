export { percentileInterval, type Resample, resamples } from './bootstrap.js';
export { cholesky, choleskyInverse, lowerInverse, solveTransposed } from './cholesky.js';
export { qrFlops, singularValuesFlops, svdFlops } from './flops.js';
export { type RealArray, requireShape } from './matrix.js';
export { addRankK, alongTriplets, multiplyLeft, multiplyRight } from './products.js';
export { thinQr } from './qr.js';
export { RandomStream } from './random.js';
export { mostSobolDimensions, sobolPoints } from './sobol.js';
export {
  type Cost,
  type MeanInterval,
  type MedianInterval,
  mean,
  meanInterval,
  medianInterval,
  pairedShareDifference,
  type RatioInterval,
  ratioInterval,
  type ShareDifference,
  studentQuantile,
} from './statistics.js';
export {
  type BlockProduct,
  type SubspaceOptions,
  TopSingularSubspace,
  type TopSingularTriplets,
  topSingularTriplets,
  type UpdateOptions,
} from './subspace.js';
export { type Duration, type MedianDuration, medianDuration, type SurvivalStep, survivalCurve } from './survival.js';
export { exactSingularValues, type Svd, svd } from './svd.js';
export { type SymmetricEigen, symmetricEigen, type TridiagonalEigen, tridiagonalEigen } from './symmetric.js';
