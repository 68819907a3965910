export * from './layers.ts';
export * from './module.ts';
export * from './state-dict.ts';
export * from './visit.ts';
