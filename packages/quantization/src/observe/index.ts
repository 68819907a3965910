// Observers of activations, and what static schemes need of them.
export { type ActivationQparams, activationOf, isStaticConfig, type StaticConfig } from './activation-of.ts';
export { HistogramObserver, type HistogramObserverOptions } from './histogram-observer.ts';
export { AffineQuantizedMSEObserver, type MSEObserverOptions } from './mse-observer.ts';
export {
  type ObservedActivation,
  type ObservedActivations,
  type ObserveOptions,
  observe,
  staticRules,
} from './observe.ts';
export {
  AffineQuantizedMinMaxObserver,
  AffineQuantizedObserver,
  type ObserverOptions,
  type Range,
} from './observer.ts';
