// What is wrong with a schema: always with the place, as a JSON pointer.
import { AoError } from '@ao/core';

export function schemaError(at: string, message: string, fix: string): AoError {
  return new AoError('ERR_AO_CONFIG', `responseFormat: ${at}: ${message}`, { op: 'generate', fix });
}
