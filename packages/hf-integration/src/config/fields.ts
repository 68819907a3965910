// Fields(json, where): typed access to one JSON object; a wrong type or range is an error that names the field.
import { AoError } from '@ao/core';
import type { Json } from './read-json.ts';

export class Fields {
  readonly json: Json;
  readonly where: string;

  constructor(json: Json, where: string) {
    this.json = json;
    this.where = where;
  }

  has(name: string): boolean {
    return this.json[name] !== undefined && this.json[name] !== null;
  }

  /** A whole number of at least `min`. */
  count(name: string, fallback?: number, min = 1): number {
    const value = this.json[name] ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min) return value;
    throw this.error(name, `a whole number of at least ${min}`);
  }

  /** A finite number above zero. */
  positive(name: string, fallback?: number): number {
    const value = this.json[name] ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw this.error(name, 'a number above 0');
  }

  /** A finite number above zero; undefined where it is null. `fallback`: what is meant where it is absent. */
  optional(name: string, fallback?: number): number | undefined {
    if (this.json[name] === undefined) return fallback;
    return this.has(name) ? this.positive(name) : undefined;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.json[name] ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.error(name, 'true or false');
  }

  text(name: string, fallback?: string): string {
    const value = this.json[name] ?? fallback;
    if (typeof value === 'string') return value;
    throw this.error(name, 'a string');
  }

  /** A list of finite numbers above zero. */
  numbers(name: string): readonly number[] {
    const value = this.json[name];
    if (Array.isArray(value) && value.every((x) => typeof x === 'number' && Number.isFinite(x) && x > 0)) return value;
    throw this.error(name, 'a list of numbers above 0');
  }

  object(name: string): Fields | undefined {
    const value = this.json[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'object' && !Array.isArray(value)) return new Fields(value as Json, `${this.where} ${name}`);
    throw this.error(name, 'an object');
  }

  /** One id or a list of ids; absent and null give []. */
  ids(name: string): readonly number[] {
    const value = this.json[name];
    if (value === undefined || value === null) return [];
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.every((id) => typeof id === 'number' && Number.isInteger(id) && id >= 0)) return list as number[];
    throw this.error(name, 'a token id or a list of token ids');
  }

  error(name: string, wanted: string): AoError {
    const value = this.json[name];
    const got = value === undefined ? 'missing' : JSON.stringify(value);
    return new AoError('ERR_AO_CONFIG', `${this.where}: ${name} is ${got}; it must be ${wanted}`, {});
  }
}
