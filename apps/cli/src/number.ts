// number(least, whole): reads a flag's number for commander, which tells what is wrong with others.
import { InvalidArgumentError } from 'commander';

export const number =
  (least: number, whole: boolean) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value >= least && (!whole || Number.isInteger(value)))
      return value;
    throw new InvalidArgumentError(`It must be ${whole ? 'a whole number' : 'a number'} of at least ${least}.`);
  };
