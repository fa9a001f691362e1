export { balanced, type Factors, lengthOf } from './balance.js';
export {
  type Joint,
  type JointKind,
  jointKinds,
  jointsOf,
  type MatrixJoint,
  type UnitJoint,
  unitsOf,
} from './joints.js';
export { Linear, type LinearRef, type MutableWeights, sidesOf, type Values, valuesOf } from './linear.js';
export {
  type Block,
  balanceUnit,
  balancing,
  lengthsOfUnit,
  multiplyBlock,
  type Place,
  type Slot,
  scaleUnit,
  sizeOfUnit,
  type Unit,
  weightsOfUnit,
} from './moves.js';
export { type LayerPair, layerPairs } from './pairs.js';
export {
  type AttentionStructure,
  type BatchNormStructure,
  type GateStructure,
  hasStructure,
  type NormStructure,
  type Structure,
  structureOf,
} from './structure.js';
