export { type Initializer, kaimingUniform, ones, uniformByFan, zeros } from './initializers.js';
export { conv2d, linear } from './layers.js';
export { type MaskSpec, type ParameterSpec, Scope } from './scope.js';
