import type { FrontierPoint } from '../reproduce/reproduction.js';

export const measuredFrontier: readonly FrontierPoint[] = [];
