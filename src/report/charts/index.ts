export { frontierChart, frontierSpec, frontierTable } from './frontier.js';
export {
  type CurvePoint,
  type LearningCurve,
  type LearningCurvesOptions,
  learningCurves,
  learningCurvesSpec,
} from './learning-curves.js';
export { type RateCurve, type RateCurvesOptions, rateCurves, rateCurvesSpec } from './rate-curves.js';
export { type Chart, picture, type RenderOptions, renderChart } from './render-chart.js';
export { type ScatterOptions, type ScatterPair, scatter, scatterSpec, scatterTable } from './scatter.js';
export { type SearchCurvesOptions, searchCurves, searchCurvesSpec, searchCurvesTable } from './search-curves.js';
export { type SeriesLine, type SeriesOptions, seriesLines, seriesSpec, seriesTable } from './series-lines.js';
export { type LayerSpectrum, spectra, spectraSpec } from './spectra.js';
export { type TradeOffPoint, tradeOff, tradeOffSpec } from './trade-off.js';
